"""The kind `RetiredVersion`: no new run starts on a version of a workflow, runs under way keep it to their end.

A document is no row of its own: it says what `Workflow.retired_versions` says. Whoever may edit the workflow may propose it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import API_VERSION, Change, Key, Overlay, envelope
from approvals import shapes
from orchestration.engine.guards.models import Halt
from orchestration.workflows.models import Workflow

KIND = "RetiredVersion"


def document_of(workflow: str, version: int) -> Json:
    spec = {"workflow": workflow, "version": version}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": f"{workflow}@{version}"}, "spec": spec}


class RetiredVersionKind:
    name = KIND
    title = "Retired versions"
    area = "workflows"
    order = 85  # after the workflow, so that one change set may replace a version and retire it
    is_portable = False  # a number names a version of this installation
    schema = envelope(
        KIND,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["workflow", "version"],
            "properties": {
                "workflow": {"type": "string", "minLength": 1, "maxLength": 80},
                "version": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            },
        },
    )

    def names(self) -> list[str]:
        rows = Workflow.objects.exclude(retired_versions=[]).order_by("name").values_list("name", "retired_versions")
        return [f"{name}@{number}" for name, numbers in rows for number in numbers]

    def dump(self, name: str) -> Json | None:
        row, number = self.row(name), _number(name)
        return document_of(row.name, number) if row is not None and number in row.retired_versions else None

    def row(self, name: str) -> Workflow | None:
        """The workflow: its rights govern the document."""
        return Workflow.objects.filter(name=name.rpartition("@")[0]).first()

    def shape_faults(self, document: Json) -> Iterable[Fault]:
        if faults := shapes.faults_of(self.name, self.schema, document):
            return faults
        spec = document["spec"]
        wanted = document_of(spec["workflow"], spec["version"])
        if document["metadata"]["name"] != wanted["metadata"]["name"]:
            return [Fault("/metadata/name", f"does not say what the spec does; write {wanted['metadata']['name']}")]
        if document != wanted:
            return [Fault("/metadata", "says more than the name", "the reason goes with the change set")]
        return []

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            is_gone = overlay.get("Workflow", change.key.name.rpartition("@")[0]) is None
            remedy = "apply its text again: it becomes a new version"
            return [] if is_gone else [Fault("", "a version is retired for good", remedy)]
        if change.old is not None:
            return []
        name, version = change.new["spec"]["workflow"], change.new["spec"]["version"]
        row, document = Workflow.objects.filter(name=name).first(), overlay.get("Workflow", name)
        if row is None or document is None:
            return [Fault("/spec/workflow", f"there is no workflow {name!r}")]
        if version > row.version:
            return [Fault("/spec/version", f"{name} has versions 1 to {row.version}")]
        is_replaced = Key("Workflow", name) in overlay.changes
        if version == row.version and not is_replaced and not is_halted(row):
            remedy = "publish another one with this change or before it, or halt the workflow first"
            return [Fault("/spec/version", "it is the current one: new runs start on it", remedy)]
        return []

    def diff(self, change: Change) -> list[str]:
        name, _, number = change.key.name.rpartition("@")
        if change.new is None:
            return [f"Forgets that version {number} of workflow “{name}” was retired, together with the workflow."]
        return [
            f"Retires version {number} of workflow “{name}”, for good: no new run starts on it, by itself or for another"
            " workflow. Runs under way keep it."
        ]

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        """A workflow under dual control does not lose a version by one person alone."""
        row = self.row(change.key.name)
        document = None if row is None else Overlay().get("Workflow", row.name)
        is_marked = document is not None and document["metadata"].get("dual_control", False)
        return [f"Workflow/{change.key.name.rpartition('@')[0]} is under dual control."] if is_marked else []

    def missing(self, change: Change, author: Any) -> str:
        return ""

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        name, number = change.key.name.rpartition("@")[0], _number(change.key.name)
        row = Workflow.objects.select_for_update().get(name=name)
        row.retired_versions = sorted({*row.retired_versions, number} - ({number} if change.new is None else set()))
        row._change_reason = str(change_id)  # simple-history's protocol
        row.save(update_fields=["retired_versions"])


def is_halted(row: Workflow) -> bool:
    halts = Halt.objects.filter(status=Halt.Status.STANDING)
    return (
        halts.filter(scope=Halt.Scope.EVERYTHING).exists()
        or halts.filter(scope=Halt.Scope.WORKFLOW, target=str(row.pk)).exists()
    )


def _number(name: str) -> int:
    """0 where the name ends in no number: a version that there never is."""
    text = name.rpartition("@")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
