"""The kind `FloorLock`: a floor under a capability's gate.

A lock document is written once and never changed or removed; the table refuses it too. A lock ends by another one that names it
in `ends`, with or without a floor of its own. Every such change needs two people (its guards say so).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from orchestration.authority.lookups import documents, ended_locks, locks_on
from orchestration.authority.matrix import PolicyRules, at_least_as_strict
from orchestration.authority.models import FloorLock
from orchestration.authority.rules import policy_rules, rules_of

_KINDS = {"law": "the law", "contract": "a contract", "business": "a business rule"}


class FloorLockKind(DocumentKind):
    name = "FloorLock"
    title = "Floor locks"
    area = "access"
    order = 50
    model = FloorLock
    schema = envelope(
        "FloorLock",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["basis", "owner"],
            "properties": {
                "capability": {"type": "string", "minLength": 1, "maxLength": 80},
                "policy": {"type": "string", "minLength": 1, "maxLength": 80, "description": "The least that must be asked."},
                "kind": {"enum": list(_KINDS)},
                "basis": {"type": "string", "minLength": 1, "maxLength": 500, "description": "Where the demand is written."},
                "owner": {"type": "string", "minLength": 1, "maxLength": 80, "description": "The group that answers for it."},
                "review_date": {"type": "string", "format": "date"},
                "ends": {"type": "string", "minLength": 1, "maxLength": 80, "description": "The earlier lock this one ends."},
            },
            "dependentRequired": {"capability": ["policy", "kind"], "policy": ["capability"], "kind": ["capability"]},
            "anyOf": [{"required": ["capability"]}, {"required": ["ends"]}],
        },
    )

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return [Fault("", "a floor lock is never removed", f"add a lock with ends: {change.key.name}")]
        if change.old is not None and change.old != change.new:
            return [Fault("", "a floor lock never changes", "end it by another one")]
        if change.key.name in ended_locks(dict(documents(overlay, "FloorLock"))):
            return []
        spec = change.new["spec"]
        faults: list[Fault] = []
        if "capability" in spec and overlay.get("Capability", spec["capability"]) is None:
            faults.append(Fault("/spec/capability", f"there is no capability {spec['capability']!r}"))
        if "review_date" in spec and not _is_date(spec["review_date"]):
            faults.append(Fault("/spec/review_date", "is no date like 2027-03-31"))
        if "policy" in spec:
            faults += _policy_faults(change, overlay)
        return [*faults, *(_ending_faults(change.key.name, spec, overlay) if change.old is None else [])]

    def diff(self, change: Change) -> list[str]:
        if change.old is not None or change.new is None:
            return super().diff(change)
        spec = change.new["spec"]
        sentences = []
        if "capability" in spec:
            sentences.append(
                f"{spec['capability']} will always need an approval at least as strict as {spec['policy']}, "
                f"because of {_KINDS[spec['kind']]}: {spec['basis']}"
            )
        if "ends" in spec:
            sentences.append(f"Ends the floor lock {spec['ends']}: {spec['basis']}")
        return sentences

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        return (
            [] if change.old == change.new else [f"{change.key.name} is a floor lock: setting or ending one needs two people."]
        )

    def fields(self, document: Json) -> Mapping[str, Any]:
        """The floor as it stands now: what the policy asks on this day is what the lock holds to."""
        policy = document["spec"].get("policy")
        return {"floor": canonical.dump(policy_rules(policy)).decode() if policy else ""}


def _policy_faults(change: Change, overlay: Overlay) -> list[Fault]:
    """Would the policies that stand after the change meet the floor: this lock's, and with it those on the same capability?"""
    spec = (change.new or {})["spec"]
    document = overlay.get("ApprovalPolicy", spec["policy"])
    if document is None:
        return [Fault("/spec/policy", f"there is no approval policy {spec['policy']!r}")]
    now = PolicyRules.read(spec["policy"], rules_of(document))
    kept = FloorLock.objects.filter(name=change.key.name).values_list("floor", flat=True).first()
    if kept and not at_least_as_strict(now, PolicyRules.read(spec["policy"], canonical.parse(kept))):
        return [Fault("/spec/policy", f"{spec['policy']} would ask less than on the day this lock was set")]
    others = [overlay.get("FloorLock", name) or {} for name in locks_on(overlay, spec["capability"])]
    names = sorted({spec["policy"], *(other["spec"]["policy"] for other in others)})
    found = [(name, overlay.get("ApprovalPolicy", name)) for name in names]
    rules = [PolicyRules.read(name, rules_of(policy)) for name, policy in found if policy is not None]
    if any(all(at_least_as_strict(one, other) for other in rules) for one in rules):
        return []
    what = f"no policy is as strict as each of {', '.join(names)}, which the locks on {spec['capability']} demand together"
    return [Fault("/spec/policy", what, "name one policy that is")]


def _ending_faults(name: str, spec: Json, overlay: Overlay) -> list[Fault]:
    if "ends" not in spec:
        return []
    locks = dict(documents(overlay, "FloorLock"))
    others = {other: lock for other, lock in locks.items() if other != name}
    if spec["ends"] not in others:
        return [Fault("/spec/ends", f"there is no other floor lock {spec['ends']!r}")]
    if spec["ends"] in ended_locks(others):
        return [Fault("/spec/ends", f"{spec['ends']} has ended already")]
    return []


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
