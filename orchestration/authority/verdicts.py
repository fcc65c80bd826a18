"""May this principal cause this effect? Pure over one matrix version and recorded facts (DESIGN section 6).

Default deny. Deny wins over gate, gate over allow, over all roles of the principal. A condition that ends in error never
widens: it is no grant under allow, and a match under gate or deny. Floor locks are applied last, whatever the rows say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import Bound, Failed, bind
from orchestration.authority.matrix import (
    CONDITION_VARIABLES,
    EMPTY,
    AgentEntry,
    Capability,
    Effect,
    Grant,
    Lock,
    Matrix,
    PolicyRules,
    Role,
    at_least_as_strict,
    load,
    weight,
)

__all__ = [
    "EMPTY", "AgentEntry", "Answer", "Capability", "Considered", "Grant", "Lock", "Matrix", "Principal", "Resource", "Role",
    "Verdict", "decide", "load", "stricter",
]  # fmt: skip

Answer = Literal["allow", "gate", "deny"]
Code = Literal[
    "granted", "gated", "locked", "denied", "no_grant", "unknown_capability", "resource_type", "unknown_principal",
    "agent_disabled", "parameters", "requester", "policy_missing", "floor_unmet",
]  # fmt: skip

_STRICTNESS: Final[Mapping[str, int]] = {"allow": 0, "gate": 1, "deny": 2}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who wants the effect. An agent's roles come from the matrix; `roles` counts for people only (their live group names)."""

    kind: Literal["user", "agent"]
    ref: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """What the effect is on: "ticket", "T-1042"."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Considered:
    """One cell that was asked, and what came of it. `holds` is None when its condition could not be judged.

    `asked` says for whom: the principal itself, or the requester it acts for.
    """

    grant: Grant
    holds: bool | None
    error: str = ""
    asked: Literal["principal", "requester"] = "principal"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The matrix's answer to one proposal.

    Attributes:
        code: why, as a stable word.
        policy: name of the approval policy; only with "gate".
        grants: "role/capability" of the cells that led to the answer.
        locks: the floor locks on the capability. With any, no fast path is taken, also where no lock had to raise the answer.
        raised_by: the locks that made it stricter than the grants.
        matrix: number of the matrix version asked.
        reason: one sentence made of configuration names alone; safe in an event line.
        errors: "role/capability: reason" of conditions that could not be judged; may quote facts, so keep it in a payload.
        faults: what is wrong with the parameters; only with code "parameters".
    """

    answer: Answer
    code: Code
    capability: str
    principal: str
    matrix: int
    reason: str
    policy: str = ""
    grants: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    raised_by: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    capability_digest: str = ""
    risk: str = "high"
    safety: str = "unsafe"
    handler: str = ""
    compensation: str = ""
    considered: tuple[Considered, ...] = field(default=(), compare=False)

    @property
    def lock(self) -> str:
        """The locks as one text, for a column; "" if there is none."""
        return ", ".join(self.locks)

    def line_data(self) -> dict[str, Json]:
        """What an event line records of it: configuration names, codes and counts only."""
        return {
            "answer": self.answer,
            "code": self.code,
            "policy": self.policy,
            "grants": list(self.grants),
            "locks": list(self.locks),
            "raised_by": list(self.raised_by),
            "errors": len(self.errors),
            "capability_digest": self.capability_digest,
            "risk": self.risk,
        }


def decide(matrix: Matrix, principal: Principal, capability: str, resource: Resource, facts: Mapping[str, Json]) -> Verdict:
    """Answer one proposal. Total: whatever cannot be judged is a deny with its code, never an exception.

    Args:
        facts: recorded facts: "parameters", "record" (current body, {} if none), "requester" ({"id", "roles"}, {} if nobody).
            The rest of what conditions see (capability, resource, principal) is taken from the arguments, so no caller, and no
            agent through one, can say otherwise.
    """
    name, roles, refusal = _identity(matrix, principal)
    asked = matrix.capabilities.get(capability)
    if asked is None:
        # The name was typed by whoever proposed it, so it stays out of the verdict, which lines quote.
        return Verdict("deny", "unknown_capability", "", name, matrix.number, "There is no such capability.")
    blank = _blank(matrix, asked, name)
    if refusal is not None:
        code, reason = refusal
        return replace(blank, code=code, reason=reason)
    if resource.type != asked.resource:
        reason = f"{capability} acts on resources of type {asked.resource}, not on this one."
        return replace(blank, code="resource_type", reason=reason)
    if faults := asked.parameters.faults(facts.get("parameters")):
        reason = f"The parameters break the contract of {capability}."
        return replace(blank, code="parameters", reason=reason, faults=tuple(faults))

    identity: dict[str, Json] = {"kind": principal.kind, "id": principal.ref, "name": name, "roles": sorted(roles)}
    visible = _visible(asked, resource, facts, identity)
    verdict = _asked(matrix, blank, asked, roles, visible, principal.kind == "user", "principal")
    if asked.requester_too:
        verdict = stricter(matrix, verdict, _asked_for_requester(matrix, blank, asked, resource, facts))
    return _with_floor(matrix, verdict)


