"""Judges what is left after a storm, from outside: client history, the sink's books, the database, the product's own verify.

Each check has a name; a planted bug counts as found only if the check that is there for it says so (`planted`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.torture import meetings
from tests.torture.history import History, Request, accepted, submissions, votes
from tests.torture.shapes import HANDED_OVER, Order
from tests.torture.sinkhole import Books

MAX_LOSSES: Final = 5  # lost workers at one step, or claims without a commit; then a run is set before people

#: Statuses in which nothing is expected to happen by itself.
RESTS: Final = ("completed", "failed", "cancelled", "waiting_review")

OUTCOMES: Final = {"approve": "approved", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise. `check` names what found it."""

    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


@dataclass(frozen=True)
class Case:
    """All the evidence.

    Attributes:
        facts: `facts.tell`.
        withdrawn: things whose rights were withdrawn before the effect was intended.
        doomed: orders whose workers died five times before they could commit anything.
        strict: a plain order must complete: nothing that happened can have worn its attempts out.
    """

    orders: Sequence[Order]
    history: History
    facts: Mapping[str, Any]
    books: Books
    withdrawn: frozenset[str] = frozenset()
    doomed: frozenset[str] = frozenset()
    strict: bool = False
    runs: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", {run["key"]: run for run in self.facts["runs"]})

    def types(self, run: Mapping[str, Any]) -> Mapping[str, int]:
        types: Mapping[str, int] = self.facts["streams"][run["id"]]["types"]
        return types

    def codes(self, run: Mapping[str, Any]) -> list[str]:
        return [code for run_id, code in self.facts["review_codes"] if run_id == run["id"]]


def violations(case: Case) -> list[Violation]:
    """Everything that breaks a promise; empty after a good storm."""
    return [Violation(name, what) for name, check in CHECKS.items() for what in check(case)]


def whole(case: Case) -> Iterator[str]:
    """The journal verifies: chain, heads, commitments, and every stored state is the fold of its events."""
    if not case.facts["is_whole"]:
        yield from case.facts["problems"] or ["the journal does not verify"]


def promised(case: Case) -> Iterator[str]:
    """Every submission answered 2xx exists under the id it was told; one key is one run; nobody else's run is there."""
    by_key = Counter(run["key"] for run in case.facts["runs"])
    tries = submissions(case.history)
    for order in case.orders:
        if by_key[order.key] > 1:
            yield f"{order.key}: {by_key[order.key]} runs"
        told = accepted(tries.get(order.key, ()))
        for request in told:
            if request.body["id"] != case.runs.get(order.key, {}).get("id"):
                yield f"{order.key}: was told run {request.body['id']}, is {case.runs.get(order.key, {}).get('id', 'lost')}"
        if sum(request.status == 201 for request in told) > 1:
            yield f"{order.key}: told twice that it is new"
        for request in tries.get(order.key, ()):
            if request.status not in (0, 200, 201, 429, 503):
                yield f"{order.key}: answered {request.status} {request.body}"
    for key in by_key.keys() - {order.key for order in case.orders}:
        yield f"{key}: a run nobody submitted"


def rests(case: Case) -> Iterator[str]:
    """Nothing is stuck: every accepted order's run ended or lies before a person, for a reason that is on record."""
    for order in case.orders:
        run = _before_people(case, case.runs.get(order.key))
        if run is None:
            if any(accepted(submissions(case.history).get(order.key, ()))):
                yield f"{order.key}: lost"
            continue
        if run["leased"] or run["wake"] > run["seen"]:
            yield f"{order.key}: {run['status']}, leased {run['leased']}, told {run['wake']}, heard {run['seen']}"
        if run["status"] not in RESTS:
            yield f"{order.key} ({order.kind}): {run['status']} at {run['step']}"
        elif reason := _undeclared(case, order, run):
            yield f"{order.key} ({order.kind}): {run['status']} at {run['step']}: {reason}"
    for child in case.facts["children"]:
        if child["leased"] or child["wake"] > child["seen"] or child["status"] not in RESTS:
            yield f"child {child['id']}: {child['status']} at {child['step']}, leased {child['leased']}"


