"""The access matrix as frozen values, loaded from the document of one matrix version. Pure.

The document is compiled from configuration rows by `orchestration.authority.live`:

    {"v": 1,
     "capabilities": {name: {resource, risk, safety, handler, parameters, requester_too, digest, compensation}},
     "roles": {name: {title, people, grants: [{capability, effect, when, policy}]}},
     "locks": {name: {capability, policy, kind, floor: rules of that policy when the lock was set, or null}},
     "policies": {name: {stages: [{groups, quorum}], reason}},
     "agents": {id: {name, roles, enabled}}}

Capabilities and agents that declare them also carry `limits` and `breaker` (shape: `orchestration.authority.limits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.expressions import Expression, ExpressionInvalid, Failed, VariableType, compile_condition
from approvals.policies import covers
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

    @property
    def label(self) -> str:
        """The word people know the cell by: allow, allow_if, gate or deny."""
        return "allow_if" if self.effect == "allow" and self.when else self.effect


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    is_for_people: bool
    grants: Mapping[str, Grant]  # by capability


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """As much of an approval policy as strictness is judged by: ordered stages of (groups, quorum)."""

    name: str
    stages: tuple[tuple[frozenset[str], int], ...]
    is_reason_always_asked: bool

    @classmethod
    def read(cls, name: str, entry: Json) -> PolicyRules:
        """From `{"stages": [{"groups", "quorum"}], "reason"}`, as `authority.rules` makes it."""
        stages = tuple((frozenset(stage["groups"]), int(stage["quorum"])) for stage in entry["stages"])
        return cls(name, stages, entry["reason"] == "always")


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
    return Matrix(
        number=number,
        digest=canonical.digest_of(document),
        capabilities=capabilities,
        roles={name: _role(name, entry) for name, entry in document["roles"].items()},
        locks={capability: tuple(found) for capability, found in locks.items()},
        policies={name: PolicyRules.read(name, entry) for name, entry in document["policies"].items()},
        agents={
            ref: AgentEntry(
                ref, entry["name"], frozenset(entry["roles"]), entry["enabled"], limits_of(entry), breaker_of(entry)
            )
            for ref, entry in document["agents"].items()
        },
    )


def at_least_as_strict(candidate: PolicyRules, floor: PolicyRules) -> bool:
    """Would everything `candidate` lets through also pass `floor`? Its stages cover those of the floor, and its reason rule."""
    if floor.is_reason_always_asked and not candidate.is_reason_always_asked:
        return False
    return covers(candidate.stages, floor.stages)


def weight(rules: PolicyRules) -> tuple[int, int, str]:
    """A total order among policies that cannot be compared: people needed, then stages, then the name."""
    return (sum(quorum for _, quorum in rules.stages), len(rules.stages), rules.name)


def _role(name: str, entry: Json) -> Role:
    grants = {grant["capability"]: _grant(name, grant) for grant in entry["grants"]}
    return Role(name=name, is_for_people=entry["people"], grants=grants)


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
    return Grant(role, entry["capability"], entry["effect"], when, entry.get("policy", ""), condition)
