"""The kind `Workflow`. Applying a document publishes the next version; runs under way keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay
from aegis.core.visibility import Viewer, groups_with
from aegis.identity import grants
from approvals.governed import DocumentKind
from orchestration.workflows import parse, wording
from orchestration.workflows.definition import RunStep
from orchestration.workflows.lint import lint
from orchestration.workflows.models import Workflow

#: What the owning group may do with its workflow from the first version on.
OWNER_RIGHTS: Final = ("view", "start", "operate", "edit")


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """The engine's part of publishing: `faults` tries the samples of a document, `touches` says whether that is called for."""

    faults: Callable[[Json, Overlay], Iterable[Fault]]
    touches: Callable[[Json, Overlay], bool]


_rehearsals: Rehearsals | None = None


def register_rehearsals(rehearsals: Rehearsals) -> None:
    """Called by the engine at start-up: this room does not know it."""
    global _rehearsals
    _rehearsals = rehearsals


class WorkflowKind(DocumentKind):
    name = "Workflow"
    title = "Workflows"
    area = "workflows"
    order = 80
    schema = parse.SCHEMA
    model = Workflow

    def shape_faults(self, document: Json) -> list[Fault]:
        return parse.faults_of(document)

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        # A workflow that only stands beside the change must not hold back a lock, or a right being withdrawn: the live matrix
        # takes care of those. Whoever publishes the workflow again is told.
        faults = lint(change.new, overlay, with_rights=change.old != change.new)
        if not faults and not _group_would_exist(change.new["metadata"]["owner"], overlay):
            owner = change.new["metadata"]["owner"]
            faults.append(Fault("/metadata/owner", f"there is no group {owner!r}", "name a group or a role of people"))
        if not faults:
            faults += self._sample_faults(change, overlay)
        return faults

    def _sample_faults(self, change: Change, overlay: Overlay) -> list[Fault]:
        """Samples are tried when their workflow is published, and when something it pins changes beside it.

        Not when a right is withdrawn: that must never be held back.
        """
        document = change.new
        if document is None or not document["spec"].get("samples"):
            return []
        if _rehearsals is None:
            return [Fault("/spec/samples", "samples cannot be tried here, so the workflow cannot be published")]
        if change.old == change.new and not _rehearsals.touches(document, overlay):
            return []
        return list(_rehearsals.faults(document, overlay))

    def diff(self, change: Change) -> list[str]:
        return wording.sentences(change.old, change.new, change.key.name)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        if change.old is None or change.new is None:
            return []
        before, after = change.old["metadata"]["owner"], change.new["metadata"]["owner"]
        if before == after:
            return []
        return [f"Workflow {change.key.name} would pass from {before} to {after}, with the right to see and operate its runs."]

    def missing(self, change: Change, author: Viewer) -> str:
        """A definition must not start for its author what he may not start: of the workflows it newly runs he needs `start`, or
        `edit`, with which he could make them do anything. One that comes with the same change he writes himself."""
        for name in sorted(_run_by(change.new) - _run_by(change.old)):
            rows = Workflow.objects.filter(name=name)
            row = rows.first()
            if row is not None and not any(rows.visible_to(author, verb).exists() for verb in ("start", "edit")):
                holders = ", ".join(groups_with(row, "start")) or "nobody yet"
                return f"This would run the workflow “{name}”, and “start” on it is granted to: {holders}"
        return ""

    def fields(self, document: Json) -> Mapping[str, Any]:
        return {"owner": Group.objects.get(name=document["metadata"]["owner"])}

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        """Write the row and give the owning group its rights.

        They are granted by SYSTEM: they follow from the document, and the change set says who wrote that and who approved it.
        """
        super().apply(change, actor=actor, change_id=change_id)
        before = change.old["metadata"]["owner"] if change.old else ""
        after = change.new["metadata"]["owner"] if change.new else ""
        if before == after or change.new is None:
            return
        workflow = Workflow.objects.select_related("owner").get(name=change.key.name)
        reason = f"Owner of workflow {workflow.name}, change {change_id}"
        for verb in OWNER_RIGHTS:
            grants.grant(workflow.owner, workflow, verb, actor=SYSTEM, reason=reason)
        if former := Group.objects.filter(name=before).first():
            for verb in OWNER_RIGHTS:
                grants.revoke(former, workflow, verb, actor=SYSTEM, reason=f"No longer {reason[0].lower()}{reason[1:]}")


def _run_by(document: Json | None) -> set[str]:
    """The workflows that a document runs, at whatever depth."""
    if document is None:
        return set()
    steps = (step for scope in parse.load(document).scopes() for step in scope.steps)
    return {step.workflow for step in steps if isinstance(step, RunStep)}


def _group_would_exist(name: str, overlay: Overlay) -> bool:
    role = overlay.get("Role", name)
    return Group.objects.filter(name=name).exists() or bool(role and role["spec"].get("people", False))
