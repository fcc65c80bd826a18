"""Control state of a run: all that `planner.next` needs beside the definition and the payloads. Pure.

It is a function of the event lines alone (`fold`), so it can be rebuilt after every payload was erased.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

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


# What was heard of an intended effect: nothing yet, that nothing happened (refused, failed), or nothing that settles it.
Heard = Literal["", "nothing", "unknown"]


@dataclass(frozen=True, slots=True)
class Intent:
    """The remote effect intended in this visit, whatever became of it: its key outlives attempts and re-drive.

    Attributes:
        digest: what the key stands for; the same key with another digest goes to a person.
        safety: the capability's class when it was intended; the live one counts too, the stricter of both.
        approval, policy: the request whose approval this key has used up, "" without one. It holds for every attempt of the
        key.
    """

    key: str
    digest: str
    capability: str
    safety: str
    approval: str = ""
    policy: str = ""
    heard: Heard = ""


@dataclass(frozen=True, slots=True)
class Undoable:
    """An effect that is done and would be undone if the run gave up into compensation.

    Attributes:
        compensation: capability that undoes it, as its capability named it when it was done.
    """

    step: str
    visit: int
    key: str
    compensation: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The run has given up, or was cancelled, and undoes its effects before it ends; kept afterwards.

    Attributes:
        code: why it ends.
        step, visit: where it gave up; the cursor visits the steps of the effects meanwhile.
        by: who cancelled ("user:<ref>:<auth>"), "" when it gave up by itself.
        undone, left: effects undone so far, and left standing by a person.
    """

    ended: Literal["failed", "cancelled"]
    code: str
    step: str
    visit: int
    by: str = ""
    undone: int = 0
    left: int = 0


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
        intent: the remote effect of this visit, once one was intended.
        effects: done and able to be undone, in the order in which they were done.
        ending: the run undoes its effects and ends; None while it goes forward.
        stopped_by: who cancelled it while an effect was under way, whose outcome must be known first ("user:<ref>:<auth>").
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
    intent: Intent | None = None
    effects: tuple[Undoable, ...] = ()
    ending: Ending | None = None
    stopped_by: str = ""

    @property
    def status(self) -> Status:
        return self.ended or _WAITING.get(self.phase, "running")

    @property
    def is_ended(self) -> bool:
        return bool(self.ended)

    @property
    def is_compensated(self) -> bool:
        """It ended and nothing is left to undo: going on from where it gave up would rest on effects that are gone."""
        return self.is_ended and self.ending is not None and not self.effects

    @property
    def undoes(self) -> str:
        """Key of the effect that is being undone; "" while the run goes forward."""
        return self.effects[-1].key if self.ending and self.effects else ""


def dump(state: State) -> str:
    """Canonical JSON text, as stored on the run row. Empty fields are left out."""
    value = {name: _plain(item) for name in _FIELDS if (item := getattr(state, name))}
    return canonical.dump(value).decode()


def _plain(item: Any) -> Json:
    """Only what is nested goes through `asdict`: it copies all it meets, and every commit of every run passes here."""
    if isinstance(item, tuple):
        return [_plain(part) for part in item]
    return dataclasses.asdict(item) if isinstance(item, Approval | Intent | Undoable | Ending) else item


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(State))


def load(text: str) -> State:
    value: dict[str, Json] = canonical.load(text) if text else {}
    approval, intent, ending = (value.pop(name, None) for name in ("approval", "intent", "ending"))
    return State(
        **{name: item for name, item in value.items() if name != "effects"},
        approval=Approval(**approval) if approval else None,
        intent=Intent(**intent) if intent else None,
        effects=tuple(Undoable(**effect) for effect in value.get("effects", ())),
        ending=Ending(**ending) if ending else None,
    )
