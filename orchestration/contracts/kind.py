"""The kind `Contract`: one document per version of a message, "classification@1". A published version never changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from orchestration.contracts import compatibility, marks
from orchestration.contracts.checker import schema_faults
from orchestration.contracts.models import Contract

NAME: Final = re.compile(r"([a-z][a-z0-9-]{0,60})@([1-9][0-9]{0,3})")
Named = tuple[str, Json]  # name and schema
_NAME_FAULT: Final = Fault("/metadata/name", "a contract is named <message>@<version>, such as classification@1")


class ContractKind(DocumentKind):
    name = "Contract"
    title = "Contracts"
    area = "contracts"
    order = 10
    model = Contract
    schema = envelope(
        "Contract",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["schema"],
            "properties": {
                "schema": {"type": "object", "description": "JSON Schema 2020-12 of the message; its root is an object."},
                "compatibility": {
                    "enum": list(compatibility.RULES),
                    "default": "none",
                    "description": "What must hold towards the version before: backward = this one takes every message of it,"
                    " forward = it takes every message of this one, full = both.",
                },
            },
        },
    )

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        if not NAME.fullmatch(change.key.name):
            return [_NAME_FAULT]
        if change.old is not None and change.old["spec"] != change.new["spec"]:
            remedy = f"publish {_sibling(change.key.name, 1)}"
            return [Fault("/spec", "a published version never changes", remedy)]
        schema = change.new["spec"]["schema"]
        if faults := [Fault(f"/spec/schema{fault.where}", fault.what, fault.remedy) for fault in schema_faults(schema)]:
            return faults
        if faults := [*root_faults(schema, "/spec/schema"), *mark_faults(schema, "/spec/schema")]:
            return faults
        return [
            *_reveal_faults(change.key.name, schema, overlay),
            *_compatibility_faults(change.key.name, change.new["spec"], overlay),
        ]

    def diff(self, change: Change) -> list[str]:
        if change.old is None and change.new is not None:
            fields = ", ".join(sorted(change.new["spec"]["schema"].get("properties", {}))) or "no fields"
            return [f"Publishes contract {change.key.name} with {fields}."]
        return super().diff(change)


def root_faults(schema: Json, where: str) -> list[Fault]:
    """What a message's schema must say at its root: an object, and whether unknown fields pass."""
    faults: list[Fault] = []
    if schema.get("type") != "object":
        faults.append(Fault(f"{where}/type", "the root of a message is an object", 'write "type": "object"'))
    if "additionalProperties" not in schema and "unevaluatedProperties" not in schema:
        what = "say whether fields the contract does not name pass"
        faults.append(Fault(f"{where}/additionalProperties", what, "false refuses them"))
    return faults


def mark_faults(schema: Json, where: str) -> list[Fault]:
    """What is wrong with what a message's schema says about its fields."""
    return [Fault(f"{where}{fault.where}", fault.what, fault.remedy) for fault in marks.faults(schema)]


def _reveal_faults(name: str, schema: Json, overlay: Overlay) -> Iterator[Fault]:
    """A field that nobody could ever be shown is a mistake: the right to see it is a capability."""
    for kind in sorted(marks.types_of(marks.Marked(schema, split(name)[0]))):
        wanted = marks.capability_of(kind)
        if overlay.get("Capability", wanted) is None:
            what = f"has sensitive fields, and there is no capability {wanted} that would show them"
            yield Fault("/spec/schema", what, f"add the capability {wanted}, with the handler portal.reveal")


def _compatibility_faults(name: str, spec: Json, overlay: Overlay) -> Iterator[Fault]:
    """Towards the newest version before it by its own rule; towards the one after it, if that stands, by that one's."""
    own = (name, spec["schema"])
    before, after = _neighbour(name, overlay, step=-1), _neighbour(name, overlay, step=1)
    if before is not None:
        yield from _losses(spec.get("compatibility", "none"), before[0], own, "change the schema, or say compatibility none")
    if after is not None:
        yield from _losses(after[1], own, after[0], f"change the schema; {after[0][0]} stands and promised it")


def _losses(rule: str, old: Named, new: Named, remedy: str) -> Iterator[Fault]:
    for loss in compatibility.check(rule, old, new):
        yield Fault("/spec/compatibility", f"it is not {rule}: {loss.sentence}", remedy)


def _neighbour(name: str, overlay: Overlay, *, step: int) -> tuple[Named, str] | None:
    """The nearest other version of the same message, as it would stand, with its rule; None without one that can be compared.

    Args:
        step: -1 for the one before, 1 for the one after.
    """
    message, number = split(name)
    numbers = [split(other)[1] for other in overlay.names("Contract") if split(other)[0] == message]
    nearest = min((other for other in numbers if (other - number) * step > 0), key=lambda other: abs(other - number), default=0)
    document = overlay.get("Contract", f"{message}@{nearest}") if nearest else None
    if document is None or schema_faults(document["spec"]["schema"]):  # its own faults are told where it stands
        return None
    return (f"{message}@{nearest}", document["spec"]["schema"]), document["spec"].get("compatibility", "none")


def split(name: str) -> tuple[str, int]:
    """Message and number of a version: "classification@2" -> ("classification", 2)."""
    found = NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, 0)


def _sibling(name: str, step: int) -> str:
    message, _, version = name.partition("@")
    return f"{message}@{int(version) + step}"
