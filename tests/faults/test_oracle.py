"""The oracle of the kill tests sees what it is there for: a good story passes, each way to break it is named (HAZARDS K02)."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults import oracle
from tests.faults.storm import Order
from tests.support.client import Answer
from tests.support.sink import Arrival, Sink

PLAIN, GATED, UNSAFE = Order("1", "plain", False), Order("2", "gated", False), Order("3", "unsafe", False)


class Story:
    """What is left after three orders went well, with one kill whose repeat was deduplicated; to be broken in one place."""

    def __init__(self) -> None:
        self.orders = [PLAIN, GATED, UNSAFE]
        self.answers = {order.key: [Answer(201, {"id": f"run-{order.id}"})] for order in self.orders}
        self.votes = [Answer(200, {})]
        self.sink = Sink()
        self.sink.arrivals += [Arrival(f"run-{id_}/post/1/0", 1, "body", 0.0) for id_ in (1, 1, 2, 3)]
        records = ["run-1/store/1/0", "run-2/consent/1/0", "run-2/store/1/0", "run-3/store/1/0"]
        posts = [f"run-{id_}/post/1/0" for id_ in (1, 2, 3)]
        self.facts: dict[str, Any] = {
            "runs": [
                {"id": f"run-{order.id}", "key": order.key, "status": "completed", "step": "done", "leased": False}
                for order in self.orders
            ],
            "effects_intended": {**dict.fromkeys(posts, 1), posts[0]: 2},
            "effects_done": dict.fromkeys(records + posts, 1),
            "record_versions": dict.fromkeys(records, 1),
            "review_codes": {},
            "requests": {"request": {"status": "approved"}},
            "decisions": {"request": 1},
            "settled": {"request": 1},
            "told": {"request": 1},
        }

    def violations(self) -> list[str]:
        return oracle.violations(self.orders, self.answers, self.facts, self.sink, worker_kills=1, votes=self.votes)

    def arrive(self, key: str, body: str = "body") -> None:
        self.sink.arrivals.append(Arrival(key, 2, body, 0.0))

    def run_of(self, order: Order) -> dict[str, Any]:
        return next(run for run in self.facts["runs"] if run["key"] == order.key)


def test_a_good_story_breaks_no_promise() -> None:
    assert Story().violations() == []


BROKEN: dict[str, tuple[Callable[[Story], Any], str]] = {
    "a run is lost": (lambda s: s.facts["runs"].pop(0), "order-1: 0 runs"),
    "one key is two runs": (lambda s: s.facts["runs"].append(copy.copy(s.facts["runs"][0])), "order-1: 2 runs"),
    "a run came from nowhere": (lambda s: s.facts["runs"].append({**s.facts["runs"][0], "key": "x"}), "nobody submitted"),
    "a client was told another run": (lambda s: s.answers["order-1"].append(Answer(200, {"id": "run-9"})), "was told run"),
    "two clients were told it is new": (
        lambda s: s.answers["order-1"].append(Answer(201, {"id": "run-1"})),
        "told twice that it is new",
    ),
    "the API fell over": (lambda s: s.answers["order-1"].append(Answer(500, {})), "answered 500"),
    "a run hangs": (lambda s: s.run_of(PLAIN).update(status="running", leased=True), "still leased"),
    "an effect is missing outside": (lambda s: s.sink.arrivals.pop(2), "never arrived"),
    "an effect happened under another key": (lambda s: s.arrive("run-1/post/1/0-2"), "nobody intended it"),
    "an effect came with another body": (lambda s: s.arrive("run-2/post/1/0", "other"), "different bodies"),
    "an effect came oftener than intended": (lambda s: s.arrive("run-2/post/1/0"), "arrived 2 times, intended 1"),
    "an unsafe effect was tried again": (lambda s: s.arrive("run-3/post/1/0"), "unsafe, and arrived 2 times"),
    "a record effect is missing": (lambda s: s.facts["record_versions"].pop("run-2/consent/1/0"), "0 record versions"),
    "the journal says done twice": (lambda s: s.facts["effects_done"].update({"run-1/post/1/0": 2}), "done 2 times"),
    "a request was decided twice": (lambda s: s.facts["decisions"].update(request=2), "decided/settled/told [2, 1, 1]"),
    "a run was not told": (lambda s: s.facts["told"].clear(), "decided/settled/told [1, 1, 0]"),
    "a voter was told something else": (lambda s: s.votes.append(Answer(500, {})), "a vote was answered 500"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_names_what_is_broken(name: str) -> None:
    story = Story()
    breaks, said = BROKEN[name]

    breaks(story)

    assert any(said in violation for violation in story.violations()), story.violations()


def test_an_unsafe_effect_of_unknown_outcome_may_wait_for_a_person() -> None:
    story = Story()
    story.run_of(UNSAFE).update(status="waiting_review", step="post")
    story.facts["review_codes"] = {"run-3": "effect_unknown"}
    for what in ("effects_done", "record_versions"):
        story.facts[what].pop("run-3/store/1/0")
    story.facts["effects_done"].pop("run-3/post/1/0")

    assert story.violations() == []


def test_half_a_request_is_no_arrival() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nAEGIS-Fence: 1\r\nContent-Length: 10\r\n\r\n"
    with Sink() as sink:
        port = int(sink.url.rstrip("/").rpartition(":")[2])
        for body in (b"half", b"0123456789"):
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.sendall(head + body)
                sender.shutdown(socket.SHUT_WR)  # as a worker that is killed leaves it
                while sender.recv(4096):
                    pass

        assert sink.counts() == {"k": 1}
        assert sink.quarrels() == []
