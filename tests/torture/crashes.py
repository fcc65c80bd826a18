"""Kill a process at a named point, and bring everything to rest again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from aegis.core.faults import CRASH_AT_VARIABLE
from tests.torture.arena import Approvers, Arena, free_port
from tests.torture.cradle import Process
from tests.torture.legs import Shape
from tests.torture.shapes import ALL, EVERY, Order, orders

REACH_SECONDS = 20.0
ORDERS = 6  # per kill
MAX_PASS: Final = 3
TRICKLE_SECONDS = 0.25
TRICKLE_GROWTH = 1.2


class NotReached(AssertionError):
    """A process came to rest without passing the point it was to die at."""


def kill_at(arena: Arena, point: str, passes: int, dice: random.Random, among: Sequence[Shape] = ()) -> float:
    """Submit some orders, kill a process when it passes the point for the n-th time, and wait until everything rests.

    Args:
        among: workflows of the orders; empty = all, with one that is gated and one that is unsafe.

    Returns:
        Seconds from the restart to rest.

    Raises:
        NotReached: nobody died there.
        Stuck: something does not come to rest.
    """
    todo = _some_orders(arena, dice, among)
    match point:
        case "submit_written" | "submitted":
            _while_submitting(arena, point, passes, todo)
        case "decision_written":
            _while_deciding(arena, point, todo)
        case "expiry_written":
            _while_expiring(arena, point, todo)
        case _:
            _while_working(arena, point, passes, todo, dice, among)
    with one_worker(arena), Approvers(arena, dice.randrange(10**9)):
        return arena.rest()


@contextmanager
def one_worker(arena: Arena, **env: str) -> Iterator[Process]:
    process = arena.worker(**env)
    try:
        yield process
    finally:
        process.kill()


def _some_orders(arena: Arena, dice: random.Random, among: Sequence[Shape]) -> list[Order]:
    """A few of any kind, one that is gated and one that is unsafe among them."""
    prefix = f"{len(arena.orders)}-"
    drawn = orders(dice, prefix, among or EVERY)
    if among:
        return [next(drawn) for _ in range(ORDERS)]
    return [
        Order(f"{prefix}gated", "gated", dice.choice(ALL).name),
        Order(f"{prefix}unsafe", "unsafe", dice.choice(ALL).name),
        *(next(drawn) for _ in range(ORDERS - 2)),
    ]


def _dying(point: str, passes: int = 1) -> dict[str, str]:
    return {CRASH_AT_VARIABLE: f"{point}:{passes}:KILL"}


def _while_working(
    arena: Arena, point: str, passes: int, todo: list[Order], dice: random.Random, among: Sequence[Shape]
) -> None:
    """A worker dies; until then more work comes in, so that there is a next claim, commit and drive to die in."""
    asking = [arena.submit(todo)]
    asking[0].finish()
    more = orders(dice, f"{len(arena.orders)}-", among or EVERY)
    with Approvers(arena, dice.randrange(10**9)):
        process = arena.worker(**_dying(point, passes))
        pause, until = TRICKLE_SECONDS, time.monotonic() + REACH_SECONDS
        while process.wait(pause) is None and time.monotonic() < until:
            asking.append(arena.submit([next(more)]))
            pause *= TRICKLE_GROWTH  # on a busy machine a steady trickle never lets a drive end, and then none dies at its end
        expect_death(process, point)
        for one in asking:
            one.finish()


def _while_submitting(arena: Arena, point: str, passes: int, todo: list[Order]) -> None:
    """The web process dies under its clients, and is started again on the same port; they send again what got no answer."""
    arena.other_port = arena.other_port or free_port()
    dying = arena.web(arena.other_port, **_dying(point, passes))
    asking = arena.submit(todo, port=arena.other_port)
    try:
        expect_death(dying, point)
        dying = arena.web(arena.other_port)
        asking.finish()
    finally:
        dying.kill()


def _while_deciding(arena: Arena, point: str, todo: list[Order]) -> None:
    """The web process dies between a vote and its commit; the vote is cast again elsewhere."""
    arena.submit(todo).finish()
    with one_worker(arena):
        request = wait_for(lambda: arena.person("lea").get("requests").body["requests"])[0]["id"]
    arena.other_port = arena.other_port or free_port()
    dying = arena.web(arena.other_port, **_dying(point))
    lea = arena.person("lea", arena.other_port)
    digest = arena.person("lea").get(f"requests/{request}").body["digest"]
    lea.try_once("POST", f"requests/{request}/decisions", {"verdict": "approve", "digest": digest, "reason": "then it dies"})
    expect_death(dying, point)


def _while_expiring(arena: Arena, point: str, todo: list[Order]) -> None:
    """The sweep dies while it closes a request whose deadline passed."""
    arena.submit(todo).finish()
    with one_worker(arena):
        wait_for(lambda: arena.rows("SELECT 1 FROM approvals_approvalrequest WHERE status = 'open'"))
    arena.execute("UPDATE approvals_approvalrequest SET deadline = opened_at WHERE status = 'open'")
    expect_death(arena.worker(**_dying(point)), point)


def expect_death(process: Process, point: str) -> None:
    status = process.wait(REACH_SECONDS)
    where = process.where() if status is None else process.log.read_text(errors="replace")[-3000:]
    process.kill()
    if status != -9:
        how = "is alive" if status is None else f"ended with {status}"
        raise NotReached(f"{point}: the process {how}\n{where}")


def wait_for(question: Callable[[], list[Any]], seconds: float = REACH_SECONDS) -> list[Any]:
    deadline = time.monotonic() + seconds
    while not (found := question()):
        if time.monotonic() > deadline:
            raise NotReached("nothing came")
        time.sleep(0.03)
    return found
