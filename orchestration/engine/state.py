"""Control state of a run: all that `planner.next` needs beside the definition and the payloads. Pure.

It is a function of the event lines alone (`fold`), so it can be rebuilt after every payload was erased.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aegis.core import canonical
from aegis.core.canonical import Json

# What the step at the cursor is doing.
Phase = Literal[
    "ready",  # to be begun (or begun again)
    "calling",  # an agent call is intended and not answered
    "retrying",  # waits for `until`, then ready again
    "held",  # a guard forbids its intent; waits to be woken, or for `until`, then ready again
    "acting",  # a remote effect is intended and not answered
    "deciding",  # waits for an approval request
    "reviewing",  # waits for a review item
    "ended",
]

Status = Literal[
    "running", "waiting_decision", "waiting_review", "waiting_retry", "held", "completed", "failed", "cancelled"
]  # fmt: skip

_WAITING: dict[str, Status] = {
    "deciding": "waiting_decision",
    "reviewing": "waiting_review",
    "retrying": "waiting_retry",
    "held": "held",
}


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that was given and not used yet. It fits one effect: same step, same digest, same policy."""

    request: str
    digest: str
    policy: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands.

    Attributes:
        step: the cursor; "" before the first step and after the last.
        visit, attempt: of the step at the cursor; attempts count from 1 and start anew after a person's retry.
        losses: attempts of this visit whose worker died; not counted as the agent's fault until there are too many.
        visits: step -> how often it was entered.
        outputs: step -> "<stream>/<seq>" of the event that carries its output payload.
        cases: step -> the case its route (or the person who chose) took.
        request, item: what it waits for while deciding / reviewing.
        digest: what the open request, or the intended effect, is bound to.
        until: RFC 3339 time a retry is due, or a held run looks again by itself.
        hold, held_by: while held: the code of `step.held`, and the halt or what is guarded.
        outcome: how it ended ("done", a failure code, "cancelled").
    """

    step: str = ""
    phase: Phase = "ready"
    visit: int = 0
    attempt: int = 0
    losses: int = 0
    visits: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    cases: Mapping[str, str] = field(default_factory=dict)
    request: str = ""
    item: str = ""
    digest: str = ""
    policy: str = ""
    until: str = ""
    hold: str = ""
    held_by: str = ""
    approval: Approval | None = None
    ended: Status | Literal[""] = ""
    outcome: str = ""

    @property
    def status(self) -> Status:
        return self.ended or _WAITING.get(self.phase, "running")

    @property
    def is_ended(self) -> bool:
        return bool(self.ended)


def dump(state: State) -> str:
    """Canonical JSON text, as stored on the run row. Empty fields are left out."""
    value = {key: item for key, item in dataclasses.asdict(state).items() if item not in ("", 0, None, {})}
    return canonical.dump(value).decode()


def load(text: str) -> State:
    value: dict[str, Json] = canonical.parse(text) if text else {}
    approval = value.pop("approval", None)
    return State(**value, approval=Approval(**approval) if approval else None)