def _identity(matrix: Matrix, principal: Principal) -> tuple[str, frozenset[str], tuple[Code, str] | None]:
    """Name for sentences, roles that count, and why this principal gets nothing at all (if so)."""
    if principal.kind == "user":
        return "This person", frozenset(principal.roles), None
    entry = matrix.agents.get(principal.ref) if principal.kind == "agent" else None
    if entry is None:
        return "This principal", frozenset(), ("unknown_principal", "The matrix does not know this principal.")
    if not entry.is_enabled:
        return entry.name, entry.roles, ("agent_disabled", f"Agent {entry.name} is disabled.")
    return entry.name, entry.roles, None


def _visible(asked: Capability, resource: Resource, facts: Mapping[str, Json], identity: Json) -> dict[str, Json]:
    return {
        "capability": asked.name,
        "resource": {"type": resource.type, "id": resource.id},
        "parameters": facts.get("parameters"),
        "record": _mapping(facts.get("record")),
        "requester": _mapping(facts.get("requester")),
        "principal": identity,
    }


def _asked(
    matrix: Matrix,
    blank: Verdict,
    asked: Capability,
    roles: Iterable[str],
    visible: Mapping[str, Json],
    is_person: bool,
    whom: Literal["principal", "requester"],
) -> Verdict:
    """Deny over gate over allow, over the cells of these roles. Roles of agents give people nothing."""
    considered: list[Considered] = []
    facts = bind(visible, CONDITION_VARIABLES)
    for role_name in sorted(set(roles)):
        role = matrix.roles.get(role_name)
        if role is None or (is_person and not role.is_for_people):
            continue
        if grant := role.grants.get(asked.name):
            considered.append(_judged(grant, facts, whom))
    errors = tuple(f"{_cell(one.grant)}: {one.error}" for one in considered if one.holds is None)
    verdict = replace(blank, errors=errors, considered=tuple(considered))

    if denies := _matching(considered, "deny"):
        reason = f"{_roles_of(denies)} denies {asked.name}."
        return replace(verdict, code="denied", grants=_cells(denies), reason=reason)
    if gates := _matching(considered, "gate"):
        return _gate(matrix, verdict, gates)
    if allows := [one for one in considered if one.grant.effect == "allow" and one.holds]:
        reason = f"{_roles_of(allows)} allows {asked.name}."
        return replace(verdict, answer="allow", code="granted", grants=_cells(allows), reason=reason)
    return verdict


def _judged(grant: Grant, facts: Bound, whom: Literal["principal", "requester"]) -> Considered:
    if grant.condition is None:
        return Considered(grant, True, asked=whom)
    outcome = grant.condition if isinstance(grant.condition, Failed) else grant.condition.test(facts)
    if isinstance(outcome, Failed):
        return Considered(grant, None, outcome.reason, whom)
    return Considered(grant, outcome, asked=whom)


def _matching(considered: Iterable[Considered], effect: Effect) -> list[Considered]:
    """Cells of a narrowing effect that hold, or whose condition could not be judged: an error never widens."""
    return [one for one in considered if one.grant.effect == effect and one.holds is not False]


def _gate(matrix: Matrix, verdict: Verdict, gates: list[Considered]) -> Verdict:
    """One gate for all that match: a policy as strict as every other one if there is such a policy, else the heaviest."""
    found = {one.grant.policy: matrix.policies.get(one.grant.policy) for one in gates}
    if missing := sorted(name for name, rules in found.items() if rules is None):
        reason = f"{verdict.capability} is gated by policy {missing[0]}, which does not exist."
        return replace(verdict, code="policy_missing", grants=_cells(gates), reason=reason)
    policy = _strictest([rules for rules in found.values() if rules is not None])
    reason = f"{_roles_of(gates)} lets {verdict.capability} pass only with an approval under policy {policy}."
    return replace(verdict, answer="gate", code="gated", policy=policy, grants=_cells(gates), reason=reason)


