"""The kind `ReviewQueue`: a list of work waiting for people, with owner and service time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group

from aegis.core import canonical, durations
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from aegis.core.visibility import Viewer
from aegis.identity import grants
from aegis.identity.models import Area, User
from approvals.governed import DocumentKind
from orchestration.engine.models import QueueSkill, ReviewItem, ReviewQueue, Run
from orchestration.workflows import parse
from orchestration.workflows.definition import Definition
from orchestration.workflows.lint_skills import skills_asked
from orchestration.workflows.models import WorkflowRelease
from orchestration.workflows.references import references_of
from orchestration.workflows.schema import NAME

_GROUP: Json = {"type": "string", "minLength": 1, "maxLength": 80}
_VERBS = ("view", "operate")


class ReviewQueueKind(DocumentKind):
    name = "ReviewQueue"
    title = "Review queues"
    area = "queues"
    order = 70
    model = ReviewQueue
    schema = envelope(
        "ReviewQueue",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["groups", "service_time", "owner"],
            "properties": {
                "groups": {
                    "type": "array", "minItems": 1, "maxItems": 20, "uniqueItems": True, "items": _GROUP,
                    "description": "Who works on it: sees, claims and completes its items.",
                },
                "service_time": {**durations.SCHEMA, "description": "Until an item should be settled, such as 4h."},
                "skills": {
                    "type": "object", "maxProperties": 20, "propertyNames": NAME,
                    "additionalProperties": {"type": "array", "minItems": 1, "maxItems": 20, "uniqueItems": True,
                                             "items": _GROUP},
                    "description": "Skill that a step may ask for -> groups that have it. They also need to work on the queue.",
                },
                "owner": {**_GROUP, "description": "The group that answers for it."},
            },
        },
    )  # fmt: skip

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return [*self.removal_faults(change), *_named_by_runs(change.key.name)]
        spec = change.new["spec"]
        faults: list[Fault] = []
        places = [(f"/spec/groups/{index}", name) for index, name in enumerate(spec["groups"])]
        skills = spec.get("skills", {})
        places += [(f"/spec/skills/{skill}/{at}", name) for skill in skills for at, name in enumerate(skills[skill])]
        for where, name in [*places, ("/spec/owner", spec["owner"])]:
            if not _group_would_exist(name, overlay):
                faults.append(Fault(where, f"there is no group {name!r}"))
        try:
            durations.parse(spec["service_time"])
        except durations.DurationInvalid as error:
            faults.append(Fault("/spec/service_time", error.faults[0].what))
        return [*faults, *_unmanned(spec), *_still_asked(change.key.name, skills), *_asked_by_runs(change.key.name, skills)]

    def missing(self, change: Change, author: Viewer) -> str:
        """Applying gives its groups rights: not for whom may grant none, or is in a group that would come."""
        if change.new is None:
            return ""
        rows = ReviewQueue.objects.filter(name=change.key.name, groups__isnull=False)
        standing = set(rows.values_list("groups__name", flat=True))
        wanted = set(change.new["spec"]["groups"])
        if wanted != standing and not Area.objects.visible_to(author, "edit").filter(name="access").exists():
            return f"Other groups of {change.key} get or lose rights, which needs “edit” on the area “access”"
        coming = Group.objects.filter(name__in=wanted - standing, user=author.pk).order_by("name")
        own = list(coming.values_list("name", flat=True)) or self._own_skills(change, author)
        if own:
            return f"{change.key} would let “{own[0]}” in, and you are in it; somebody who is not must propose this"
        return ""

    def _own_skills(self, change: Change, author: Viewer) -> list[str]:
        """Groups of the author that would newly have a skill: whoever proposes opens no items to himself."""
        skills = change.new["spec"].get("skills", {}) if change.new else {}
        rows = QueueSkill.objects.filter(queue__name=change.key.name).values_list("name", "group__name")
        new = {(skill, name) for skill, names in skills.items() for name in names} - set(rows)
        own = Group.objects.filter(name__in={name for _, name in new}, user=author.pk)
        return list(own.order_by("name").values_list("name", flat=True))

    def fields(self, document: Json) -> Mapping[str, Any]:
        return {"service_time": durations.parse(document["spec"]["service_time"])}

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        """Write the row, and give its groups the rights that working on it needs (recorded as grants are).

        Raises:
            OwnRights: the author is in a group that would be added: nobody widens his own rights.
        """
        super().apply(change, actor=actor, change_id=change_id)
        if change.new is None:
            return
        queue = ReviewQueue.objects.get(name=change.key.name)
        wanted = list(Group.objects.filter(name__in=change.new["spec"]["groups"]))
        before = set(queue.groups.all())
        reason = f"review queue {queue.name}, change {change_id}"
        for verb in _VERBS:
            for group in wanted:
                if group not in before:
                    grants.grant(group, queue, verb, actor=actor, reason=reason)
            for group in before.difference(wanted):
                grants.revoke(group, queue, verb, actor=actor, reason=reason)
        queue.groups.set(wanted)
        skills = change.new["spec"].get("skills", {})
        groups = {
            group.name: group for group in Group.objects.filter(name__in={name for names in skills.values() for name in names})
        }
        queue.skills.all().delete()
        QueueSkill.objects.bulk_create(
            QueueSkill(queue=queue, name=skill, group=groups[name]) for skill, names in sorted(skills.items()) for name in names
        )


def visible_queues(user: Viewer) -> list[str]:
    """Ids of the queues whose events a person may see (the audit scope `queue`)."""
    return [str(pk) for pk in ReviewQueue.objects.visible_to(user).values_list("pk", flat=True)]


def _unmanned(spec: Json) -> list[Fault]:
    """Skills that nobody has who works on the queue. A queue that nobody works on yet is an alarm, not a fault: people come
    after the first configuration."""
    workers = User.objects.filter(is_active=True, groups__name__in=spec["groups"])
    skills: dict[str, list[str]] = spec.get("skills", {})
    if not skills or not workers.exists():
        return []
    return [
        Fault(f"/spec/skills/{skill}", f"nobody who works on this queue has it: none is in {', '.join(names)}",
              "put somebody of the queue's groups there first")
        for skill, names in skills.items()
        if not workers.filter(pk__in=User.objects.filter(groups__name__in=names)).exists()
    ]  # fmt: skip


def _still_asked(name: str, skills: Collection[str]) -> list[Fault]:
    """Skills that open items ask for and that would no longer be known: nobody could work on them."""
    rows = ReviewItem.objects.filter(queue__name=name, status__in=[ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED])
    asked = rows.exclude(skill="").exclude(skill__in=list(skills)).values_list("skill", flat=True).distinct().order_by("skill")
    return [
        Fault("/spec/skills", f"open items ask for the skill {skill!r}", "keep it until they are settled") for skill in asked
    ]


def _asked_by_runs(name: str, skills: Collection[str]) -> list[Fault]:
    """Skills that runs which have not ended may still ask for. Workflows that stand are linted again with the change; runs keep
    to the release they began with. Read only where a skill goes."""
    rows = QueueSkill.objects.filter(queue__name=name).exclude(name__in=list(skills))
    going = set(rows.values_list("name", flat=True))
    asking: dict[str, list[str]] = {}
    for release in _releases_under_way() if going else ():
        asked = {skill for _, queue, skill in skills_asked(_definition(release.document)) if queue == name}
        for skill in asked & going:
            asking.setdefault(skill, []).append(f"{release.workflow.name} version {release.version}")
    return [
        Fault("/spec/skills", f"runs that have not ended may still ask for the skill {skill!r} ({', '.join(where)})",
              "keep it until they end, or cancel them")
        for skill, where in sorted(asking.items())
    ]  # fmt: skip


def _releases_under_way() -> list[WorkflowRelease]:
    """Releases of runs that have not ended: few per workflow."""
    going = Run.objects.exclude(status__in=Run.TERMINAL)
    releases = WorkflowRelease.objects.filter(pk__in=going.values("release")).select_related("workflow")
    return list(releases.order_by("workflow__name", "version"))


def _named_by_runs(name: str) -> list[Fault]:
    """A fault if a run that has not ended may still send work to the queue.

    Runs keep to the release they began with, so the lint of the workflows that stand does not see it. Read on removal only:
    every release with such runs, few per workflow.
    """
    naming = [release for release in _releases_under_way() if _names_queue(release.document, name)]
    if not naming:
        return []
    count = Run.objects.exclude(status__in=Run.TERMINAL).filter(release__in=naming).count()
    where = ", ".join(f"{release.workflow.name} version {release.version}" for release in naming)
    runs = "a run that has not ended may" if count == 1 else f"{count:,} runs that have not ended may"
    return [Fault("", f"It cannot be removed: {runs} still send work to it ({where})", "let them end, or cancel them")]


def _names_queue(document: str, name: str) -> bool:
    return any(one.kind == "ReviewQueue" and one.name == name for one in references_of(_definition(document)))


def _definition(document: str) -> Definition:
    return parse.load(canonical.parse(document, max_bytes=len(document.encode()))["workflow"])


def _group_would_exist(name: str, overlay: Overlay) -> bool:
    role = overlay.get("Role", name)
    return Group.objects.filter(name=name).exists() or bool(role and role["spec"].get("people", False))
