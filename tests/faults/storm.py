"""Work coming in, people deciding, and programs being killed, all at once. One seed drives kinds, pauses and moments."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.support import founding
from tests.support.client import Answer, Client
from tests.support.sink import Sink
from tests.support.stack import Program, Stack

WEB_READY_SECONDS = 60.0  # it always comes up; on a busy machine it takes its time
READY_SECONDS = 20.0  # at most waited for a program to work again before it is killed again
SHARES = {"gated": 0.1, "unsafe": 0.08}  # of all orders; the rest is plain


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of work to submit. `twice`: two clients send it at the same moment, under the same key."""

    id: str
    kind: str
    twice: bool

    @property
    def key(self) -> str:
        return f"order-{self.id}"

    @property
    def submission(self) -> Mapping[str, object]:
        return {"workflow": founding.WORKFLOW, "input": {"id": self.id, "kind": self.kind}}


def orders(count: int, seed: int) -> list[Order]:
    dice = random.Random(seed)
    kinds = [
        "gated" if roll < SHARES["gated"] else "unsafe" if roll < sum(SHARES.values()) else "plain" for roll in _rolls(dice)
    ]
    del kinds[count:]
    return [Order(f"{number:03d}", kind, dice.random() < 0.1) for number, kind in enumerate(kinds)]


def _rolls(dice: random.Random, enough: int = 10_000) -> Iterator[float]:
    return (dice.random() for _ in range(enough))


class Submitter:
    """Submits orders from several threads as they are released, and keeps who was promised what."""

    def __init__(self, client: Client, todo: Sequence[Order], *, threads: int = 6) -> None:
        self.client = client
        self.answers: dict[str, list[Answer]] = {order.key: [] for order in todo}
        self._todo = list(todo)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="submit")
        self._futures: list[Future[None]] = []

    def release(self, count: int) -> None:
        """Let the next `count` orders go."""
        for order in self._todo[:count]:
            for _ in range(2 if order.twice else 1):
                self._futures.append(self._pool.submit(self._submit, order))
        del self._todo[:count]

    def finish(self) -> None:
        """Wait until every order was answered.

        Raises:
            NoAnswer: one was not.
        """
        self.release(len(self._todo))
        self._pool.shutdown(wait=True)
        for future in self._futures:
            future.result()

    def _submit(self, order: Order) -> None:
        self.answers[order.key].append(self.client.post("runs", order.submission, key=order.key))
        time.sleep(random.uniform(0, 0.2))  # work comes in while things die, not all at once


class Approver:
    """A person who approves whatever is open, until told to stop."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=self.client.patience_seconds)

    def _work(self) -> None:
        while not self._stop.wait(0.3):
            for request in self.client.get("requests").body["requests"]:
                detail = self.client.get(f"requests/{request['id']}")
                if detail.status != 200:
                    continue
                vote = {"verdict": "approve", "digest": detail.body["digest"], "reason": "fine"}
                self.answers.append(self.client.post(f"requests/{request['id']}/decisions", vote))


@dataclass
class Killer:
    """Kills web and worker in turns and starts them again, each at a random moment after it had begun to work."""

    stack: Stack
    web: Program
    worker: Program
    sink: Sink
    dice: random.Random

    def go(self, kills_of_each: int, *, before_each: Callable[[int], None]) -> None:
        """
        Args:
            before_each: called with 0, 1, ... before each pair of kills.
        """
        for number in range(kills_of_each):
            before_each(number)
            for program in (self.worker, self.web):
                self._wait_until_it_works(program)
                time.sleep(self.dice.uniform(0, 0.7))
                program.kill()
                program.start()

    def _wait_until_it_works(self, program: Program) -> None:
        deadline = time.monotonic() + (WEB_READY_SECONDS if program is self.web else READY_SECONDS)
        while time.monotonic() < deadline and not self._works(program):
            time.sleep(0.05)

    def _works(self, program: Program) -> bool:
        return self.stack.answers() if program is self.web else self.sink.arrived_since(program.started_at)


def wait_for_rest(stack: Stack, client: Client, count: int, *, seconds: float) -> float:
    """Wait until `count` runs rest (ended, or set before a person). Returns the seconds it took.

    Raises:
        TimeoutError: with what still moves.
    """
    started = time.monotonic()
    while True:
        moving = [run for run in client.runs() if run["status"] not in ("completed", "failed", "cancelled", "waiting_review")]
        total = sum(1 for _ in client.runs()) if not moving else 0
        taken = time.monotonic() - started
        if not moving and total == count:
            return taken
        if taken > seconds:
            raise TimeoutError(f"{len(moving)} of {total or '?'} runs still move: {moving[:3]}\n{stack.logs()}")
        time.sleep(0.2)
