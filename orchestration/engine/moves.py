"""What reaches a run, and what it may do next: the words the planner is written in. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from aegis.core.actors import Actor
from aegis.core.canonical import Json
from orchestration.agents.protocol import CallFailed, Reply


@dataclass(frozen=True, slots=True)
class Replied:
    """An agent call was answered."""

    step: str
    visit: int
    attempt: int
    reply: Reply | CallFailed
    duration_ms: int


@dataclass(frozen=True, slots=True)
class EffectAnswered:
    """A remote effect came back.

    `error`: "" = done, with `result`; "refused" and "unavailable" = nothing happened there; "unknown" = it may or may not have
    happened.
    """

    step: str
    visit: int
    key: str
    attempt: int
    result: Json
    error: str
    detail: str
    duration_ms: int
    retry_after: float = 0.0  # seconds the other side asked us to wait; 0 = it did not say


@dataclass(frozen=True, slots=True)
class Message:
    """One inbox row, as the holder read it."""

    ordinal: int
    kind: str  # InboxItem.Kind
    ref: str
    outcome: str
    actor: Actor
    reason: str
    output: str = ""  # review: "<stream>/<seq>" of the event that carries the output
    value: Json = None  # review: that output
    case: str = ""
    digest: str = ""  # gate: of the effect as it was approved; it may have moved since the gate opened, and votes with it
    effects: int = 0  # child: how many of its effects stand and could be undone
    left: int = 0  # child: how many of them a person let stand


@dataclass(frozen=True, slots=True)
class Taken:
    """The run was claimed by this worker: whatever call was in flight before is lost."""


#: Clocks of a state, the most general first: which of two that passed together is told.
Expiring = Literal["run_deadline", "deadline", "limit"]
CLOCKS: Final[tuple[Expiring, ...]] = ("run_deadline", "deadline", "limit")

News = Replied | EffectAnswered | Message | Taken


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until news come, or until `until`."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin (or begin again) the step at the cursor."""


@dataclass(frozen=True, slots=True)
class Absorb:
    """Take the answer of the call in flight."""

    answer: Replied | EffectAnswered


@dataclass(frozen=True, slots=True)
class Lose:
    """The call in flight died with its worker."""


@dataclass(frozen=True, slots=True)
class SettleGate:
    message: Message


@dataclass(frozen=True, slots=True)
class SettleReview:
    message: Message


@dataclass(frozen=True, slots=True)
class Cancel:
    message: Message


@dataclass(frozen=True, slots=True)
class Retry:
    message: Message


@dataclass(frozen=True, slots=True)
class Resume:
    """What held the run lets it look again: it was woken in its turn, or its time came (no message)."""

    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """A message that came too late to matter: recorded, never dropped."""

    message: Message


@dataclass(frozen=True, slots=True)
class Wake:
    """The time that a `wait` step waits for has come."""


@dataclass(frozen=True, slots=True)
class Receive:
    """The message that a `wait` step waits for."""

    message: Message


@dataclass(frozen=True, slots=True)
class Grant:
    """The resource that the run waited for is its own."""

    message: Message


@dataclass(frozen=True, slots=True)
class Expire:
    """A limit of time has passed: of the run, of the visit, of what is waited for."""

    clock: Expiring


@dataclass(frozen=True, slots=True)
class Rollback:
    """A person asks to roll back the completed run."""

    message: Message


@dataclass(frozen=True, slots=True)
class ForkMore:
    """There is room for more child runs."""


@dataclass(frozen=True, slots=True)
class Join:
    """A child run ended."""

    message: Message


@dataclass(frozen=True, slots=True)
class StopChildren:
    """What becomes of the block is decided, or the run was cancelled: those still under way are told to end."""


@dataclass(frozen=True, slots=True)
class Gather:
    """The last child run has ended."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The parent gives up into compensation: undo what this run did, though it had ended."""

    message: Message


@dataclass(frozen=True, slots=True)
class Complete:
    """The last step is behind the cursor."""


@dataclass(frozen=True, slots=True)
class Stop:
    """It was cancelled while an effect was under way, and that is over: end it now, or have a person say what became of it."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo the newest effect that still stands."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """Nothing is left to undo: end the run as it was going to."""


Move = (
    Rest
    | Begin
    | Absorb
    | Lose
    | SettleGate
    | SettleReview
    | Cancel
    | Retry
    | Resume
    | Wake
    | Receive
    | Grant
    | Expire
    | Rollback
    | ForkMore
    | Join
    | StopChildren
    | Gather
    | Recall
    | Ignore
    | Complete
    | Stop
    | Undo
    | Conclude
)
