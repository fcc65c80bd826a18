"""Ten short stories, each of which ends well with AEGIS as it is, and badly with the one bug that it is about.

A story freezes or kills a process at a chosen point, so that no luck is needed: the same story is told twice, with the plant
and without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aegis.core.faults import CRASH_AT_VARIABLE
from tests.torture import crashes
from tests.torture.arena import Arena, Stuck, free_port
from tests.torture.crashes import one_worker, wait_for
from tests.torture.judge import MAX_LOSSES, Violation
from tests.torture.plants import VARIABLE
from tests.torture.shapes import Order

FREEZE_SECONDS = 10.0
TIDY_SECONDS = 2.0
STUCK_SECONDS = 3.0  # a good end takes a second or two; with a bug in, whoever is not there by now will never be
SOON_SECONDS = 15.0  # and this long on a machine with much else to do


@dataclass(frozen=True, slots=True)
class Story:
    """`tell(arena, plant, order id)`; `check` must say so when the plant is in, and nobody may say anything when it is not."""

    tell: Callable[[Arena, str, str], None]
    check: str
    on_postgres_only: bool = False


def found(arena: Arena, name: str, *, planted: bool, order: str) -> list[Violation]:
    """Tell a story and judge it."""
    story, arena.only = STORIES[name], order
    with suppress(Stuck):  # the judge says what is stuck
        story.tell(arena, name if planted else "", order)
    arena.nursery.end_all(but="web")
    violations = arena.violations()
    if violations:  # what a bug left behind must not turn up in the next story
        with one_worker(arena), suppress(Stuck):
            arena.rest(TIDY_SECONDS)
        arena.violations()
    return violations


def stale_worker(arena: Arena, plant: str, order: str) -> None:
    """Two workers hold one run, each believing it is its own: the first slept past its lease. Then the first one commits."""
    arena.submit([Order(order)]).finish()
    first = arena.worker(**_at("claimed", "STOP"), **{VARIABLE: plant})
    first.wait_until_frozen(FREEZE_SECONDS)
    _let_lease_end(arena)
    second = arena.worker(**_at("claimed", "STOP"), **{VARIABLE: plant})
    second.wait_until_frozen(FREEZE_SECONDS)
    seq = f"SELECT seq FROM orchestration_run WHERE business_key = '{order}'"
    first.thaw()
    with suppress(crashes.NotReached):  # refused, as it should be
        wait_for(lambda: [row for row in arena.rows(seq) if row[0] > 1], 0.6)
    second.thaw()
    _rest(arena, plant)
    first.kill()
    second.kill()


def two_deciders(arena: Arena, plant: str, order: str) -> None:
    """Lea's vote is written and not yet committed when Leo votes."""
    arena.submit([Order(order, "gated")]).finish()
    with one_worker(arena):
        own = f"run_id = (SELECT id FROM orchestration_run WHERE business_key = '{order}')"
        request = wait_for(lambda: arena.rows(f"SELECT id FROM approvals_approvalrequest WHERE {own}"))[0][0]
    arena.other_port = arena.other_port or free_port()
    slow = arena.web(arena.other_port, **_at("decision_written", "STOP"), **{VARIABLE: plant})
    quick_port = free_port()
    quick = arena.web(quick_port, **{VARIABLE: plant})
    vote = {"verdict": "approve", "digest": arena.person("lea").get(f"requests/{request}").body["digest"], "reason": "so it is"}
    threads = []
    for name, port, verdict in (("lea", arena.other_port, "approve"), ("leo", quick_port, "reject")):
        person = arena.person(name, port)
        thread = threading.Thread(
            target=person.try_once, args=("POST", f"requests/{request}/decisions", {**vote, "verdict": verdict}), daemon=True
        )
        thread.start()
        threads.append(thread)
        if name == "lea":
            slow.wait_until_frozen(FREEZE_SECONDS)
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_for(lambda: [True] if not threads[1].is_alive() else arena.rows(waits))
    slow.thaw()
    for thread in threads:
        thread.join(SOON_SECONDS)
    slow.kill()
    quick.kill()
    with one_worker(arena):
        _rest(arena, plant)


def torn_commit(arena: Arena, plant: str, order: str) -> None:
    """The worker dies when everything is written and nothing committed."""
    _die_at(arena, plant, Order(order), "journal_written")


def sent_again(arena: Arena, plant: str, order: str) -> None:
    """The worker dies when the effect has happened and its answer is known to it alone."""
    _die_at(arena, plant, Order(order), "effect_answered", afterwards=plant)


