"""The kind `Role`: a column of the access matrix, for agents or for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import ExpressionInvalid, compile_condition
from aegis.core.kinds import Change, Overlay, envelope
from aegis.identity import people
from approvals.governed import DocumentKind
from orchestration.authority import confirming, exclusions, grant_documents, orphans, review_terms, scope_tests, shedding, tiers
from orchestration.authority.lookups import locks_on, policy_exists
from orchestration.authority.matrix import CONDITION_VARIABLES
from orchestration.authority.models import Role
from orchestration.authority.standing_before import last_document, last_granted
from orchestration.authority.widening import widened


class RoleKind(DocumentKind):
    name = "Role"
    title = "Roles"
    area = "access"
    order = 40
    model = Role
    schema = envelope(
        "Role",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["grants"],
            "properties": {
                "people": {
                    "type": "boolean",
                    "default": False,
                    "description": "A role of people is the group of the same name, made if there is none.",
                },
                "grants": {
                    "type": "array",
                    "maxItems": 500,
                    "description": "One cell per capability. No cell is a deny.",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["capability", "effect"],
                        "properties": {
                            "capability": {"type": "string", "minLength": 1, "maxLength": 80},
                            "effect": {"enum": ["allow", "gate", "deny"]},
                            "when": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "CEL; none = always."},
                            "policy": {"type": "string", "minLength": 1, "maxLength": 80, "description": "Who must say yes."},
                            "reason": {
                                "type": "string",
                                "minLength": 1,
                                "maxLength": 500,
                                "description": "Why this cell says so. Shown beside it; decides nothing.",
                            },
                            **grant_documents.SCHEMA,
                        },
                    },
                },
                "review": review_terms.SCHEMA,
                "tests": scope_tests.SCHEMA,
            },
        },
    )  # fmt: skip

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        faults: list[Fault] = []
        seen: set[str] = set()
        if change.key.name != change.key.name.strip():
            faults.append(Fault("/metadata/name", "begins or ends with a blank"))
        for index, grant in enumerate(change.new["spec"]["grants"]):
            where = f"/spec/grants/{index}"
            if grant["capability"] in seen:
                faults.append(Fault(f"{where}/capability", f"{grant['capability']} has a cell already; one per capability"))
            seen.add(grant["capability"])
            faults += _grant_faults(grant, where, overlay)
        old = change.old["spec"] if change.old else None
        faults += review_terms.faults(change.key.name, change.new["spec"], old, overlay)
        faults = faults or exclusions.of_role(change.key.name, change.new["spec"], overlay)
        if not faults and not _is_for_people(change.new):
            faults = orphans.faults(change.key.name, _said(_cells(change.old)), _said(_cells(change.new)), overlay)
        return faults or scope_tests.faults(change.new, overlay, change.old)

    def diff(self, change: Change) -> list[str]:
        old, new = _said(_cells(change.old)), _said(_cells(change.new))
        name = change.key.name
        sentences = [f"{name} {_may(capability, cell)}." for capability, cell in new.items() if capability not in old]
        for capability, cell in old.items():
            if capability not in new:
                sentences.append(f"{name} no longer has a say on {capability}; it {_may(capability, cell)} until now.")
            elif new[capability] != cell and _but_limits(new[capability]) == _but_limits(cell) and _has_limits(cell):
                sentences += grant_documents.changed(name, capability, cell, new[capability])
            elif new[capability] != cell:
                sentences.append(f"{name} {_may(capability, new[capability])}; until now it {_may(capability, cell)}.")
        if _is_for_people(change.old) != _is_for_people(change.new) and change.new is not None:
            whose = f"people in the group {name}" if _is_for_people(change.new) else "agents"
            sentences.insert(0, f"{name} is a role of {whose}.")
        sentences += _reasons_changed(name, _cells(change.old), _cells(change.new))
        sentences += _review_changed(change)[0]
        sentences += _tests_changed(change)[0]
        if change.new is None:
            return [f"Removes the role {name}.", *sentences]
        return sentences or super().diff(change)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        old, new = _said(_cells(change.old)), _said(_cells(change.new))
        touched = sorted(capability for capability in old.keys() | new.keys() if old.get(capability) != new.get(capability))
        held = [
            f"Floor lock {lock} holds {capability}, which this role's cell is about."
            for capability in touched
            for lock in locks_on(overlay, capability)
        ]
        gained = [
            f"{change.key.name} is a role of people, and its cell {capability} would let more through ({why})."
            for capability, why in widened(_cells_of_people(change.old), _cells_of_people(change.new), overlay)
        ]
        gained += _shed_by_people(change, overlay)
        risky = _risky(change, overlay)
        back = last_granted(
            change.key.name, [name for name in touched if _grants(new.get(name)) and not _grants(old.get(name))]
        )
        raised = [
            f"{change.key.name} may {capability} {why}{', as it stood when it last might' if capability in back else ''}."
            for capability in touched
            if (why := _limits_widened(back.get(capability, old.get(capability)), new.get(capability)))
        ]
        return [*held, *gained, *risky, *raised, *_review_changed(change)[1], *_tests_changed(change)[1]]

    def apply(self, change: Change, *, actor: Actor, change_id: Any) -> None:
        super().apply(change, actor=actor, change_id=change_id)
        if _is_for_people(change.new):
            people.create_group(change.key.name, actor=actor, reason=f"role {change.key.name}, change {change_id}")
        if change.new is not None:
            confirming.finish(change.key.name, change_id)


def _grant_faults(grant: Json, where: str, overlay: Overlay) -> list[Fault]:
    faults: list[Fault] = []
    if overlay.get("Capability", grant["capability"]) is None:
        faults.append(Fault(f"{where}/capability", f"there is no capability {grant['capability']!r}"))
    if grant["effect"] != "gate" and "policy" in grant:
        faults.append(Fault(f"{where}/policy", "only a gate has a policy"))
    elif grant["effect"] == "gate" and "policy" not in grant:
        faults.append(Fault(f"{where}/policy", "a gate names its approval policy"))
    elif "policy" in grant and not policy_exists(overlay, grant["policy"]):
        faults.append(Fault(f"{where}/policy", f"there is no approval policy {grant['policy']!r}"))
    if "when" in grant:
        try:
            compile_condition(grant["when"], CONDITION_VARIABLES)
        except ExpressionInvalid as error:
            found = error.faults or (Fault("", error.detail),)
            faults += [Fault(f"{where}/when {fault.where}".rstrip(), fault.what) for fault in found]
    capability = overlay.get("Capability", grant["capability"])
    return [*faults, *grant_documents.faults(grant, where, capability, lambda name: policy_exists(overlay, name))]


def _risky(change: Change, overlay: Overlay) -> Iterator[str]:
    """Of a role of agents. A cell that is emptied narrows, unless another role of an agent lets the same through."""
    name, old, new = change.key.name, _cells_of_agents(change.old), _cells_of_agents(change.new)
    for capability, why in widened(old, new, overlay):
        if capability in new and tiers.is_high(capability, overlay):
            yield f"{capability} counts as high risk, and {name}'s cell for it would let more through ({why})."
    for capability, what in shedding.cleared(name, old, new, overlay):
        if what == "limit" or tiers.is_high(capability, overlay):
            yield f"An agent with {name} and another role would shed the {what} of {name} on {capability}."


def _shed_by_people(change: Change, overlay: Overlay) -> Iterator[str]:
    """Limits of a role of people that go with a cell; gates and denies are found by `widened`."""
    name = change.key.name
    for capability, what in shedding.cleared_of_people(
        name, _cells_of_people(change.old), _cells_of_people(change.new), overlay
    ):
        if what == "limit":
            yield f"Whoever holds {name} and another role of people would shed the limit of {name} on {capability}."


def _limits_widened(old: Json | None, new: Json | None) -> str:
    """A limit is a guard, also of agents: one person alone raises none."""
    if old is None or new is None or "deny" in (old["effect"], new["effect"]):
        return ""
    return grant_documents.widened(old, new)


def _grants(cell: Json | None) -> bool:
    return cell is not None and cell["effect"] != "deny"


def _but_limits(cell: Json) -> Json:
    return {name: value for name, value in cell.items() if name not in grant_documents.SCHEMA}


def _has_limits(cell: Json) -> bool:
    return any(name in cell for name in grant_documents.SCHEMA)


def _cells(document: Json | None) -> Mapping[str, Json]:
    return {grant["capability"]: grant for grant in document["spec"]["grants"]} if document else {}


def _said(cells: Mapping[str, Json]) -> Mapping[str, Json]:
    """The cells without their reasons, which decide nothing."""
    return {name: {part: value for part, value in cell.items() if part != "reason"} for name, cell in cells.items()}


def _tests_changed(change: Change) -> tuple[list[str], list[str]]:
    """As `scope_tests.changed`. A scope test is a guard: one person alone drops none."""
    old, new = (document["spec"] if document else None for document in (change.old, change.new))
    return scope_tests.changed(change.key.name, old, new)


def _review_changed(change: Change) -> tuple[list[str], list[str]]:
    """As `review_terms.changed`. A role that was removed and is added again sheds nothing."""
    before = change.old or (last_document("Role", change.key.name) if change.new else None)
    old, new = (document["spec"] if document else None for document in (before, change.new))
    return review_terms.changed(change.key.name, old, new)


def _reasons_changed(role: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    kept = [name for name in old if name in new and old[name].get("reason") != new[name].get("reason")]
    return [f"The reason of {role} for {name} is now: {new[name].get('reason', 'none')}." for name in kept]


def _is_for_people(document: Json | None) -> bool:
    return bool(document and document["spec"].get("people", False))


def _cells_of_people(document: Json | None) -> Mapping[str, Json]:
    """What the role gives people: a role of agents gives them nothing."""
    return _cells(document) if _is_for_people(document) else {}


def _cells_of_agents(document: Json | None) -> Mapping[str, Json]:
    return {} if _is_for_people(document) else _cells(document)


def _may(capability: str, cell: Json) -> str:
    condition = f" if {cell['when']}" if cell.get("when") else ""
    limits = grant_documents.words(grant_documents.read(cell))
    within = f", {limits}" if limits else ""
    match cell["effect"]:
        case "allow":
            return f"may {capability} without asking{condition}{within}"
        case "gate":
            return f"may {capability} with an approval under {cell.get('policy', '?')}{condition}{within}"
        case _:
            return f"may not {capability}{condition}, whatever other roles say"
