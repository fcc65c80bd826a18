"""Limits under real concurrency, on PostgreSQL: many workers together never exceed an amount."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from audit import journal
from orchestration.engine import recompute
from orchestration.engine.driver import Driver
from orchestration.engine.guards import spending
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.limits.house import UNIT, amounts, documents, outcomes, paying

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

WORKERS = 6


def drive_together(runs: list[Run]) -> None:
    def work(part: list[Run]) -> None:
        try:
            Driver(among=[run.pk for run in part]).drive()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, [runs[index::WORKERS] for index in range(WORKERS)]))


def spend_in_many_workers(zoe, *, amount: int, most: int) -> list[Run]:
    house.bootstrap(documents(limits={"amount": {"of": "parameters.amount", "most": most, "per": "1d"}}))
    desk.behind["write"] = paying(amount)
    runs = desk.submit_many(zoe, 36)
    for _ in range(20):  # a turn that loses again and again is given back and taken up later
        drive_together(runs)
        if set(outcomes(*runs)) <= {"completed", "waiting_review"}:
            return runs
    raise AssertionError(outcomes(*runs))


def test_many_workers_together_use_all_of_an_amount_and_no_more(zoe, settings):
    settings.RUNS_IN_HAND = 2  # many small commits, so that they meet

    runs = spend_in_many_workers(zoe, amount=100, most=1_050)

    assert sum(amounts()) == 1_000 * UNIT
    assert outcomes(*runs).count("completed") == 10
    assert recompute.recompute().differences == []
    assert journal.verify().problems == []


def test_without_looking_again_in_the_commit_the_amount_is_exceeded(zoe, settings, monkeypatch: pytest.MonkeyPatch):
    """The planted bug: what the wave saw is believed. It shows that the test above looks at a real race."""
    settings.RUNS_IN_HAND = 2
    monkeypatch.setattr(spending, "is_as_seen", lambda item, at: True)

    spend_in_many_workers(zoe, amount=100, most=1_050)

    assert sum(amounts()) > 1_050 * UNIT
