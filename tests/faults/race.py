"""Two people who decide the same request at the same instant over HTTP, many times, and what must come of it."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.support import founding
from tests.support.client import Answer
from tests.support.stack import Stack

OPEN_SECONDS = 60.0
BARRIER_SECONDS = 20.0

_WHO_AND_WHEN = re.compile(r"^(?P<who>\w+) (?P<how>approved|rejected) this at \d\d:\d\d:\d\d UTC on \d\d? \w+ \d{4}")
_OUTCOMES = {"approve": "approved", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Vote:
    """What one of the two sent, and the answer."""

    person: str
    verdict: str
    answer: Answer


def open_requests(house: Stack, count: int) -> dict[str, str]:
    """Id -> digest of `count` open requests: runs submitted over HTTP and driven to their gate by a worker, which then stops.

    Raises:
        TimeoutError: not all came to their gate.
    """
    client = house.client("rita")
    submissions = [
        {"workflow": founding.WORKFLOW, "input": {"id": f"race-{number}", "kind": "gated"}} for number in range(count)
    ]
    worker = house.worker()
    worker.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda submission: client.post("runs", submission), submissions))
    deadline = time.monotonic() + OPEN_SECONDS
    while any(run["status"] != "waiting_decision" for run in client.runs()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all requests opened\n{house.logs()}")
        time.sleep(0.2)
    worker.stop()
    return {request: row["digest"] for request, row in sorted(house.look()["requests"].items())}


def race(house: Stack, requests: Mapping[str, str], seed: int) -> dict[str, list[Vote]]:
    """Have lea and leo decide each request at once; returns their votes by request.

    Args:
        requests: id -> digest of what they saw.
    """
    dice = random.Random(seed)
    votes: dict[str, list[Vote]] = {request: [] for request in requests}
    plan = [(request, {name: dice.choice(sorted(_OUTCOMES)) for name in ("lea", "leo")}) for request in requests]
    barrier = threading.Barrier(2, timeout=BARRIER_SECONDS)

    def decide(person: str) -> None:
        client = house.client(person)
        for request, verdicts in plan:
            vote = {"verdict": verdicts[person], "reason": f"{person} says so", "digest": requests[request]}
            barrier.wait()
            answer = client.once("POST", f"requests/{request}/decisions", vote)
            votes[request].append(Vote(person, verdicts[person], answer))
            barrier.wait()  # nobody is ahead: the next one, too, is a race

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(decide, person) for person in ("lea", "leo")]:
            future.result()
    return votes


def violations(votes: Mapping[str, Sequence[Vote]], facts: Mapping[str, Any]) -> list[str]:
    """Everything but: one outcome each, the winner's; the loser told who and when.

    Args:
        facts: `tests.support.look`, after the race.
    """
    return [f"{request}: {what}" for request, two in votes.items() for what in _violations_of(request, two, facts)]


def _violations_of(request: str, votes: Sequence[Vote], facts: Mapping[str, Any]) -> Iterator[str]:
    won = [vote for vote in votes if vote.answer.status == 200]
    lost = [vote for vote in votes if vote.answer.status != 200]
    if len(won) != 1 or len(lost) != 1:
        yield f"answered {[vote.answer.status for vote in votes]}"
        return
    status = facts["requests"][request]["status"]
    if status != _OUTCOMES[won[0].verdict]:
        yield f"{won[0].person} was told {won[0].verdict}, but it is {status}"
    counts = {what: facts[what].get(request, 0) for what in ("decisions", "settled", "told")}
    if set(counts.values()) != {1}:
        yield f"{counts}"
    yield from _told(lost[0].answer, won[0])


def _told(answer: Answer, winner: Vote) -> Iterator[str]:
    if (answer.status, answer.body.get("code")) != (409, "request_settled"):
        yield f"the loser was answered {answer.status} {answer.body}"
        return
    found = _WHO_AND_WHEN.match(answer.body["detail"])
    if found is None or (found["who"], found["how"]) != (winner.person.capitalize(), _OUTCOMES[winner.verdict]):
        yield f"the loser was told {answer.body['detail']!r}, the winner is {winner.person} ({winner.verdict})"