def _before_people(case: Case, run: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The run; or, of one that waits for its children, the child that lies before people."""
    if run is None or run["status"] != "waiting_children":
        return run
    mine = (child for child in case.facts["children"] if child["parent"] == run["id"])
    return next((child for child in mine if child["status"] == "waiting_review"), run)


def _undeclared(case: Case, order: Order, run: Mapping[str, Any]) -> str:
    """Why this end was not to be expected; "" if it was."""
    types, codes = case.types(run), case.codes(run)
    if run["status"] == "completed":
        return "its agent answered nothing that could complete" if order.kind in HANDED_OVER | {"poison": ""} else ""
    if run["status"] == "cancelled":
        return "" if any(row[0] == run["id"] and row[2] == "cancel" for row in case.facts["inbox"]) else "nobody cancelled it"
    if order.kind == "poison" or order.id in case.doomed:
        return ""  # `quarantined` judges it
    if run["status"] == "failed":
        return "no step of it says `fail`"
    if not codes:
        return "before nobody"
    lost = types.get("step.lost", 0) + types.get("effect.lost", 0)
    expected = {
        HANDED_OVER.get(order.kind, ""): True,
        "rejected": order.kind == "gated",
        "expired": order.kind == "gated",
        "denied": bool(case.withdrawn),
        "effect_unknown": order.kind == "unsafe" or lost >= MAX_LOSSES,
        "quarantined": not case.strict,
        "resource_wait": not case.strict,
        "agent_error": not case.strict and lost >= MAX_LOSSES,  # what the engine says when a call was lost too often
    }
    return "" if expected.get(codes[0], False) else f"review for {codes[0]} after {lost} losses"


def quarantined(case: Case) -> Iterator[str]:
    """What kills its worker five times is set aside, and only that."""
    for order in case.orders:
        run = case.runs.get(order.key)
        if run is None:
            continue
        types = case.types(run)
        if order.kind == "poison" and not (types.get("run.quarantined") == 1 and run["status"] == "waiting_review"):
            yield f"{order.key}: poison, and {run['status']} after {types.get('step.lost', 0)} deaths"
        if order.kind == "poison" and types.get("step.started", 0) > MAX_LOSSES:
            yield f"{order.key}: poison, and begun {types['step.started']} times"
        if order.id in case.doomed:
            if not types.get("run.quarantined"):
                yield f"{order.key}: killed {MAX_LOSSES} workers, and tried again"
            continue
        if order.kind != "poison" and case.strict and types.get("run.quarantined"):
            yield f"{order.key}: {order.kind}, and quarantined"


def once(case: Case) -> Iterator[str]:
    """No effect twice, none missing, none that nobody intended: sink, journal and records agree."""
    expected_posts: dict[str, str] = {}
    expected_keys: set[str] = set()
    for order in case.orders:
        run = case.runs.get(order.key)
        if run is None or run["status"] != "completed":
            continue
        for key, act, leg in order.shape.keys(run["id"], order.kind):
            expected_keys.add(key)
            if act == "post":
                expected_posts[f"{order.id}.{leg}"] = key
    applied = case.books.keyed + case.books.naive
    for thing in expected_posts.keys() - applied.keys():
        yield f"{thing}: never arrived"
    for thing, count in case.books.keyed.items():
        if count != 1:
            yield f"{thing}: carried out {count} times by a receiver that deduplicates"
    for key in case.books.quarrels:
        yield f"{key}: came with different bodies"
    done: Counter[str] = Counter()
    for about in case.facts["streams"].values():
        done.update(about["done"])
    for key in expected_keys | done.keys():
        if done[key] != 1:
            yield f"{key}: done {done[key]} times by the journal"
    for key, count in case.facts["record_versions"].items():
        if count != 1 or done[key] != 1:
            yield f"{key}: {count} record versions, done {done[key]} times by the journal"


def intended(case: Case) -> Iterator[str]:
    """Every arrival has an intent on record before it, and no arrival is more than its intents."""
    wanted: Counter[str] = Counter()
    for about in case.facts["streams"].values():
        wanted.update(about["intended"])
    for key, count in case.books.arrivals.items():
        if count > wanted[key]:
            yield f"{key}: arrived {count} times, intended {wanted[key]} times"


def unsafe(case: Case) -> Iterator[str]:
    """Nothing that is declared unsafe is ever sent twice."""
    for thing, count in case.books.naive.items():
        if count > 1:
            yield f"{thing}: unsafe, and carried out {count} times"


def fenced(case: Case) -> Iterator[str]:
    """No line was written under a fence that was not the run's, and no stream's fence goes back."""
    for stream, seq, line_fence, run_fence in case.facts["stale"]:
        yield f"{stream}/{seq}: written under fence {line_fence} when the run's was {run_fence}"
    for run_id, about in case.facts["streams"].items():
        if about["fences"] != sorted(about["fences"]):
            yield f"{run_id}: fences {about['fences']}"


def one_outcome(case: Case) -> Iterator[str]:
    """Each gate is one decision: one vote stands, one outcome, the run told once; whoever came later was told so."""
    told = Counter(ref.partition("#")[0] for _, _, kind, ref in case.facts["inbox"] if kind == "gate_settled")
    tries = votes(case.history)
    for request, row in case.facts["requests"].items():
        counts = [case.facts["decisions"].get(request, 0), case.facts["settled"].get(request, 0), told[request]]
        decided = row["status"] in ("approved", "rejected")
        if counts != ([1, 1, 1] if decided else [0, 1, 1]) and row["status"] not in ("withdrawn", "cancelled"):
            yield f"request {request}: {row['status']}, decided/settled/told {counts}"
        yield from _linear(request, row["status"], tries.get(request, []))


def _linear(request: str, status: str, tries: Sequence[Request]) -> Iterator[str]:
    """Is there an order of the votes that explains every answer? One register, written once: the winner's answer must be the
    outcome; a refusal as settled must not have ended before the winner's began; nobody else may win."""
    won = accepted(tries)
    if len(won) > 1:
        yield f"request {request}: {len(won)} votes were accepted"
    for vote in won:
        if OUTCOMES[vote.sent["verdict"]] != status:
            yield f"request {request}: {vote.person} was told {vote.sent['verdict']}, but it is {status}"
    # 503 as well: whoever lost the answer to a COMMIT cannot know that it stands.
    candidates = [vote for vote in tries if vote.status in (0, 200, 503) and OUTCOMES[vote.sent["verdict"]] == status]
    by_vote = status in OUTCOMES.values()
    for vote in tries:
        if vote.status == 409:
            too_late = by_vote and vote.body.get("code") == "request_settled"
            if too_late and not any(one.started <= vote.ended for one in candidates):
                yield f"request {request}: {vote.person} was told it is settled before anybody voted"
        elif vote.status not in (0, 200, 404, 429, 503):
            yield f"request {request}: {vote.person} was answered {vote.status} {vote.body}"


def heard(case: Case) -> Iterator[str]:
    """Every message a run has counted as read is on its record: the cause of an event, or ignored with a reason."""
    for run_id, ordinal, kind, ref in case.facts["inbox"]:
        run = next(run for run in (*case.facts["runs"], *case.facts["children"]) if run["id"] == run_id)
        if ordinal > run["seen"] or kind in ("resumed", "message"):  # of messages: `delivered`
            continue
        name = ref.partition("#")[0]
        causes = {f"inbox:{ordinal}", f"request:{name}", f"review:{name}"}
        if not causes & set(case.facts["streams"][run_id]["causes"]):
            yield f"{run_id}: read message {ordinal} ({kind}) and did nothing about it"


def mediated(case: Case) -> Iterator[str]:
    """Nothing is done under rights that ended before it was intended."""
    for thing in case.withdrawn & (case.books.keyed + case.books.naive).keys():
        yield f"{thing}: carried out after the right to it was withdrawn"


CHECKS: Final[Mapping[str, Callable[[Case], Iterator[str]]]] = {
    "whole": whole,
    "promised": promised,
    "rests": rests,
    "quarantined": quarantined,
    "once": once,
    "intended": intended,
    "unsafe": unsafe,
    "fenced": fenced,
    "one_outcome": one_outcome,
    "heard": heard,
    "mediated": mediated,
    "joined": meetings.joined,
    "alone": meetings.alone,
    "delivered": meetings.delivered,
}
