"""Workers judge at once on PostgreSQL, and one is killed: each window has one judgement, and none is lost."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from aegis.identity.models import User
from approvals.alerts import episodes, judging, verbs
from approvals.alerts.models import Alert, Episode, Judged
from audit import following, sealer, verify
from audit.metrics import projection
from tests.alerts.changing import apply, document
from tests.alerts.kettles import BOILS, counted, events_of, judged_until, now_hour
from tests.approvals.test_two_approvers_race import race

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer; the race is proved on PostgreSQL"),
]

WINDOWS = 6
WORKERS = 3
EXPECTED = ["alert.fired", *["alert.continued"] * 3, "alert.resolved"]


@pytest.fixture(autouse=True)
def everything_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a moment that stands still: no window closes while a test runs."""
    until = now_hour()
    monkeypatch.setattr(judging, "counted_until", lambda: until)


@pytest.fixture
def rule(ada: User) -> Alert:
    row = apply(ada, document("many", **BOILS))
    sealer.seal()
    following.catch_up(projection.NAME)
    for number in range(4):
        counted({6: 1, 5: 9, 4: 12, 3: 8, 2: 7, 1: 2}, f"kitchen-{number}")
    judged_until(row, WINDOWS)
    return row


def is_well() -> bool:
    """Four groups, each judged once in each window, and told so once."""
    rows = list(Episode.objects.filter(alert__isnull=False))
    return Counter(tuple(events_of(row)) for row in rows) == {tuple(EXPECTED): 4} and all(row.windows == 4 for row in rows)


def test_workers_that_judge_at_once_judge_each_window_once(rule: Alert) -> None:
    for _ in range(5):
        answers = race(*[judging.judge] * WORKERS)

        assert sorted(value for _, value in answers) == [0, 0, 4]
        assert is_well()
        assert Judged.objects.get().until == now_hour()
        assert verify.verify().is_good
        _anew(rule)


def test_the_race_is_seen_without_the_lock(rule: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: how far the rule is judged is what the worker read when it began."""

    def unheld(alert: Alert) -> Judged:
        return alert.judged

    monkeypatch.setattr(judging, "_held", unheld)

    def goes_well() -> bool:
        answers = race(*[judging.judge] * WORKERS)
        good = sorted(str(value) for _, value in answers) == ["0", "0", "4"] and is_well()
        _anew(rule)
        return good

    assert not all(goes_well() for _ in range(8))


def test_a_worker_killed_before_its_commit_loses_and_doubles_nothing(rule: Alert) -> None:
    connections.close_all()
    child = os.fork()
    if not child:
        _die_at_the_journal()
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert (Episode.objects.count(), Judged.objects.get().until) == (0, now_hour() - WINDOWS)
    judging.judge()
    assert is_well()
    assert judging.judge() == 0


def test_taking_on_meets_the_judgement_that_ends_it(rule: Alert, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes first, the stream is whole, and what was taken on stays taken on."""
    from aegis.core.actors import user_actor

    for _ in range(5):
        monkeypatch.setattr(judging, "counted_until", lambda: now_hour() - 2)
        judging.judge()
        ids = list(Episode.objects.filter(alert=rule).values_list("pk", flat=True))
        monkeypatch.setattr(judging, "counted_until", now_hour)
        acts: list[Callable[[], Any]] = [
            lambda pk=pk: verbs.acknowledge(pk, actor=user_actor(ada.pk, auth="session"), note="mine")  # type: ignore[misc]
            for pk in ids[:2]
        ]
        race(judging.judge, *acts)

        for row in Episode.objects.filter(alert=rule):
            assert row.status == "resolved"
            assert events_of(row).count("alert.resolved") == 1
            assert ("alert.acknowledged" in events_of(row)) == (row.acknowledged_by_id is not None)
        assert verify.verify().is_good
        _anew(rule)


def _die_at_the_journal() -> None:
    real = episodes.journal.write

    def write(lines: Any) -> None:
        real(lines)
        os.kill(os.getpid(), signal.SIGKILL)

    episodes.journal.write = write
    judging.judge()
    os._exit(1)


def _anew(rule: Alert) -> None:
    """Another round: what was found belongs to a rule that is gone."""
    Episode.objects.update(alert=None)
    judged_until(rule, WINDOWS)
