"""Retention by class: old enough is emptied, business payloads too; held, open and young is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from aegis.core import clock
from audit import chain, journal
from audit.models import Payload, Retained
from orchestration.engine.erasing import retention, verbs
from orchestration.engine.models import Run
from tests.engine import house as engine
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


@pytest.fixture(autouse=True)
def days(settings: Any) -> None:
    settings.RETENTION_DAYS = {"runs": 365, "access": 0}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Moves the database's clock by days, from now."""
    real, gone = clock.db_now, [0]

    def move(days: int) -> None:
        gone[0] += days

    monkeypatch.setattr(clock, "db_now", lambda: real() + timedelta(days=gone[0]))
    return move


def left_of(run: Run) -> int:
    return Payload.objects.filter(stream=run.stream, erased_at__isnull=True).count()


def test_what_is_old_enough_is_emptied_whole_and_the_journal_is_well(run: Run, later: Callable[[int], None]) -> None:
    later(366)

    assert retention.keep() > 0

    assert left_of(run) == 0
    assert not Payload.objects.filter(stream__startswith=f"request:{run.pk}", erased_at__isnull=True).exists()
    assert Run.objects.get(pk=run.pk).business_key == ""
    report = journal.verify()
    assert report.is_good, report.problems


def test_what_is_young_stays(run: Run, later: Callable[[int], None]) -> None:
    later(364)

    assert retention.keep() == 0
    assert left_of(run) > 0


def test_what_is_kept_for_ever_stays(run: Run, later: Callable[[int], None], settings: Any) -> None:
    settings.RETENTION_DAYS = {"runs": 0, "access": 0}
    later(9_999)

    assert retention.keep() == 0


def test_an_open_run_stays(people: dict[str, Any], later: Callable[[int], None]) -> None:
    run = engine.submit(people["zoe"], {"id": house.KEY})
    later(9_999)

    retention.keep()

    assert left_of(run) > 0


@pytest.mark.parametrize("scope", ["run", "subject", "everything"])
def test_what_is_held_stays_until_the_hold_is_lifted(
    people: dict[str, Any], run: Run, later: Callable[[int], None], scope: str
) -> None:
    over = {"run": {"run_id": run.pk}, "subject": {"key": house.KEY}, "everything": {}}[scope]
    hold = verbs.place_hold(scope, actor=house.actor(people["pia"]), reason="a lawsuit", **over)
    later(366)
    assert retention.keep() == 0

    verbs.lift_hold(hold.pk, actor=house.actor(people["max"]), reason="settled")

    assert retention.keep() > 0
    assert left_of(run) == 0


def test_the_line_says_what_rule_it_was(run: Run, later: Callable[[int], None]) -> None:
    later(366)
    retention.keep()

    (told,) = house.lines_of_type("payload.erased")
    data = chain.read_line(told.line)["data"]
    assert (data["basis"], data["days"], data["by"]) == ("retention", 365, "retention of runs after 365 days")


def test_a_second_look_within_the_hour_reads_nothing_and_a_later_one_finds_nothing(
    run: Run, later: Callable[[int], None], django_assert_max_num_queries: Any
) -> None:
    later(366)
    retention.keep()

    with django_assert_max_num_queries(2):
        assert retention.keep() == 0
    Retained.objects.update(looked_at=None, done_to=None, last="")
    assert retention.keep() == 0
    assert len(house.lines_of_type("payload.erased")) == 1


def test_more_runs_than_one_batch_that_ended_at_one_moment_are_all_emptied(
    people: dict[str, Any], later: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RUNS_AT_ONCE", 2)
    runs = [house.lived(people["zoe"], people["sam"], f"k-{number}") for number in range(5)]
    Run.objects.update(ended_at=runs[0].ended_at)
    later(366)

    retention.keep()

    assert [left_of(run) for run in runs] == [0] * 5


def test_access_is_emptied_by_its_own_days(people: dict[str, Any], later: Callable[[int], None], settings: Any) -> None:
    settings.RETENTION_DAYS = {"runs": 0, "access": 200}
    later(201)

    assert retention.keep() > 0

    assert not Payload.objects.filter(stream__startswith="access:", erased_at__isnull=True).exists()
    assert Payload.objects.filter(stream__startswith="config:", erased_at__isnull=True).exists()
    assert journal.verify().is_good


def test_a_dry_run_counts_and_empties_nothing(
    run: Run, later: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    later(366)
    due = left_of(run)

    call_command("aegis", "retention")

    told = capsys.readouterr().out
    assert f"{due} payloads of 1 are due" in told
    assert left_of(run) == due

    call_command("aegis", "retention", "--apply")
    assert f"Emptied {due} payloads" in capsys.readouterr().out
    assert left_of(run) == 0


def test_a_time_too_short_is_refused_at_the_start(settings: Any) -> None:
    settings.RETENTION_DAYS = {"runs": 30, "access": 0}

    assert [message.id for message in run_checks() if message.id == "aegis.E043"] == ["aegis.E043"]
