"""Retention by class: old enough is emptied, business payloads too; held, open and young is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM
from aegis.core.errors import AegisError
from audit import chain, journal
from audit.drafts import Context, Draft
from audit.models import Event, Payload, Retained
from orchestration.engine.erasing import retention, verbs
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.messages.verbs import send_message
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

    with django_assert_max_num_queries(6):
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


def answered_late(run: Run) -> None:
    context = Context(stream=f"review:{run.pk}", scope="workflow", scope_id=str(run.workflow_id), run_id=run.pk)
    data, text = {"outcome": "completed", "case": ""}, canonical.dump(f"{house.CANARY} wrote again")
    with transaction.atomic():
        journal.append(context, [Draft("review.answered", SYSTEM, data=data, payloads={"reason": text})], clock.db_now())


def test_what_was_recorded_of_a_run_after_its_end_goes_by_its_own_time(
    people: dict[str, Any], run: Run, later: Callable[[int], None]
) -> None:
    """The run is looked at and passed; what came a hundred days later is emptied as much later, not kept for ever."""
    later(100)
    answered_late(run)
    late = Payload.objects.filter(stream=f"review:{run.pk}", erased_at__isnull=True)
    later(300)
    retention.keep()
    assert left_of(run) == 0
    assert late.exists()

    later(66)
    retention.keep()

    assert not late.exists()
    assert journal.verify().is_good


def test_a_hold_keeps_what_came_late_too(people: dict[str, Any], run: Run, later: Callable[[int], None]) -> None:
    later(1)
    answered_late(run)
    verbs.place_hold("run", run_id=run.pk, actor=house.actor(people["pia"]), reason="a lawsuit")
    later(400)

    retention.keep()

    assert Payload.objects.filter(stream=f"review:{run.pk}", erased_at__isnull=True).exists()


def test_a_look_asks_as_much_whether_ten_ended_or_ten_times_as_many(people: dict[str, Any], run: Run) -> None:
    def looks() -> int:
        Retained.objects.all().delete()
        with CaptureQueriesContext(connection) as found:
            assert retention.keep() == 0
        return len(found)

    few = looks()
    Run.objects.bulk_create(
        Run(
            workflow=run.workflow, release=run.release, requester=run.requester, business_key=f"k-{number}",
            input_digest="", status=run.status, state=run.state, submitted_at=run.submitted_at, ended_at=run.ended_at,
        )
        for number in range(500)
    )  # fmt: skip

    assert looks() == few


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="asks the planner of PostgreSQL")
@pytest.mark.postgres
def test_the_sweep_begins_where_it_stopped_by_an_index(people: dict[str, Any], run: Run) -> None:
    ended = run.ended_at
    assert ended is not None
    Run.objects.bulk_create(
        Run(
            workflow=run.workflow, release=run.release, requester=run.requester, business_key=f"k-{number}", input_digest="",
            status=run.status, state="{}", submitted_at=run.submitted_at, ended_at=ended - timedelta(minutes=number),
        )
        for number in range(5_000)
    )  # fmt: skip
    done = Retained(name="runs", done_to=ended - timedelta(minutes=50), last="0" * 32)
    access = Retained(name="access", done_to=ended, last="1")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orchestration_run")
        cursor.execute("SET enable_seqscan = off")  # few events: what could be asked of an index?

    runs = retention._ended(done, ended)[:50].explain()
    events = retention._behind(access, ended + timedelta(days=1)).order_by("at", "pk")[:500].explain()

    assert "run_ended" in runs
    assert "Filter: ((ended_at" not in runs, "the place where it stopped is looked up, not filtered"
    assert "event_at" in events


def test_the_page_says_when_the_next_reaches_its_time_and_warns_a_month_before(
    people: dict[str, Any], run: Run, later: Callable[[int], None], browser_of: Any
) -> None:
    page = browser_of(people["pia"]).get(reverse("erasures:list")).content.decode()
    assert "the next reaches its time on" in page
    assert "Soon" not in page

    later(340)

    assert "Soon" in browser_of(people["pia"]).get(reverse("erasures:list")).content.decode()


def refusal(people: dict[str, Any]) -> Event:
    with pytest.raises(AegisError):
        engine.submit(people["zoe"], {"id": "n-9", "text": 5})
    return Event.objects.get(type="run.refused")


def kept_of(event: Event) -> int:
    return Payload.objects.filter(stream=event.stream, seq=event.seq, erased_at__isnull=True).count()


def test_input_that_was_refused_goes_by_its_own_age(people: dict[str, Any], later: Callable[[int], None]) -> None:
    event = refusal(people)
    later(364)
    retention.keep()
    assert kept_of(event) == 1

    later(2)
    retention.keep()

    assert kept_of(event) == 0
    assert journal.verify().is_good


@pytest.mark.parametrize(("scope", "left"), [("run", 0), ("subject", 1), ("everything", 1)])
def test_what_may_be_about_anything_is_kept_by_a_hold_on_a_subject(
    people: dict[str, Any], run: Run, later: Callable[[int], None], scope: str, left: int
) -> None:
    event = refusal(people)
    over = {"run": {"run_id": run.pk}, "subject": {"key": house.KEY}, "everything": {}}[scope]
    hold = verbs.place_hold(scope, actor=house.actor(people["pia"]), reason="a lawsuit", **over)
    later(366)
    retention.keep()
    assert kept_of(event) == left

    verbs.lift_hold(hold.pk, actor=house.actor(people["max"]), reason="settled")
    retention.keep()

    assert kept_of(event) == 0


@pytest.mark.parametrize(("status", "left"), [("kept", 1), ("expired", 0)])
def test_a_message_that_no_run_took_goes_once_none_can(
    people: dict[str, Any], later: Callable[[int], None], status: str, left: int
) -> None:
    send_message("notes", "note-came", "n-1", {"id": "n-1"}, person=people["zoe"], actor=house.actor(people["zoe"]))
    SentMessage.objects.update(status=status)
    later(366)

    retention.keep()

    assert kept_of(Event.objects.get(type="message.sent")) == left
