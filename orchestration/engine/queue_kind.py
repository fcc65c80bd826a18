"""The kind `ReviewQueue`: a list of work waiting for people, with owner and service time."""

from __future__ import annotations

from collections.abc import Mapping
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
from aegis.identity.models import Area
from approvals.governed import DocumentKind
from orchestration.engine.models import ReviewQueue, Run
from orchestration.workflows import parse
from orchestration.workflows.models import WorkflowRelease
from orchestration.workflows.references import references_of

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
        for where, name in [*places, ("/spec/owner", spec["owner"])]:
            if not _group_would_exist(name, overlay):
                faults.append(Fault(where, f"there is no group {name!r}"))
        try:
            durations.parse(spec["service_time"])
        except durations.DurationInvalid as error:
            faults.append(Fault("/spec/service_time", error.faults[0].what))
        return faults

    def missing(self, change: Change, author: Viewer) -> str:
        """Applying gives its groups rights: not for whom may grant none, or is in a group that would come."""
        if change.new is None:
            return ""
        rows = ReviewQueue.objects.filter(name=change.key.name, groups__isnull=False)
        standing = set(rows.values_list("groups__name", flat=True))
        wanted = set(change.new["spec"]["groups"])
        if wanted != standing and not Area.objects.visible_to(author, "edit").filter(name="access").exists():
            return f"Other groups of {change.key} get or lose rights, which needs “edit” on the area “access”"
        own = Group.objects.filter(name__in=wanted - standing, user=author.pk).order_by("name").values_list("name", flat=True)
        if own:
            return f"{change.key} would let “{own[0]}” in, and you are in it; somebody who is not must propose this"
        return ""

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


def visible_queues(user: Viewer) -> list[str]:
    """Ids of the queues whose events a person may see (the audit scope `queue`)."""
    return [str(pk) for pk in ReviewQueue.objects.visible_to(user).values_list("pk", flat=True)]


def _named_by_runs(name: str) -> list[Fault]:
    """A fault if a run that has not ended may still send work to the queue.

    Runs keep to the release they began with, so the lint of the workflows that stand does not see it. Read on removal only:
    every release with such runs, few per workflow.
    """
    going = Run.objects.exclude(status__in=Run.TERMINAL)
    releases = WorkflowRelease.objects.filter(pk__in=going.values("release")).select_related("workflow")
    naming = [release for release in releases.order_by("workflow__name", "version") if _names_queue(release.document, name)]
    if not naming:
        return []
    count = going.filter(release__in=naming).count()
    where = ", ".join(f"{release.workflow.name} version {release.version}" for release in naming)
    runs = "a run that has not ended may" if count == 1 else f"{count:,} runs that have not ended may"
    return [Fault("", f"It cannot be removed: {runs} still send work to it ({where})", "let them end, or cancel them")]


def _names_queue(document: str, name: str) -> bool:
    definition = parse.load(canonical.parse(document, max_bytes=len(document.encode()))["workflow"])
    return any(one.kind == "ReviewQueue" and one.name == name for one in references_of(definition))


def _group_would_exist(name: str, overlay: Overlay) -> bool:
    role = overlay.get("Role", name)
    return Group.objects.filter(name=name).exists() or bool(role and role["spec"].get("people", False))
