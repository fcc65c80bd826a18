"""A halt binds every worker process, from its commit on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.db import connection

from audit import journal
from audit.models import Event
from orchestration.engine.guards import verbs
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import submit_many
from tests.guards.test_races import intents_after

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
WORKERS, RUNS, ROUNDS = 3, 60, 3


@contextmanager
def worker() -> Iterator[subprocess.Popen]:
    """A worker process on the database of the tests."""
    where = connection.settings_dict
    url = f"postgresql://{where['USER']}@{where['HOST']}:{where['PORT']}/{where['NAME']}"
    env = {**os.environ, "AEGIS_DATABASE_URL": url, "AEGIS_RUNS_IN_HAND": "4", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.guards.worker_process"],
        cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


def wait_for(is_so, what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def open_runs(*statuses: str) -> int:
    return Run.objects.filter(status__in=statuses).count()


def test_no_process_commits_an_intent_after_the_halt(zoe, as_ada):
    house.bootstrap(desk.documents())
    late, held = 0, 0
    with ExitStack() as stack:
        for _ in range(WORKERS):
            stack.enter_context(worker())
        for round_ in range(1, ROUNDS + 1):
            before = Event.objects.filter(type="step.started").count()
            submit_many(zoe, RUNS)
            wait_for(lambda n=before: Event.objects.filter(type="step.started").count() > n + 8, "work has begun")

            row = verbs.halt("everything", actor=as_ada, reason="stop").halt
            wait_for(lambda: open_runs("running") == 0, "every run is held or done")

            late += len(intents_after(row))
            held += open_runs("held")
            verbs.resume(row.pk, actor=as_ada, reason="go on", pace=500)
            wait_for(lambda n=round_: open_runs("completed") == n * RUNS, "every run is done")
            wait_for(lambda row=row: type(row).objects.get(pk=row.pk).status == "lifted", "the halt is over")

    assert late == 0
    assert held > 0
    assert Event.objects.filter(type="effect.done").count() == ROUNDS * RUNS
    assert journal.verify().problems == []
