"""Two that meet at one open request: a vote over HTTP, and another vote, a withdrawal, a cancel, the deadline, a lost right."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tests.drills.hand import Hand
from tests.support.client import Answer
from tests.support.stack import Stack

Json = Any

KINDS: Final = (
    "approve/approve",
    "approve/reject",
    "approve/withdraw",
    "approve/cancel",
    "approve/expire",
    "approve/right gone",
)
GROUP: Final = "Fault leads"
WINDOW_MS: Final = 120  # the deadline is so long after the start
#: Kind -> seconds by which the vote and the other one begin later, at most: what spreads who comes first.
LATER: Final[Mapping[str, tuple[float, float]]] = {
    "approve/withdraw": (0.04, 0.01),
    "approve/cancel": (0.08, 0.0),
    "approve/expire": (0.2, 0.0),
    "approve/right gone": (0.03, 0.01),
}
#: Kind -> what may have become of the request if the vote was refused.
OTHERWISE: Final[Mapping[str, frozenset[str]]] = {
    "approve/approve": frozenset({"approved"}),
    "approve/reject": frozenset({"rejected"}),
    "approve/withdraw": frozenset({"withdrawn"}),
    "approve/cancel": frozenset({"withdrawn", "cancelled"}),
    "approve/expire": frozenset({"expired", "open"}),  # open: refused as expired, and the sweep has not come yet
    "approve/right gone": frozenset({"open"}),
}


@dataclass(frozen=True, slots=True)
class Race:
    """One meeting. `first` is the answer to lea's vote (leo's, where his right goes); `other` what the other got or did."""

    kind: str
    request: str
    first: Answer
    other: Any


def run(house: Stack, hand: Hand, requests: Sequence[tuple[str, str, str]], kinds: Sequence[str], seed: int) -> list[Race]:
    """One race for each request, the kinds in turn.

    Args:
        requests: (id, digest, run).
    """
    dice = random.Random(seed)
    course = _Course(house, hand)
    with ThreadPoolExecutor(2) as pool:
        return [course.race(pool, kinds[index % len(kinds)], request, dice) for index, request in enumerate(requests)]


class _Course:
    def __init__(self, house: Stack, hand: Hand) -> None:
        self.hand = hand
        self.clients = {person: house.client(person) for person in ("lea", "leo", "rita")}

    def race(self, pool: ThreadPoolExecutor, kind: str, asked: tuple[str, str, str], dice: random.Random) -> Race:
        request, digest, run = asked
        if kind == "approve/expire":
            self.hand.do("deadline", request=request, milliseconds=WINDOW_MS)
        voter = "leo" if kind == "approve/right gone" else "lea"
        wait, late = (dice.uniform(0, most) for most in LATER.get(kind, (0.0, 0.0)))
        other = self._others(request, digest, run)[kind]
        barrier = threading.Barrier(2, timeout=20)

        def vote() -> Answer:
            barrier.wait()
            time.sleep(wait)
            return self._vote(voter, request, digest, "approve")

        def meet() -> Any:
            barrier.wait()
            time.sleep(late)
            return other()

        first, second = pool.submit(vote), pool.submit(meet)
        found = Race(kind, request, first.result(), second.result())
        if kind == "approve/right gone":
            self.hand.do("join", person="leo", group=GROUP)
        return found

    def _others(self, request: str, digest: str, run: str) -> dict[str, Callable[[], Any]]:
        return {
            "approve/approve": lambda: self._vote("leo", request, digest, "approve"),
            "approve/reject": lambda: self._vote("leo", request, digest, "reject"),
            "approve/withdraw": lambda: self.clients["rita"].once("POST", f"requests/{request}/withdraw", {"reason": "no"}),
            "approve/cancel": lambda: self.hand.do("cancel", run=run),
            "approve/expire": lambda: self.hand.do("expire", request=request, milliseconds=WINDOW_MS),
            "approve/right gone": lambda: self.hand.do("leave", person="leo", group=GROUP),
        }

    def _vote(self, person: str, request: str, digest: str, verdict: str) -> Answer:
        body = {"verdict": verdict, "reason": f"{person} says so", "digest": digest}
        return self.clients[person].once("POST", f"requests/{request}/decisions", body)


def violations(races: Sequence[Race], facts: Mapping[str, Json]) -> list[str]:
    """Everything but one outcome each, the winner's, and none by a right that was gone.

    Args:
        facts: of `Hand.do("facts")`, after the races.
    """
    return [f"{race.kind} {race.request}: {what}" for race in races for what in _violations_of(race, facts[race.request])]


def won(races: Sequence[Race]) -> Counter[tuple[str, bool]]:
    """(kind, was the first vote taken) -> races: a kind in which one side always wins was no race."""
    return Counter((race.kind, race.first.status == 200) for race in races)


def _violations_of(race: Race, fact: Json) -> Iterator[str]:
    is_taken = race.first.status == 200
    other_taken = isinstance(race.other, Answer) and race.other.status == 200
    if race.first.status >= 500 or (isinstance(race.other, Answer) and race.other.status >= 500):
        yield f"answered {race.first.status} and {race.other}"
    if is_taken and other_taken:
        yield "both were told that they were first"
    expected = {"approved"} if is_taken else OTHERWISE[race.kind]
    if fact["status"] not in expected:
        yield f"it is {fact['status']}, and the vote was answered {race.first.status} {race.first.body}"
    if fact["settled"] != (fact["status"] != "open"):
        yield f"settled {fact['settled']} times"
    if len(fact["votes"]) != is_taken + (other_taken and race.kind in ("approve/approve", "approve/reject")):
        yield f"votes {fact['votes']}"
    if race.kind == "approve/right gone" and any(at > race.other["at"] for _, at in fact["votes"]):
        yield f"voted at {fact['votes']}, after the right was gone at {race.other['at']}"