def rights_end(arena: Arena, plant: str, order: str) -> None:
    """The right to an effect is withdrawn between its verdict and the commit of its intent."""
    arena.submit([Order(order)]).finish()
    worker = arena.worker(**_at("planned", "STOP", 2), **{VARIABLE: plant})
    worker.wait_until_frozen(FREEZE_SECONDS)
    arena.nursery.task("tests.torture.tasks:withdraw", capability="sink.post")
    arena.withdrawn.add(f"{order}.1")
    worker.thaw()
    try:
        _rest(arena, plant)
    finally:
        worker.kill()
        arena.nursery.task("tests.torture.tasks:grant", capability="sink.post")


def dies_before_intent(arena: Arena, plant: str, order: str) -> None:
    """The worker dies while it commits the intent of an effect that must not happen twice."""
    _die_at(arena, plant, Order(order, "unsafe"), "runs_moved", passes=2)


def told_while_waiting(arena: Arena, plant: str, order: str) -> None:
    """Rita cancels a run that waits for a decision."""
    arena.submit([Order(order, "gated")]).finish()
    waits = f"SELECT 1 FROM orchestration_run WHERE business_key = '{order}' AND status = 'waiting_decision'"
    with one_worker(arena):
        wait_for(lambda: arena.rows(waits))
        arena.nursery.task("tests.torture.tasks:cancel", plant=plant, order=order)
        _rest(arena, plant)


def dies_again_and_again(arena: Arena, plant: str, order: str) -> None:
    """Five workers die of a run before they can commit anything about it; the sixth must not try."""
    arena.doomed.add(order)
    arena.submit([Order(order)]).finish()
    for _ in range(MAX_LOSSES):
        worker = arena.worker(**_at("planned", "KILL"), **{VARIABLE: plant})
        crashes.expect_death(worker, "planned")
        _let_lease_end(arena)
    with one_worker(arena, **{VARIABLE: plant}):
        _rest(arena, plant)


def unsafe_dies(arena: Arena, plant: str, order: str) -> None:
    """The worker dies when an effect that must not happen twice has happened."""
    _die_at(arena, plant, Order(order, "unsafe"), "effect_answered", afterwards=plant)


def nobody_rings(arena: Arena, plant: str, order: str) -> None:
    """Work comes in while a worker is idle, and no ring ever reaches it."""
    with one_worker(arena, **{VARIABLE: plant}):
        time.sleep(0.5)  # its first look finds nothing
        for bell in (arena.folder / "data" / "bells").glob("*"):
            bell.unlink()
        arena.submit([Order(order)]).finish()
        _rest(arena, plant)


STORIES: Final[Mapping[str, Story]] = {
    "fence_not_checked": Story(stale_worker, "fenced"),
    "gate_without_lock": Story(two_deciders, "one_outcome", on_postgres_only=True),
    "commit_split": Story(torn_commit, "whole"),
    "key_per_attempt": Story(sent_again, "once"),
    "epoch_not_checked": Story(rights_end, "mediated"),
    "intent_after_call": Story(dies_before_intent, "intended"),
    "wake_lost": Story(told_while_waiting, "rests"),
    "counted_after": Story(dies_again_and_again, "quarantined"),
    "unsafe_retried": Story(unsafe_dies, "unsafe"),
    "sweep_disabled": Story(nobody_rings, "rests"),
}


def _die_at(arena: Arena, plant: str, order: Order, point: str, *, passes: int = 1, afterwards: str = "") -> None:
    """Run one order; its worker dies at the point; another one takes over.

    Args:
        afterwards: the plant of the worker that takes over.
    """
    arena.submit([order]).finish()
    crashes.expect_death(arena.worker(**_at(point, "KILL", passes), **{VARIABLE: plant}), point)
    with one_worker(arena, **{VARIABLE: afterwards}):
        _rest(arena, plant)


def _at(point: str, how: str, passes: int = 1) -> dict[str, str]:
    """A worker without housekeeping: frozen in the middle of that, it would hold SQLite's one lock and everybody with it."""
    return {CRASH_AT_VARIABLE: f"{point}:{passes}:{how}", "AEGIS_TEST_HOUSEKEEPING": "off"}


def _let_lease_end(arena: Arena) -> None:
    time.sleep(float(arena.nursery.env["AEGIS_LEASE_SECONDS"]) + 0.1)


def _rest(arena: Arena, plant: str = "") -> None:
    arena.rest(STUCK_SECONDS if plant else SOON_SECONDS)
