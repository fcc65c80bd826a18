"""The access matrix as frozen values, loaded from the document of one matrix version. Pure.

The document is compiled from configuration rows by `orchestration.authority.live`:

    {"v": 1,
     "capabilities": {name: {resource, risk, safety, handler, parameters, requester_too, digest, compensation}},
     "roles": {name: {title, people, grants: [{capability, effect, when, policy}]}},
     "locks": {name: {capability, policy, kind, floor: rules of that policy when the lock was set, or null}},
     "policies": {name: {stages: [{groups, quorum, ...}], reason, ...}} as `approvals.strictness.dump` makes it,
     "agents": {id: {name, roles, enabled}}}

Capabilities and agents that declare them also carry `limits` and `breaker` (shape: `orchestration.authority.limits`), grants
`limits`, `during` and `beyond` (shape: `orchestration.authority.grant_limits`). A capability that must not be held beside
others names them in `excludes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.expressions import Expression, ExpressionInvalid, Failed, VariableType, compile_condition
from approvals import strictness
from approvals.policies import Policy
from orchestration.authority import exclusive, grant_limits
from orchestration.authority.exclusive import Worn
from orchestration.authority.grant_limits import NO_GRANT_LIMITS, GrantLimits
from orchestration.authority.limits import DEFAULT_BREAKER, NO_LIMITS, BreakerSettings, Limits, breaker_of, limits_of
from orchestration.contracts.checker import Checker, compile_schema

Effect = Literal["allow", "gate", "deny"]
Risk = Literal["low", "medium", "high"]
Safety = Literal["idempotent", "keyed", "unsafe"]

#: What a condition of a grant may see. No clock: a right bounded by time is a limit, not a condition.
CONDITION_VARIABLES: Final[Mapping[str, VariableType]] = {
    "capability": "string",
    "resource": "map",  # {type, id}
    "parameters": "map",
    "record": "map",  # the current body; empty if there is none
    "requester": "map",  # {id, roles}; empty if nobody asked
    "principal": "map",  # {kind, id, name, roles}
    "provenance": "map",  # path of a parameter -> where its value is known from (authority.provenance)
}


@dataclass(frozen=True, slots=True)
class Capability:
    name: str
    resource: str
    risk: Risk
    safety: Safety
    handler: str
    parameters: Checker
    requester_too: bool
    digest: str
    compensation: str = ""
    limits: Limits = NO_LIMITS
    breaker: BreakerSettings = DEFAULT_BREAKER


@dataclass(frozen=True, slots=True)
class Grant:
    """One cell of the matrix. `condition` is None when there is none, `Failed` when it no longer compiles."""

    role: str
    capability: str
    effect: Effect
    when: str = ""
    policy: str = ""
    condition: Expression | Failed | None = None
    limits: GrantLimits = NO_GRANT_LIMITS

    @property
    def label(self) -> str:
        """The word people know the cell by: allow, allow_if, gate or deny."""
        return "allow_if" if self.effect == "allow" and self.when else self.effect

    @property
    def is_traced(self) -> bool:
        """Does it look at provenance, or may a person have to?"""
        asked = (self.when, *(limit.of for limit in self.limits.limits))
        return self.effect == "gate" or bool(self.limits.beyond) or any("provenance" in text for text in asked)


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    is_for_people: bool
    grants: Mapping[str, Grant]  # by capability
    worn: Worn | None = None  # what it lets hold; None in a matrix made by hand, where nothing excludes anything


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """As much of an approval policy as strictness is judged by."""

    name: str
    rules: Policy

    @classmethod
    def read(cls, name: str, entry: Json) -> PolicyRules:
        """From what `approvals.strictness.dump` made."""
        return cls(name, strictness.read(name, entry))


@dataclass(frozen=True, slots=True)
class Lock:
    """A floor. `floor` is what its policy demanded when the lock was set: a later edit of the policy cannot lower it."""

    name: str
    capability: str
    policy: str
    kind: str
    floor: PolicyRules | None


@dataclass(frozen=True, slots=True)
class AgentEntry:
    id: str
    name: str
    roles: frozenset[str]
    is_enabled: bool
    limits: Limits = NO_LIMITS
    breaker: BreakerSettings = DEFAULT_BREAKER


@dataclass(frozen=True, slots=True)
class Matrix:
    number: int
    digest: str
    capabilities: Mapping[str, Capability]
    roles: Mapping[str, Role]
    locks: Mapping[str, tuple[Lock, ...]]  # by capability, each sorted by name
    policies: Mapping[str, PolicyRules]
    agents: Mapping[str, AgentEntry]  # by id
    bounded: frozenset[str] = frozenset()  # capabilities that some grant limits
    zones: frozenset[str] = frozenset()  # that hours of grants are told in
    traced: frozenset[str] = frozenset()  # capabilities of which a condition, or a person at a gate, asks provenance
    metered: frozenset[str] = frozenset()  # roles with a budget of tokens or cost
    exclusive: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # capabilities that nobody may hold together, both ways
    is_on_record: bool = True  # False: these are not the rows that the journal tells of; such a matrix allows nothing


EMPTY: Final = Matrix(0, "", {}, {}, {}, {}, {})


def load(document: Json, *, number: int = 0) -> Matrix:
    """Compile a matrix document.

    Raises:
        SchemaInvalid: a parameter contract is unusable; lint refuses such a capability, so the stored document was altered.
    """
    capabilities = {
        name: Capability(
            name=name,
            resource=entry["resource"],
            risk=entry["risk"],
            safety=entry["safety"],
            handler=entry["handler"],
            parameters=compile_schema(entry["parameters"]),
            requester_too=entry.get("requester_too", False),
            digest=entry["digest"],
            compensation=entry.get("compensation", ""),
            limits=limits_of(entry),
            breaker=breaker_of(entry),
        )
        for name, entry in document["capabilities"].items()
    }
    locks: dict[str, list[Lock]] = {}
    for name, entry in sorted(document["locks"].items()):
        floor = entry.get("floor")
        lock = Lock(
            name,
            entry["capability"],
            entry["policy"],
            entry["kind"],
            PolicyRules.read(entry["policy"], floor) if floor else None,
        )
        locks.setdefault(lock.capability, []).append(lock)
    roles = {name: _role(name, entry) for name, entry in document["roles"].items()}
    grants = [grant for role in roles.values() for grant in role.grants.values() if grant.limits]
    return Matrix(
        number=number,
        digest=canonical.digest_of(document),
        capabilities=capabilities,
        roles=roles,
        locks={capability: tuple(found) for capability, found in locks.items()},
        policies={name: PolicyRules.read(name, entry) for name, entry in document["policies"].items()},
        agents={
            ref: AgentEntry(
                ref, entry["name"], frozenset(entry["roles"]), entry["enabled"], limits_of(entry), breaker_of(entry)
            )
            for ref, entry in document["agents"].items()
        },
        bounded=frozenset(grant.capability for grant in grants),
        zones=frozenset(grant.limits.hours.zone for grant in grants if grant.limits.hours),
        traced=frozenset(grant.capability for role in roles.values() for grant in role.grants.values() if grant.is_traced),
        metered=frozenset(grant.role for grant in grants if grant.limits.is_metered),
        exclusive=exclusive.pairs({name: entry.get("excludes", ()) for name, entry in document["capabilities"].items()}),
    )


def at_least_as_strict(candidate: PolicyRules, floor: PolicyRules) -> bool:
    """Would everything `candidate` lets through also pass `floor`?"""
    return strictness.covers(candidate.rules, floor.rules)


def weight(rules: PolicyRules) -> tuple[int, int, str]:
    """A total order among policies that cannot be compared: people needed, then stages, then the name."""
    return (sum(stage.quorum for stage in rules.rules.stages), len(rules.rules.stages), rules.name)


def _role(name: str, entry: Json) -> Role:
    grants = {grant["capability"]: _grant(name, grant) for grant in entry["grants"]}
    return Role(name=name, is_for_people=entry["people"], grants=grants, worn=exclusive.worn(name, entry["grants"]))


def _grant(role: str, entry: Json) -> Grant:
    when = entry.get("when", "")
    condition: Expression | Failed | None = None
    if when:
        try:
            condition = compile_condition(when, CONDITION_VARIABLES)
        except (
            ExpressionInvalid
        ) as error:  # it passed lint once; until mended it is an error whenever asked, which never widens
            condition = Failed(error.detail)
    limits = grant_limits.read(entry, CONDITION_VARIABLES)
    return Grant(role, entry["capability"], entry["effect"], when, entry.get("policy", ""), condition, limits)
