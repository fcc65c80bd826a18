"""Bugs planted on purpose: what each takes out, and how. Each is a guard that the simulator must miss at once.

A plant is a context: inside it `simulate(seed, **parts)` runs the house with the bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

from aegis.core.actors import Actor
from audit.chain import Line
from audit.drafts import Head
from orchestration.engine import fold as folding
from orchestration.engine import turn
from orchestration.engine.commit import Transition
from orchestration.engine.scene import Scene
from orchestration.engine.state import State
from orchestration.engine.steps import effect
from tests.simulation.plan import Plan, draw
from tests.simulation.store import Store
from tests.simulation.tables import Letter, Request, Row
from tests.simulation.worker import Died, Held, Turn, Worker

Parts = dict[str, Any]


class FenceNotChecked(Store):
    def is_holder(self, transition: Transition) -> bool:
        return self.rows[transition.run_id].seq == transition.head.seq


class EpochNotChecked(Store):
    def epoch_holds(self, transition: Transition) -> bool:
        return True


class CommitSplit(Store):
    """The row is moved in one transaction, the rest follows in another; now and then the worker dies in between."""

    def write(self, transition: Transition, lines: Sequence[Line], head: Head) -> None:
        self.move_run(transition, head)
        self.splits = getattr(self, "splits", 0) + 1
        if self.splits % 20 == 0:
            raise Died
        self.write_rest(transition, lines)


class WakeLost(Store):
    """`seen` is raised to what was told until now, not to what was read."""

    def move_run(self, transition: Transition, head: Head) -> None:
        super().move_run(replace(transition, seen=self.rows[transition.run_id].wake), head)


class GateDecidedTwice(Store):
    """Whether the request is open is asked when the page is read, and no more when the vote is written."""

    def may_decide(self, request: Request) -> bool:
        return True


class CountedAfterExecution(Store):
    """Claims are counted when the work is done, so nobody counts those that never finish."""

    def count_claim(self, row: Row) -> None:
        pass


class NotLetGo(Store):
    """A run that ends keeps the row of its resource."""

    def let_go(self, row: Row) -> None:
        self.queue.pop(row.id, None)


class ClaimedUnseen(Store):
    """Nobody looks whether the resource is somebody's, neither in the turn nor in the commit."""

    def holder(self, key: str, run_id: UUID) -> str:
        return ""

    def is_free(self, key: str) -> bool:
        return True


class TakenTwice(Store):
    """A message stays where it was when it was handed over."""

    def take_out(self, letter: Letter) -> None:
        pass


class ChildForgotten(Store):
    """The word that tells a child to end is not written."""

    def tell_child(self, child: Row, kind: str, actor: Actor) -> None:
        if kind != "cancel":
            super().tell_child(child, kind, actor)


class TimeFirst(Store):
    """What had reached the run before its time was up is not read first."""

    def has_news(self, transition: Transition) -> bool:
        return False


class CallsBeforeCommit(Worker):
    """The call starts when its intent is computed."""

    def _commit_later(self, turns: list[Turn]) -> None:
        for one in turns:
            if one.scene.call is not None:
                super().start_call(one.held, one.scene.call)
        super()._commit_later(turns)

    def start_call(self, held: Held, call: Any) -> None:
        pass


@contextmanager
def _store(planted: type[Store]) -> Iterator[Parts]:
    yield {"store_class": planted}


@contextmanager
def _calls_before_commit() -> Iterator[Parts]:
    yield {"worker_class": CallsBeforeCommit}


@contextmanager
def _key_changes() -> Iterator[Parts]:
    real = effect.effect_key

    def changing(scene: Scene) -> str:
        return f"{real(scene)}/{scene.state.attempt}"

    with patch.object(effect, "effect_key", changing):
        yield {}


@contextmanager
def _unsafe_retried() -> Iterator[Parts]:
    with patch.object(effect, "may_repeat", lambda scene: True):
        yield {}


@contextmanager
def _losses_not_counted() -> Iterator[Parts]:
    """An attempt counts when it was answered; one that killed its worker never was."""
    real = Scene.emit

    def emit(self: Scene, type_: str, data: Any, **more: Any) -> None:
        if type_ in ("step.lost", "effect.lost"):
            data = {**data, "losses": self.state.losses}
        real(self, type_, data, **more)

    with patch.object(turn.Scene, "emit", emit):
        yield {}


@contextmanager
def _joined_twice() -> Iterator[Parts]:
    """A child that was counted stays among those that are awaited."""
    real = folding._child_ended

    def counted(state: State, data: Any) -> State:
        after = real(state, data)
        assert state.fork is not None
        assert after.fork is not None
        return replace(after, fork=replace(after.fork, open=state.fork.open))

    with patch.object(folding, "_child_ended", counted):
        yield {}


@contextmanager
def _sweep_disabled() -> Iterator[Parts]:
    yield {"has_sweep": False}


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug, the promises whose violation shows it, and what every plan shall hold so that it has its chance soon."""

    plant: Callable[[], Any]
    promises: frozenset[str]
    faults: dict[str, Any]

    def plan_for(self, seed: int) -> Plan:
        return replace(draw(seed), **self.faults)


def _plant(plant: Callable[[], Any], *promises: str, **faults: Any) -> Plant:
    return Plant(plant, frozenset(promises), faults)


PLANTS: Final[dict[str, Plant]] = {
    "fence not checked": _plant(lambda: _store(FenceNotChecked), "stale worker", pause=0.05),
    "effect key changes per attempt": _plant(_key_changes, "effect twice", answer_lost=0.15),
    "intent after the call": _plant(_calls_before_commit, "intent first"),
    "attempts counted after execution": _plant(lambda: _store(CountedAfterExecution), "attempts", poison=0.2),
    "lost attempts not counted": _plant(_losses_not_counted, "attempts", killer=0.7),
    "wake lost": _plant(lambda: _store(WakeLost), "wake lost", "stuck", pause=0.1),
    "unsafe effect retried": _plant(_unsafe_retried, "unsafe twice", answer_lost=0.2),
    "epoch not checked": _plant(lambda: _store(EpochNotChecked), "epoch", matrix_edits=40, halts=4),
    "commit split in two": _plant(lambda: _store(CommitSplit), "chain", "fold"),
    "gate decided twice": _plant(lambda: _store(GateDecidedTwice), "one outcome"),
    "child counted twice": _plant(_joined_twice, "joined once", word_twice=0.5),
    "child forgotten on cancel": _plant(lambda: _store(ChildForgotten), "child forgotten"),
    "resource not let go": _plant(lambda: _store(NotLetGo), "let go"),
    "resource claimed unseen": _plant(lambda: _store(ClaimedUnseen), "one holder", "let go"),
    "message taken twice": _plant(lambda: _store(TakenTwice), "message once"),
    "time before news": _plant(lambda: _store(TimeFirst), "time first", workers=1, pause=0.2),
    "sweep disabled": _plant(_sweep_disabled, "stuck", nudge_lost=0.3),
}
