"""Judges what is left after a storm, from outside: the client's history, the sink's arrivals, the database, the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.storm import Order
from tests.support.client import Answer
from tests.support.sink import Sink

RESTS = {"completed", "waiting_review"}


def violations(
    orders: Sequence[Order],
    answers: Mapping[str, Sequence[Answer]],
    facts: Mapping[str, Any],
    sink: Sink,
    *,
    worker_kills: int,
    votes: Sequence[Answer] = (),
) -> list[str]:
    """Everything that breaks a promise; empty after a good run.

    Args:
        answers: by Idempotency-Key.
        facts: `tests.support.look`.
        worker_kills: how often an arrival may have been repeated for a receiver that does not deduplicate.
        votes: what lea, who approves everything, was answered.
    """
    runs = {run["key"]: run for run in facts["runs"]}
    return [
        *_lost_or_doubled(orders, answers, facts["runs"]),
        *_unended(orders, runs, facts),
        *_effects(orders, runs, facts, sink),
        *_repeats(orders, runs, facts, sink, worker_kills),
        *_decisions(facts, votes),
    ]


def _lost_or_doubled(
    orders: Sequence[Order], answers: Mapping[str, Sequence[Answer]], runs: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Each key is one run, and every submission that was answered 2xx exists under the id it was told."""
    by_key = Counter(run["key"] for run in runs)
    ids = {run["key"]: run["id"] for run in runs}
    for order in orders:
        if by_key[order.key] != 1:
            yield f"{order.key}: {by_key[order.key]} runs"
        for answer in answers[order.key]:
            if answer.status not in (200, 201):
                yield f"{order.key}: answered {answer.status} {answer.body}"
            elif answer.body["id"] != ids.get(order.key):
                yield f"{order.key}: was told run {answer.body['id']}, is {ids.get(order.key)}"
        if sum(answer.status == 201 for answer in answers[order.key]) > 1:
            yield f"{order.key}: told twice that it is new"
    for key in by_key.keys() - {order.key for order in orders}:
        yield f"{key}: a run nobody submitted"


def _unended(orders: Sequence[Order], runs: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    """Every run ended; one with an unsafe effect may wait for a person instead, if the outcome of the effect is unknown."""
    for order in orders:
        run = runs.get(order.key)
        if run is None or run["status"] == "completed":
            continue
        code = facts["review_codes"].get(run["id"], "")
        if not (order.kind == "unsafe" and run["status"] == "waiting_review" and code == "effect_unknown"):
            yield f"{order.key} ({order.kind}): {run['status']} at {run['step']} {code}"
        if run["leased"]:
            yield f"{order.key}: still leased"


def _effects(orders: Sequence[Order], runs: Mapping[str, Any], facts: Mapping[str, Any], sink: Sink) -> Iterator[str]:
    """No effect twice, none missing: sink, journal and records agree."""
    applied, expected_posts, expected_records = sink.applied(), set(), set()
    for order in orders:
        run = runs.get(order.key)
        if run is None or run["status"] != "completed":
            continue
        expected_posts.add(f"{run['id']}/post/1/0")
        expected_records.add(f"{run['id']}/store/1/0")
        if order.kind == "gated":
            expected_records.add(f"{run['id']}/consent/1/0")
    waiting = {f"{run['id']}/post/1/0" for run in runs.values() if run["status"] == "waiting_review"}
    for key in expected_posts - applied.keys():
        yield f"{key}: never arrived"
    for key in applied.keys() - expected_posts - waiting:
        yield f"{key}: arrived, but nobody intended it"
    for key in sink.quarrels():
        yield f"{key}: came with different bodies"
    versions, done = facts["record_versions"], facts["effects_done"]
    for key in expected_records | versions.keys():
        if versions.get(key, 0) != 1 or key not in expected_records:
            yield f"{key}: {versions.get(key, 0)} record versions"
    for key in expected_posts | expected_records | done.keys():
        if done.get(key, 0) != 1:
            yield f"{key}: done {done.get(key, 0)} times by the journal"


def _repeats(
    orders: Sequence[Order], runs: Mapping[str, Any], facts: Mapping[str, Any], sink: Sink, kills: int
) -> Iterator[str]:
    """A receiver that does not deduplicate sees no more than the journal intended: each arrival has an intent before it, only
    kills repeat one, and nothing repeats what is declared unsafe."""
    counts = sink.counts()
    for key, count in counts.items():
        if count > facts["effects_intended"].get(key, 0):
            yield f"{key}: arrived {count} times, intended {facts['effects_intended'].get(key, 0)} times"
        if count > kills + 1:
            yield f"{key}: arrived {count} times for {kills} kills"
    for order in orders:
        run = runs.get(order.key)
        count = counts[f"{run['id']}/post/1/0"] if run else 0
        if order.kind == "unsafe" and count > 1:
            yield f"{order.key}: unsafe, and arrived {count} times"


def _decisions(facts: Mapping[str, Any], votes: Sequence[Answer]) -> Iterator[str]:
    """Each request has one vote, one outcome, and its run was told once. A vote sent again, because the answer to the first was
    lost, is told that it stands."""
    for request, row in facts["requests"].items():
        counts = [facts[what].get(request, 0) for what in ("decisions", "settled", "told")]
        if row["status"] != "approved" or counts != [1, 1, 1]:
            yield f"request {request}: {row['status']}, decided/settled/told {counts}"
    for vote in votes:
        stands = (
            vote.status == 409 and vote.body["code"] == "request_settled" and vote.body["detail"].startswith("Lea approved")
        )
        if vote.status != 200 and not stands:
            yield f"a vote was answered {vote.status} {vote.body}"