def _strictest(rules: list[PolicyRules]) -> str:
    covering = [one for one in rules if all(at_least_as_strict(one, other) for other in rules)]
    return max(covering or rules, key=weight).name


def _asked_for_requester(
    matrix: Matrix, blank: Verdict, asked: Capability, resource: Resource, facts: Mapping[str, Json]
) -> Verdict:
    requester = _mapping(facts.get("requester"))
    if not requester.get("id"):
        reason = f"{asked.name} must be held by the requester too, and there is none."
        return replace(blank, code="requester", reason=reason)
    roles = [str(role) for role in requester.get("roles", [])]
    identity = {"kind": "user", "id": requester["id"], "name": "", "roles": sorted(roles)}
    verdict = _asked(matrix, blank, asked, roles, _visible(asked, resource, facts, identity), True, "requester")
    if verdict.code == "no_grant":
        return replace(verdict, code="requester", reason=f"The requester does not hold {asked.name}, which it demands too.")
    return verdict


def stricter(matrix: Matrix, first: Verdict, second: Verdict) -> Verdict:
    """The stricter of two answers, with what both considered. Two gates become one under the stricter policy."""
    harder = second if _STRICTNESS[second.answer] > _STRICTNESS[first.answer] else first
    if first.answer == second.answer == "gate":
        policy = _strictest([matrix.policies[first.policy], matrix.policies[second.policy]])
        harder = second if policy == second.policy else first
    same = first.answer == second.answer
    return replace(
        harder,
        grants=tuple(dict.fromkeys((*first.grants, *second.grants))) if same else harder.grants,
        errors=(*first.errors, *second.errors),
        considered=(*first.considered, *second.considered),
    )


def _with_floor(matrix: Matrix, verdict: Verdict) -> Verdict:
    """Raise an answer to what the capability's locks demand (DESIGN promise 9). A deny stays a deny."""
    locks = matrix.locks.get(verdict.capability, ())
    if not locks:
        return verdict
    names = tuple(lock.name for lock in locks)
    verdict = replace(verdict, locks=names)
    if verdict.answer == "deny":
        return verdict
    floors = [lock.floor or matrix.policies.get(lock.policy) for lock in locks]
    # The granted policy first: one that is as strict as every floor stands. Then the policies of the locks, by lock name.
    for policy in dict.fromkeys([verdict.policy, *(lock.policy for lock in locks)]):
        rules = matrix.policies.get(policy)
        if rules is None or not all(floor is not None and at_least_as_strict(rules, floor) for floor in floors):
            continue
        if policy == verdict.policy:
            return verdict
        reason = f"Floor lock {', '.join(names)} demands an approval under policy {policy}. {verdict.reason}"
        return replace(verdict, answer="gate", code="locked", policy=policy, raised_by=names, reason=reason)
    reason = (
        f"Floor lock {', '.join(names)}: no policy that stands is as strict as the floor, so {verdict.capability} is refused."
    )
    return replace(verdict, answer="deny", code="floor_unmet", policy="", raised_by=names, reason=reason)


def _blank(matrix: Matrix, asked: Capability, name: str) -> Verdict:
    """Default deny, to be widened by a grant alone."""
    return Verdict(
        answer="deny",
        code="no_grant",
        capability=asked.name,
        principal=name,
        matrix=matrix.number,
        reason=f"No role of {name[0].lower() + name[1:] if name.startswith('This') else name} grants {asked.name}.",
        capability_digest=asked.digest,
        risk=asked.risk,
        safety=asked.safety,
        handler=asked.handler,
        compensation=asked.compensation,
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _cell(grant: Grant) -> str:
    return f"{grant.role}/{grant.capability}"


def _cells(considered: Iterable[Considered]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_cell(one.grant) for one in considered))


def _roles_of(considered: list[Considered]) -> str:
    names = sorted({one.grant.role for one in considered})
    return f"Role {names[0]}" if len(names) == 1 else f"Each of the roles {', '.join(names)}"
