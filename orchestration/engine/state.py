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

#: Events that end a run.
ENDINGS: Final = ("run.completed", "run.failed", "run.cancelled", "run.rolled_back")

# What the step at the cursor is doing.
Phase = Literal[
    "ready",  # to be begun (or begun again)
    "calling",  # an agent call is intended and not answered
    "retrying",  # waits for `until`, then ready again
    "held",  # a guard forbids its intent; waits to be woken, or for `until`, then ready again
    "acting",  # a remote effect is intended and not answered
    "deciding",  # waits for an approval request
    "reviewing",  # waits for a review item
    "sleeping",  # a wait for a time: ends at `until`
    "listening",  # a wait for a message
    "queueing",  # waits for the resource that its workflow claims
    "joining",  # waits for the child runs of a block
    "recalling",  # waits for a child run that undoes what it did
    "ended",
]

Status = Literal[
    "running", "waiting_decision", "waiting_review", "waiting_retry", "held", "completed", "failed", "cancelled",
    "waiting_time", "waiting_message", "waiting_resource", "rolled_back", "waiting_children",
]  # fmt: skip

_WAITING: dict[str, Status] = {
    "deciding": "waiting_decision",
    "reviewing": "waiting_review",
    "retrying": "waiting_retry",
    "held": "held",
    "sleeping": "waiting_time",
    "listening": "waiting_message",
    "queueing": "waiting_resource",
    "joining": "waiting_children",
    "recalling": "waiting_children",
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
        on_demand: undone only when the finished run is rolled back: its step does not ask for compensation.
        is_child: it stands for all that a child run did, which undoes it itself; `key` is the id of that run.
    """

    step: str
    visit: int
    key: str
    compensation: str = ""
    on_demand: bool = False
    is_child: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """A limit of time that ends in giving up.

    Attributes:
        due: RFC 3339 time at which it passes.
        since: from when on halts have not been reckoned with: while one stands over the run, its clocks stand still.
    """

    due: str
    since: str


@dataclass(frozen=True, slots=True)
class Fork:
    """The child runs of the block at the cursor, by ordinal (as text, from "0").

    Attributes:
        of: how many there are to be.
        need: how many must be well.
        at_once: how many may be under way.
        collects: failures count as answers; it is over when every child has ended.
        tries: how often it was begun anew, after it had given up.
        items: "<stream>/<seq>" of the event that carries the list, of a `map`.
        open: run ids of those under way.
        done: "<stream>/<seq>" of the event that carries the output, of those that were well; "" without an output.
        failed: codes of those that were not.
        again: run ids of those that failed and can be tried again where they failed.
        stopping: why those under way were told to end: "enough", "lost" (too few can still be well), "cancelled", or the code
            of a deadline.
    """

    of: int
    need: int
    at_once: int
    collects: bool = False
    tries: int = 0
    items: str = ""
    open: Mapping[str, str] = field(default_factory=dict)
    done: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    again: Mapping[str, str] = field(default_factory=dict)
    stopping: str = ""

    @property
    def is_enough(self) -> bool:
        return len(self.done) + len(self.failed) == self.of if self.collects else len(self.done) >= self.need

    @property
    def is_lost(self) -> bool:
        return not self.collects and self.of - len(self.failed) < self.need

    @property
    def is_decided(self) -> bool:
        """Does nothing that children may still say change what becomes of the block?"""
        return bool(self.stopping) or self.is_enough or self.is_lost

    def next_ordinals(self) -> tuple[str, ...]:
        """Those to be begun now."""
        if self.is_decided:
            return ()
        known = {*self.open, *self.done, *self.failed}
        waiting = [str(ordinal) for ordinal in range(self.of) if str(ordinal) not in known]
        return tuple(waiting[: max(0, self.at_once - len(self.open))])


@dataclass(frozen=True, slots=True)
class Ending:
    """The run has given up, or was cancelled, and undoes its effects before it ends; kept afterwards.

    Attributes:
        code: why it ends.
        step, visit: where it gave up; the cursor visits the steps of the effects meanwhile.
        by: who cancelled ("user:<ref>:<auth>"), "" when it gave up by itself.
        undone, left: effects undone so far, and left standing by a person.
    """

    ended: Literal["failed", "cancelled", "rolled_back"]
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
        path: of the body that a child run walks; "" in a run of a whole workflow.
        input: "<stream>/<seq>" of the event that carries its input; "" = its own first one.
        items, index: the list whose item it is for, "<stream>/<seq>", and the item's place in it.
        fork: the child runs of the block at the cursor.
        step: the cursor; "" before the first step and after the last.
        visit, attempt: of the step at the cursor; attempts count from 1 and start anew after a person's retry.
        losses: attempts of this visit whose worker died; not counted as the agent's fault until there are too many.
        visits: step -> how often it was entered.
        outputs: step -> "<stream>/<seq>" of the event that carries its output payload.
        cases: step -> the case its route (or the person who chose) took.
        request, item: what it waits for while deciding / reviewing.
        digest: what the open request, or the intended effect, is bound to.
        until: RFC 3339 time a retry is due, a wait ends, or a held run looks again by itself.
        hold, held_by: while held: the code of `step.held`, and the halt or what is guarded.
        outcome: how it ended ("done", a failure code, "cancelled").
        intent: the remote effect of this visit, once one was intended.
        effects: done and able to be undone, in the order in which they were done.
        ending: the run undoes its effects and ends; None while it goes forward.
        stopped_by: who cancelled it while an effect was under way, whose outcome must be known first ("user:<ref>:<auth>").
        awaits: id of what it listens or queues for; what reaches the run names it.
        limit: of what it listens or queues for.
        deadline: of this visit; run_deadline: of the run.
        holds: it has the resource that its workflow claims.
        rollback: who asked to roll it back, while people decide about that; the run had completed with `outcome`.
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
    awaits: str = ""
    limit: Clock | None = None
    deadline: Clock | None = None
    run_deadline: Clock | None = None
    holds: bool = False
    rollback: str = ""
    path: str = ""
    input: str = ""
    items: str = ""
    index: int = 0
    fork: Fork | None = None

    @property
    def status(self) -> Status:
        return self.ended or _WAITING.get(self.phase, "running")

    @property
    def is_ended(self) -> bool:
        return bool(self.ended)

    @property
    def undoable(self) -> tuple[Undoable, ...]:
        """What giving up into compensation undoes."""
        return tuple(effect for effect in self.effects if not effect.on_demand)

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
    if isinstance(item, Undoable):  # without what releases before these two did not write
        words = dataclasses.asdict(item)
        return {name: value for name, value in words.items() if name not in ("on_demand", "is_child") or value}
    if isinstance(item, tuple):
        return [_plain(part) for part in item]
    return dataclasses.asdict(item) if isinstance(item, _NESTED) else item


_NESTED: Final = Approval | Intent | Ending | Clock | Fork
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(State))


_CLOCKS: Final = ("limit", "deadline", "run_deadline")


def load(text: str) -> State:
    value: dict[str, Json] = canonical.load(text) if text else {}
    approval, intent, ending, fork = (value.pop(name, None) for name in ("approval", "intent", "ending", "fork"))
    clocks: dict[str, Any] = {name: Clock(**value.pop(name)) for name in _CLOCKS if name in value}
    return State(
        **{name: item for name, item in value.items() if name != "effects"},
        **clocks,
        approval=Approval(**approval) if approval else None,
        intent=Intent(**intent) if intent else None,
        effects=tuple(Undoable(**effect) for effect in value.get("effects", ())),
        ending=Ending(**ending) if ending else None,
        fork=Fork(**fork) if fork else None,
    )
