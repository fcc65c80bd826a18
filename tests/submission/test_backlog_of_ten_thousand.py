"""A backlog of ten thousand runs costs a claim, a measurement and a page no more than a backlog of ten (HAZARDS F28, K16)."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from orchestration.engine import lease, pressure, verbs
from orchestration.engine.models import Run
from tests.engine import house
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

BACKLOG = 10_000
IN_HAND = 20
LEASE = timedelta(seconds=30)
# What reads every run there is: a scan of the table on SQLite (of an index: "USING INDEX", "SEARCH"), on PostgreSQL.
_WHOLE_TABLE = re.compile(r"SCAN orchestration_run(?! USING)|Seq Scan on orchestration_run")


@pytest.fixture
def backlog(zoe: Any) -> Any:
    actor = house.actor_for(zoe)
    for first in range(0, BACKLOG, verbs.MAX_BATCH):
        work = [verbs.Submission({"id": f"n-{number}"}) for number in range(first, first + verbs.MAX_BATCH)]
        verbs.submit_many("notes", work, person=zoe, actor=actor)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return zoe


def statements(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    return [query["sql"] for query in captured]


def plan_of(sql: str) -> str:
    """How the database would carry a statement out; carries nothing out."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(("EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN ") + sql.replace("%", "%%"))
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def plans(sqls: list[str]) -> dict[str, str]:
    asked = {sql: plan_of(sql) for sql in sqls if "orchestration_run" in sql and sql.startswith(("SELECT", "UPDATE", "WITH"))}
    assert asked, "nothing was asked of the runs: that proved nothing"
    return asked


def test_claims_measurements_and_pages_do_not_grow_with_it(backlog, settings):
    settings.BACKLOG_LIMIT = BACKLOG  # so full that the asker's part is counted too
    pressure.forget()

    tracemalloc.start()
    claimed: list[Any] = []
    asked = statements(lambda: claimed.extend(lease.claim(IN_HAND, lease=LEASE)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(claimed) == IN_HAND
    assert peak < 4 * 2**20
    for sql, plan in plans(asked).items():
        assert not _WHOLE_TABLE.search(plan), f"{sql}\n{plan}"

    measured = statements(lambda: pressure._gauge.take(backlog.pk, 1))
    assert pressure._gauge.backlog == BACKLOG
    for sql, plan in plans(measured).items():
        assert not _WHOLE_TABLE.search(plan), f"{sql}\n{plan}"
        assert "run_oldest" in plan

    client = client_of(backlog)
    assert len(statements(lambda: client.get("/api/v1/runs"))) <= 8
    Run.objects.exclude(pk__in=[run.id for run in claimed]).update(seen=1)  # a backlog of as many as are in hand
    pressure.forget()
    few = statements(lambda: client.get("/api/v1/runs"))
    assert len(few) == len(statements(lambda: client.get("/api/v1/runs")))


def test_the_list_of_runs_asks_no_more_of_a_long_backlog(backlog, browser_of):
    browser = browser_of(backlog)
    many = statements(lambda: browser.get("/runs/"))
    pages = len([sql for sql in many if "COUNT(*)" in sql.upper() and "orchestration_run" in sql])
    Run.objects.update(seen=1, status=Run.Status.FAILED)  # of completed ones it also asks, once, whether they succeeded

    few = statements(lambda: browser.get("/runs/"))

    assert len(many) == len(few)
    assert pages == 0, "a list that counts every run grows with them"
