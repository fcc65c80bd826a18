"""May this principal cause this effect? Pure over one matrix version and recorded facts (DESIGN section 6).

Default deny. Deny wins over gate, gate over allow, over all roles of the principal. Who holds two capabilities that exclude
each other may do neither. A condition that ends in error never widens: it is no grant under allow, and a match under gate
or deny. A limit that is reached makes an allow or gate of its cell a deny, or a gate under the policy it names. Floor locks are
applied last, whatever the rows say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from aegis.core.canonical import Json
from aegis.core.expressions import Bound, Failed, bind
from orchestration.authority import grant_limits
from orchestration.authority.answers import Answer, Code, Considered, Principal, Resource, Verdict
from orchestration.authority.exclusive import Clash, clashes
from orchestration.authority.grant_limits import Reading, Subject
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
    "Verdict", "decide", "load", "readings", "stricter",
]  # fmt: skip

_STRICTNESS: Final[Mapping[str, int]] = {"allow": 0, "gate": 1, "deny": 2}

#: Which limits of grants are asked: all, of an effect; the hours alone, of what is no effect; none, in a lint.
Bounds = Literal["all", "hours", "none"]


def decide(
    matrix: Matrix,
    principal: Principal,
    capability: str,
    resource: Resource,
    facts: Mapping[str, Json],
    *,
    bounds: Bounds = "all",
) -> Verdict:
    """Answer one proposal. Total: whatever cannot be judged is a deny with its code, never an exception.

    Args:
        facts: recorded facts: "parameters", "record" (current body, {} if none), "requester" ({"id", "roles"}, {} if nobody).
            The rest of what conditions see (capability, resource, principal) is taken from the arguments, so no caller, and no
            agent through one, can say otherwise. Where grants limit the capability also "clock" and
            "limits" (`readings` says which): without them a limit counts as reached.
    """
    name, roles, refusal = _identity(matrix, principal)
    if not matrix.is_on_record:
        reason = "The matrix that stands is not the one on record: somebody changed it past change control. It allows nothing."
        return Verdict("deny", "matrix_altered", "", name, matrix.number, reason)
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
    question = _Question(matrix, blank, asked, facts, bounds)
    verdict = _asked(question, roles, visible, principal.kind == "user", "principal")
    if asked.requester_too:
        verdict = stricter(matrix, verdict, _asked_for_requester(question, resource))
    return _with_floor(matrix, verdict)


def readings(
    matrix: Matrix, principal: Principal, capability: str, resource: Resource, facts: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """The counters that `decide` will ask for; most often none."""
    if capability not in matrix.bounded:
        return ()
    requester = _mapping(facts.get("requester"))
    roles = _identity(matrix, principal)[1]
    whom = [(principal.kind == "user", roles, _subject(principal.kind, principal.ref, requester, resource))]
    if matrix.capabilities[capability].requester_too:
        theirs = frozenset(str(role) for role in requester.get("roles", ()))
        whom.append((True, theirs, _subject("user", str(requester.get("id", "")), requester, resource)))
    found: dict[Reading, None] = {}
    for is_person, names, subject in whom:
        for role in _roles_that_count(matrix, names, is_person):
            if grant := role.grants.get(capability):
                found |= dict.fromkeys(grant_limits.readings(role.name, capability, grant.limits, subject))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Question:
    """What stays the same for everybody who is asked about one proposal."""

    matrix: Matrix
    blank: Verdict
    asked: Capability
    facts: Mapping[str, Json]
    bounds: Bounds


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
        "provenance": _mapping(facts.get("provenance")),
    }


def _subject(kind: str, ref: str, requester: Mapping[str, Json], resource: Resource) -> Subject:
    return Subject(f"{kind}:{ref}", str(requester.get("id", "")), f"{resource.type}/{resource.id}")


def _roles_that_count(matrix: Matrix, names: Iterable[str], is_person: bool) -> Iterator[Role]:
    """By name. Roles of agents give people nothing."""
    for name in sorted(set(names)):
        role = matrix.roles.get(name)
        if role is not None and (role.is_for_people or not is_person):
            yield role


def _asked(
    question: _Question,
    roles: Iterable[str],
    visible: Mapping[str, Json],
    is_person: bool,
    whom: Literal["principal", "requester"],
) -> Verdict:
    """Deny over gate over allow, over the cells of these roles."""
    matrix, asked = question.matrix, question.asked
    considered: list[Considered] = []
    facts = bind(visible, CONDITION_VARIABLES)
    for role in _roles_that_count(matrix, roles, is_person):
        if grant := role.grants.get(asked.name):
            considered.append(_within(_judged(grant, facts, whom), question, visible, facts))
    errors = tuple(f"{_cell(one.grant)}: {one.error}" for one in considered if one.holds is None)
    verdict = replace(question.blank, errors=errors, considered=tuple(considered))
    if asked.name in matrix.bounded:
        reached = tuple(f"{_cell(one.grant)}: {name}" for one in considered for name in one.limits.reached)
        counts = tuple(count for one in considered for count in one.limits.counts)
        verdict = replace(verdict, reached=reached, counts=counts)

    if denies := _matching(considered, "deny"):
        reason = f"{_roles_of(denies)} denies {asked.name}."
        return replace(verdict, code="denied", grants=_cells(denies), reason=reason)
    if found := _clashes(question, roles, is_person):
        named = {f"{clash.role}/{clash.capability}": None for clash in found}
        named |= {f"{clash.other_role}/{clash.other}": None for clash in found}
        reason = f"{question.blank.principal if whom == 'principal' else 'The requester'} holds {found[0]}."
        return replace(verdict, code="exclusive", grants=tuple(named), reason=reason)
    if over := [one for one in considered if one.is_reached and not one.grant.limits.beyond]:
        reason = f"{_roles_of(over)} grants {asked.name} within limits, and one is reached: {_limits_of(over)}."
        return replace(verdict, code="limit_reached", grants=_cells(over), reason=reason)
    if gates := [
        *_matching(considered, "gate"),
        *(one for one in considered if one.is_reached and one.grant.effect == "allow"),
    ]:
        return _gate(matrix, verdict, gates)
    if allows := [one for one in considered if one.grant.effect == "allow" and one.holds]:
        reason = f"{_roles_of(allows)} allows {asked.name}."
        return replace(verdict, answer="allow", code="granted", grants=_cells(allows), reason=reason)
    return verdict


def _clashes(question: _Question, roles: Iterable[str], is_person: bool) -> list[Clash]:
    """Capabilities held beside the one asked for that must not be (`exclusive`)."""
    exclusive = question.matrix.exclusive
    if question.asked.name not in exclusive:
        return []
    worn = [role.worn for role in _roles_that_count(question.matrix, roles, is_person) if role.worn is not None]
    return clashes(exclusive, worn, question.asked.name)


def _judged(grant: Grant, facts: Bound, whom: Literal["principal", "requester"]) -> Considered:
    if grant.condition is None:
        return Considered(grant, True, asked=whom)
    outcome = grant.condition if isinstance(grant.condition, Failed) else grant.condition.test(facts)
    if isinstance(outcome, Failed):
        return Considered(grant, None, outcome.reason, whom)
    return Considered(grant, outcome, asked=whom)


def _within(one: Considered, question: _Question, visible: Mapping[str, Json], facts: Bound) -> Considered:
    """The cell with what came of its limits. A cell that says nothing reaches none."""
    grant = one.grant
    says_nothing = one.holds is False or (grant.effect == "allow" and not one.holds)
    if not grant.limits or question.bounds == "none" or says_nothing:
        return one
    identity, resource = visible["principal"], visible["resource"]
    requester: Mapping[str, Json] = visible["requester"]
    subject = _subject(identity["kind"], identity["id"], requester, Resource(resource["type"], resource["id"]))
    counted = question.bounds == "all"
    judged = grant_limits.judge(grant.role, grant.capability, grant.limits, subject, facts, question.facts, counted=counted)
    return replace(one, limits=judged)


def _matching(considered: Iterable[Considered], effect: Effect) -> list[Considered]:
    """Cells of a narrowing effect that hold, or whose condition could not be judged: an error never widens."""
    return [one for one in considered if one.grant.effect == effect and one.holds is not False]


def _gate(matrix: Matrix, verdict: Verdict, gates: list[Considered]) -> Verdict:
    """One gate for all that match: a policy as strict as every other one if there is such a policy, else the heaviest."""
    found = {policy: matrix.policies.get(policy) for one in gates for policy in one.policies}
    if missing := sorted(name for name, rules in found.items() if rules is None):
        reason = f"{verdict.capability} is gated by policy {missing[0]}, which does not exist."
        return replace(verdict, code="policy_missing", grants=_cells(gates), reason=reason)
    policy = _strictest([rules for rules in found.values() if rules is not None])
    over = [one for one in gates if one.is_reached]
    since = f", since a limit is reached: {_limits_of(over)}" if over else ""
    reason = f"{_roles_of(gates)} lets {verdict.capability} pass only with an approval under policy {policy}{since}."
    return replace(verdict, answer="gate", code="gated", policy=policy, grants=_cells(gates), reason=reason)


def _strictest(rules: list[PolicyRules]) -> str:
    covering = [one for one in rules if all(at_least_as_strict(one, other) for other in rules)]
    return max(covering or rules, key=weight).name


def _asked_for_requester(question: _Question, resource: Resource) -> Verdict:
    blank, asked, facts = question.blank, question.asked, question.facts
    requester = _mapping(facts.get("requester"))
    if not requester.get("id"):
        reason = f"{asked.name} must be held by the requester too, and there is none."
        return replace(blank, code="requester", reason=reason)
    roles = [str(role) for role in requester.get("roles", [])]
    identity = {"kind": "user", "id": requester["id"], "name": "", "roles": sorted(roles)}
    verdict = _asked(question, roles, _visible(asked, resource, facts, identity), True, "requester")
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
        reached=tuple(dict.fromkeys((*first.reached, *second.reached))),
        counts=tuple(dict.fromkeys((*first.counts, *second.counts))),
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


def _limits_of(over: list[Considered]) -> str:
    return ", ".join(sorted({name for one in over for name in one.limits.reached}))
