"""What a step asks of the guards before an intent, and what its transition takes from them and tells them. Pure.

Guards are halts (a person stopped it), breakers (it failed too often), limits (it is asked too often). They are live: asked at
every begin, never pinned. A `Hold` becomes the event `step.held`; a `Take` is checked again in the commit, against the locked
row, and the loser computes its turn anew (`counting.Moved`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

from orchestration.authority.limits import BreakerSettings, Limits

#: Why a run is held. `halt` is lifted by a person; the others let go by themselves.
Code = Literal["halt", "breaker", "rate", "concurrency", "retries"]

#: Failures that speak against whoever was asked, not against what it was asked (docs/adr/0015).
COUNTED = frozenset({"agent_error", "timeout", "unavailable", "contract", "unknown"})


@dataclass(frozen=True, slots=True)
class Hold:
    """An intent that may not be now.

    Attributes:
        by: the halt's id, else the key of what is guarded ("agent:clerk").
        until: when the run looks again by itself; None: it is woken, in its turn.
    """

    code: Code
    by: str
    until: datetime | None = None

    @property
    def guard(self) -> str:
        return f"{self.code}:{self.by}"


@dataclass(frozen=True, slots=True)
class Asking:
    """An intent about to be: a call of `agent`, or, with a capability, an effect that `agent` proposed.

    Attributes:
        workflows: ids of its own and of those whose runs led to it.
        is_local: the effect happens inside the commit: nothing is under way afterwards.
        is_retry: an attempt of this visit failed before.
        waited_for: the guard that held the run until now; who never waited for it stands behind those who do.
        call_seconds: how long an answer may take.
    """

    run_id: UUID
    workflows: Sequence[str]
    step: str
    agent: str
    agent_id: str
    capability: str = ""
    is_local: bool = False
    is_retry: bool = False
    waited_for: str = ""
    call_seconds: float = 30.0

    @property
    def key(self) -> str:
        """What breakers and limits count by: whoever carries the intent out."""
        return capability_key(self.capability) if self.capability else agent_key(self.agent)


@dataclass(frozen=True, slots=True)
class Probe:
    """This run tries whether an open breaker may close. At most one run holds it at a time."""

    key: str
    target: str
    seconds: float  # for which nobody else may probe


@dataclass(frozen=True, slots=True)
class Use:
    """One start, counted against declared limits. Only agents and capabilities that declare some make any."""

    key: str
    step: str
    limits: Limits
    is_retry: bool
    is_local: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A verdict rests on this: without the effect itself, `used` was counted within `per`. The commit looks again."""

    key: str
    per: timedelta
    used: int
    effect: str


@dataclass(frozen=True, slots=True)
class Spent:
    """An effect, or a reply, counts against limits of grants. Once per key and effect, however often it is tried."""

    key: str
    effect: str
    amount: int


@dataclass(frozen=True, slots=True)
class Unspent:
    """It is known that nothing came of the effect: it no longer counts."""

    key: str
    effect: str


Counted = Seen | Spent | Unspent
Take = Probe | Use | Counted


@dataclass(frozen=True, slots=True)
class WasHeld:
    """The run was held when its turn began: what keeps the queue of the held learns that it left, or stays."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call or remote effect came back. `place` names the event that says how.

    Attributes:
        target: id of the agent: whose rights govern its breaker; "" for a capability.
        code: "" if it counts as a success; else the failure.
    """

    key: str
    target: str
    place: str
    settings: BreakerSettings
    code: str = ""


@dataclass(frozen=True, slots=True)
class SlotFreed:
    """A call of something with a concurrency limit is over."""

    key: str


Mark = WasHeld | Answered | SlotFreed


def agent_key(name: str) -> str:
    return f"agent:{name}"


def capability_key(name: str) -> str:
    return f"capability:{name}"


def key_of(item: Take | Mark) -> str:
    """The row an item is about; "" for the run's own. Rows are locked in this order."""
    match item:
        case Probe() | Use() | Answered() | SlotFreed() | Seen() | Spent() | Unspent():
            return item.key
        case WasHeld():
            return ""
        case _:
            assert_never(item)
