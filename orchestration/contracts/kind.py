"""The kind `Contract`: one document per version of a message, "classification@1". A published version never changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from orchestration.contracts.checker import covers, schema_faults
from orchestration.contracts.models import Contract

NAME: Final = re.compile(r"([a-z][a-z0-9-]{0,60})@([1-9][0-9]{0,3})")
COMPATIBILITY: Final = ("none", "backward", "forward", "full")
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
                    "enum": list(COMPATIBILITY),
                    "default": "none",
                    "description": "What must hold towards the version before: backward = this one takes every message of it.",
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
        return [*root_faults(schema, "/spec/schema"), *_compatibility_faults(change.key.name, change.new["spec"], overlay)]

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


def _compatibility_faults(name: str, spec: Json, overlay: Overlay) -> Iterator[Fault]:
    """Only what is proven counts; a schema the library cannot compare must say compatibility none."""
    rule = spec.get("compatibility", "none")
    before = overlay.get("Contract", _sibling(name, -1)) if rule != "none" else None
    if before is None:
        return
    old, new = before["spec"]["schema"], spec["schema"]
    if rule in ("backward", "full") and not covers(new, old):
        yield Fault("/spec/compatibility", f"it is not proven that every message of {_sibling(name, -1)} keeps this version")
    if rule in ("forward", "full") and not covers(old, new):
        yield Fault("/spec/compatibility", f"it is not proven that every message of this version keeps {_sibling(name, -1)}")


def _sibling(name: str, step: int) -> str:
    message, _, version = name.partition("@")
    return f"{message}@{int(version) + step}"
