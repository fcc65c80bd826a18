"""What a run may cost, in exact counts: commits wait for the disk, statements for the wire, and both are shared under load."""

from __future__ import annotations

import pytest

from bench import costs, workload
from bench.counting import Counts

pytestmark = pytest.mark.django_db(transaction=True)

WRITE_COMMITS_OF_BACKLOG, STATEMENTS_OF_BACKLOG = 2, 15  # per run, 20 in hand
COMMITS_OF_RUN_ALONE = 8  # its submission, its claim, and one for each of its six steps


@pytest.fixture
def founded(area_rows, settings):
    settings.RUNS_IN_HAND = 20
    workload.found()
    costs.of_run_alone(1)  # what a process loads once is no cost of a run


def test_a_backlog_shares_its_commits(founded):
    cost = costs.of_backlog(240)

    assert cost.write_commits <= WRITE_COMMITS_OF_BACKLOG, cost.by_text
    assert cost.statements <= STATEMENTS_OF_BACKLOG, cost.by_text


def test_a_run_alone_takes_no_more_commits_than_it_has_things_to_make_durable(founded):
    cost = costs.of_run_alone(3)

    assert cost.write_commits <= COMMITS_OF_RUN_ALONE, cost.by_text


def test_the_workload_is_what_the_table_says(founded):
    workload.submit(3)
    costs.drain()

    from audit.models import Event
    from orchestration.engine.models import Run

    for run in Run.objects.all():
        types = list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("type", flat=True))
        assert types == [
            "run.submitted",
            *(["step.started", "step.completed"] * workload.STEPS),
            "verdict.given",
            "effect.done",
            "run.completed",
        ]
        assert len(types) == workload.EVENTS


def test_the_count_sees_every_way_to_the_database(founded):
    from django.db import connection, transaction

    from bench.counting import counting

    with counting() as counts, connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # reads outside a transaction: one statement, no write
        with transaction.atomic():
            cursor.execute("SELECT 1")  # begin, select, commit
        with transaction.atomic():
            insert = "INSERT INTO audit_stream (name, seq, head) VALUES (%s, 0, '')"
            cursor.executemany(insert, [[f"count:{number}"] for number in range(7)])  # begin, seven, commit
        with transaction.atomic():
            cursor.execute("UPDATE audit_stream SET seq = 1 WHERE name = 'nobody'")  # changes nothing
        cursor.execute("UPDATE audit_stream SET seq = 1 WHERE name = %s RETURNING seq", ["count:1"])
        assert cursor.fetchall() == [(1,)]

    assert _numbers(counts) == (1 + 3 + 9 + 3 + 1, 2)


def _numbers(counts: Counts) -> tuple[int, int]:
    return counts.statements, counts.write_commits
