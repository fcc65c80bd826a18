"""The kind `Capability`: a named action on a type of resource."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from approvals.policies import RISKS
from orchestration.authority import handlers, limits, owners, tiers
from orchestration.authority.lookups import locks_on
from orchestration.authority.models import Capability
from orchestration.authority.standing_before import last_document
from orchestration.contracts.checker import schema_faults
from orchestration.contracts.kind import mark_faults, root_faults

NAME: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")
_HANDLER: Json = {"type": "string", "pattern": "^[a-z][a-z0-9_.-]*$", "maxLength": 80}


class CapabilityKind(DocumentKind):
    name = "Capability"
    title = "Capabilities"
    area = "access"
    order = 30
    model = Capability
    schema = envelope(
        "Capability",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["resource", "risk", "safety", "handler", "parameters"],
            "properties": {
                "resource": {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$", "maxLength": 60},
                "risk": {"enum": ["low", "medium", "high"]},
                "safety": {
                    "enum": ["idempotent", "keyed", "unsafe"],
                    "description": "What a second try does. An unsafe effect whose outcome is unknown goes to a person.",
                },
                "handler": {**_HANDLER, "description": "Who carries it out: a record handler of ours, or a registered one."},
                "parameters": {
                    "type": "object",
                    "description": "JSON Schema 2020-12 of the parameters; its root is an object.",
                },
                "compensation": {
                    "type": "string",
                    "pattern": f"^{NAME.pattern}$",
                    "maxLength": 80,
                    "description": "The capability that undoes it, if one can; on the same type of resource.",
                },
                "reveals": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 120},
                    "maxItems": 50,
                    "description": "Masked fields that holding this capability shows.",
                },
                "excludes": {
                    "type": "array",
                    "uniqueItems": True,
                    "maxItems": 50,
                    "items": {"type": "string", "minLength": 1, "maxLength": 80},
                    "description": "Capabilities that nobody may hold beside it, through whatever roles; it counts both ways.",
                },
                "owner": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 150,
                    "description": "User name of the one person who decides about it; the same for all of a resource type.",
                },
                "requester_too": {
                    "type": "boolean",
                    "default": False,
                    "description": "The person who asked must hold it too; the stricter answer counts.",
                },
                **limits.SCHEMA,
            },
        },
    )

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        spec = change.new["spec"]
        faults: list[Fault] = []
        if not NAME.fullmatch(change.key.name):
            faults.append(Fault("/metadata/name", "a capability is named <resource>.<action>, such as ticket.reply"))
        elif change.key.name.split(".")[0] != spec["resource"]:
            faults.append(Fault("/spec/resource", f"its name says it acts on {change.key.name.split('.')[0]}"))
        if not handlers.is_known(spec["handler"]):
            faults.append(Fault("/spec/handler", f"there is no handler {spec['handler']!r}"))
        faults += _exclusion_faults(change.key.name, spec, overlay)
        faults += owners.faults(change.key.name, spec, overlay)
        faults += _compensation_faults(change.key.name, spec, overlay)
        faults += limits.faults(spec)
        found = [
            Fault(f"/spec/parameters{fault.where}", fault.what, fault.remedy) for fault in schema_faults(spec["parameters"])
        ]
        where = "/spec/parameters"
        return [*faults, *(found or [*root_faults(spec["parameters"], where), *mark_faults(spec["parameters"], where)])]

    def diff(self, change: Change) -> list[str]:
        old, new = (document["spec"] if document else None for document in (change.old, change.new))
        return limits.worded(super().diff(change), old, new, change.key.name)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        if change.old == change.new:
            return []
        said = [f"Floor lock {lock} holds {change.key.name}." for lock in locks_on(overlay, change.key.name)]
        if change.new is None:
            return said
        name, new = change.key.name, change.new["spec"]
        if (before := change.old or last_document("Capability", name)) is not None:  # removed and added again sheds nothing
            said += limits.widened(before["spec"], new, name)
            said += _loosened(name, before["spec"], new)
        same = tiers.twins(name, change.old["spec"] if change.old else None, new, overlay)
        said += [
            f"{name} would do what {other} does, which counts as high risk; under {new['risk']} risk that needs two people."
            for other in same
        ]
        return said


def _exclusion_faults(name: str, spec: Json, overlay: Overlay) -> Iterator[Fault]:
    """That nobody holds both is asked of each role and agent, also of those that stand (`role_kind`, `agents.kind`)."""
    for index, other in enumerate(spec.get("excludes", [])):
        if other == name:
            yield Fault(f"/spec/excludes/{index}", "a capability cannot exclude itself", "name another one")
        elif overlay.get("Capability", other) is None:
            yield Fault(f"/spec/excludes/{index}", f"there is no capability {other!r}")


def _loosened(name: str, old: Json, new: Json) -> Iterator[str]:
    """What one person alone must not take away: that two are not held together, who answers and who must hold it too, how
    much it matters, that a second try is asked for, and what its grants were given for."""
    for other in sorted(set(old.get("excludes", [])) - set(new.get("excludes", []))):
        yield f"{name} and {other} may be held together."
    if "owner" in old and old["owner"] != new.get("owner"):
        yield f"{old['owner']} would no longer decide about {name}; another owner needs two people."
    if old.get("requester_too") and not new.get("requester_too"):
        yield f"Who asks for {name} need not hold it any more."
    if RISKS.index(new["risk"]) < RISKS.index(old["risk"]):
        yield f"{name} counts as {new['risk']} risk, no longer as {old['risk']}."
    if old["safety"] == "unsafe" and new["safety"] != "unsafe":
        yield f"{name} may be tried again unseen: it counts as {new['safety']}, no longer as unsafe."
    if old["handler"] != new["handler"]:
        yield f"{name} would do something else: {new['handler']} carries it out, no longer {old['handler']}."


def _compensation_faults(name: str, spec: Json, overlay: Overlay) -> list[Fault]:
    """What undoes it is another capability, on the same type, that can do so with what is known afterwards."""
    undoing = spec.get("compensation")
    if undoing is None:
        return []
    where = "/spec/compensation"
    other = overlay.get("Capability", undoing)
    if undoing == name:
        return [Fault(where, "a capability cannot undo itself", "name another one")]
    if other is None:
        return [Fault(where, f"there is no capability {undoing!r}", "name a capability, not a handler, and add it first")]
    if other["spec"]["resource"] != spec["resource"]:
        return [Fault(where, f"{undoing} acts on {other['spec']['resource']}, this one on {spec['resource']}")]
    if other["spec"]["handler"] == "record.restore" and not spec["handler"].startswith("record."):
        return [
            Fault(where, f"{undoing} puts an earlier record back; this one changes no record", "name one that acts outside")
        ]
    return []
