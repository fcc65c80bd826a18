"""What is asked of the matrix and what it answers, as frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.authority.grant_limits import UNBOUNDED, Count, Judged
from orchestration.authority.matrix import Grant

Answer = Literal["allow", "gate", "deny"]
Code = Literal[
    "granted", "gated", "locked", "denied", "no_grant", "unknown_capability", "matrix_altered", "resource_type",
    "unknown_principal", "agent_disabled", "parameters", "requester", "policy_missing", "floor_unmet", "limit_reached",
    "exclusive",
]  # fmt: skip


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
    limits: Judged = UNBOUNDED

    @property
    def is_reached(self) -> bool:
        return bool(self.limits.reached)

    @property
    def policies(self) -> tuple[str, ...]:
        """Whose approval it asks for: that of a gate, and that of a limit it has reached."""
        named = (self.grant.policy if self.grant.effect == "gate" else "", self.grant.limits.beyond if self.is_reached else "")
        return tuple(policy for policy in named if policy)


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
        reached: "role/capability: limit" of limits that stand in the way.
        counts: the counters it rests on, and what the effect adds to each if it happens.
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
    reached: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
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
            **({"reached": list(self.reached)} if self.reached else {}),
        }
