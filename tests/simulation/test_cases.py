"""2,000 generated cases through the real engine on this database: 40 random workflows, 50 runs of each, workers that die."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from random import Random
from typing import get_args

import orjson
import pytest

from audit import journal
from audit.models import Event
from orchestration.engine import state as states
from orchestration.engine.fold import fold
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.state import State, Status
from orchestration.records.models import RecordVersion
from tests.simulation import house
from tests.simulation.cases import Case

HOUSES = 8
WORKFLOWS = 5  # per house
PATHS = int(os.environ.get("AEGIS_CASE_PATHS", "50"))  # runs per workflow: 8 * 5 * 50 = 2,000 cases
ROUNDS = 4
SAMPLE = 40  # runs per house that are rebuilt from the journal at every prefix
DECLARED = {*get_args(Status)}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lived(request, area_rows):
    case = Case(request.param, range(request.param * WORKFLOWS, (request.param + 1) * WORKFLOWS), PATHS)
    case.found()
    case.live(ROUNDS)
    return case


@pytest.mark.parametrize("lived", range(HOUSES), indirect=True)
def test_generated_cases_keep_every_promise(lived):
    lines = lines_of(lived)

    verified()
    every_run_rests_in_a_declared_state(lived)
    no_effect_happened_twice(lived, lines)
    each_gate_has_one_outcome(lines)
    any_prefix_folds_to_what_was_stored(lived, lines)
    assert any(what.startswith("died") for what in lived.happened), lived.happened


def lines_of(case: Case) -> dict[str, list[dict]]:
    found = defaultdict(list)
    events = Event.objects.filter(run_id__in=case.runs, stream__startswith="run:").order_by("stream", "seq")
    for stream, line in events.values_list("stream", "line"):
        found[stream].append(orjson.loads(line))
    return found


def verified() -> None:
    """Bytes, chain, payloads, heads; state equals fold, of every run."""
    report = journal.verify()
    assert report.problems == []
    assert report.is_good


def every_run_rests_in_a_declared_state(case: Case) -> None:
    assert [(row.stream, row.status, row.state, row.lease_until, row.wake, row.seen) for row in case.runnable()] == []
    rows = Run.objects.filter(pk__in=case.runs)
    assert set(rows.values_list("status", flat=True)) <= DECLARED
    for row in rows.exclude(status__in=Run.TERMINAL):
        state = states.load(row.state)
        match state.phase:
            case "deciding":
                assert case_has_open_request(state.request), f"{row.stream} waits for a request that is closed"
            case "reviewing":
                item = ReviewItem.objects.get(pk=state.item)
                assert (item.status, item.run_id) == (ReviewItem.Status.OPEN, row.pk), f"{row.stream} is in nobody's queue"
            case "held":
                assert state.hold in ("breaker", "rate", "concurrency", "retries"), f"{row.stream} is held by {state.hold}"
            case _:
                raise AssertionError(f"{row.stream} is {state.phase} for nobody")
    assert not any(row.outcome == "" for row in map(state_of, rows.filter(status=Run.Status.FAILED)))


def case_has_open_request(request_id: str) -> bool:
    from approvals.models import ApprovalRequest

    return ApprovalRequest.objects.filter(pk=request_id, status=ApprovalRequest.Status.OPEN).exists()


def state_of(row: Run) -> State:
    return states.load(row.state)


def no_effect_happened_twice(case: Case, lines: dict[str, list[dict]]) -> None:
    """Behind a key once; an unsafe one once even where nobody looks at keys, but for what a person sent again; local ones by
    the versions they made."""
    assert {effect: count for effect, count in case.receivers.applied.items() if count > 1} == {}
    sent_back: Counter[str] = Counter()
    for stream, found in lines.items():
        sent_back[stream] = sum(
            line["type"] == "run.retried"
            or (line["type"] == "review.settled" and line["data"]["outcome"] in ("retried", "not_happened"))
            for line in found
        )
    unsafe = {
        (stream.removeprefix("run:"), line["data"]["step"], line["data"]["visit"], bool(line["data"].get("undoes")))
        for stream, found in lines.items()
        for line in found
        if line["type"] == "effect.intended" and line["data"]["handler"] in house.UNSAFE
    }
    for effect in unsafe:
        assert case.receivers.naive[effect] <= 1 + sent_back[f"run:{effect[0]}"], effect
    for stream, found in lines.items():
        done = Counter(
            (line["data"]["step"], line["data"]["visit"], line["data"].get("undoes", ""))
            for line in found
            if line["type"] in ("effect.done", "effect.stated")
        )
        assert not done or max(done.values()) == 1, stream
    local = sum(
        line["type"] == "effect.done" and line["data"]["after_version"] > 0 for found in lines.values() for line in found
    )
    assert RecordVersion.objects.filter(run_id__in=case.runs).count() == local


def each_gate_has_one_outcome(lines: dict[str, list[dict]]) -> None:
    for found in lines.values():
        outcomes = Counter(
            line["data"]["request"] for line in found if line["type"] == "gate.settled" and line["data"]["request"]
        )
        assert not outcomes or max(outcomes.values()) == 1


def any_prefix_folds_to_what_was_stored(case: Case, lines: dict[str, list[dict]]) -> None:
    """Of a sample: the journal alone gives, at every commit, the state that this commit stored."""
    compared = 0
    for run_id in Random(case.seed).sample(case.runs, min(SAMPLE, len(case.runs))):
        stream, state = f"run:{run_id}", State()
        for line in lines[stream]:
            state = fold(state, stream=stream, seq=line["seq"], type=line["type"], data=line["data"])
            assert states.load(states.dump(state)) == state
            if (stored := case.stored.get((run_id, line["seq"]))) is not None:
                compared += 1
                assert states.dump(state) == stored, f"{stream}/{line['seq']}"
    assert compared > SAMPLE
