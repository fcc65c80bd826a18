"""Records that a wave is going to ask for are read at once; what was not foreseen is read in its turn."""

from __future__ import annotations

import pytest

from bench import costs, workload
from bench.counting import counting
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine.foresight import record_ahead
from orchestration.engine.planner import Replied
from orchestration.engine.state import State
from orchestration.records import store
from orchestration.workflows.definition import ActStep, AgentStep, Common, Definition, FinishStep

NOTE = {"capability": "note.write", "resource": {"type": "note", "id": "N-1"}, "parameters": {}}
CALLING = State(step="write", phase="calling", visit=1, attempt=1)


def definition(*steps) -> Definition:
    return Definition("w", "W", "Desk", "in@1", "input.id", "people", (AgentStep(Common("write"), "clerk", "out@1"), *steps))


def ahead(reply, *, state=CALLING, act="steps.write.output.note"):
    steps = (ActStep(Common("keep"), act, "write"), FinishStep(Common("end"), "fine"))
    return record_ahead(definition(*steps), state, [Replied("write", 1, 1, reply, 3)], run_input={}, values={})


def test_the_record_of_the_effect_behind_an_answer_is_foreseen():
    assert ahead(Done({"note": NOTE})) == ("note", "N-1")


@pytest.mark.parametrize("output", [{}, {"note": {**NOTE, "resource": {"type": "note"}}}, {"note": 1}, None])
def test_an_answer_that_proposes_nothing_leads_to_no_record(output):
    assert ahead(Done(output)) is None


def test_other_answers_and_phases_lead_to_none():
    assert ahead(Abstain("no idea")) is None
    assert ahead(Done({"note": NOTE}), state=State(step="write", phase="ready", visit=1)) is None
    assert (
        record_ahead(definition(), CALLING, [Replied("write", 1, 1, Done({"note": NOTE}), 3)], run_input={}, values={}) is None
    )


@pytest.mark.django_db(transaction=True)
def test_a_wave_reads_its_records_at_once(area_rows, settings):
    settings.RUNS_IN_HAND = 20
    workload.found()
    workload.submit(10)

    with counting() as counts:
        costs.drain()

    reads = [times for text, times in counts.by_text.items() if "FROM" in text and "orchestration_record " in text + " "]
    assert sum(reads) <= 2, counts.by_text


@pytest.mark.django_db
def test_what_is_there_and_what_is_not_are_told_apart():
    from django.db import connection

    from aegis.core import clock
    from aegis.core.canonical import dump
    from orchestration.records.models import Record

    for key in ("N-1", "N-2"):
        Record.objects.create(type="note", key=key, version=3, body=dump({"key": key}).decode(), updated_at=clock.now())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orchestration_record SET body = '{' WHERE key = 'N-2'")

    found = store.read_all({("note", "N-1"), ("note", "N-2"), ("note", "N-3")})

    assert found == {("note", "N-1"): (3, {"key": "N-1"}), ("note", "N-3"): None}
