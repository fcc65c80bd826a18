"""Edges that a reviewer broke: names that meet, looks that are cut, rules nobody can judge any more, odd addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client

from aegis.core import clock
from aegis.identity.models import User
from aegis.portal.alerts import rule_page
from approvals.alerts import judging
from approvals.alerts.models import Episode, Judged
from audit import journal
from audit.alerts import states
from audit.alerts.states import Standing, State
from orchestration.authority import lock_reviews
from orchestration.authority.models import FloorLock
from tests.alerts.changing import apply, document
from tests.alerts.kettles import BOILS, cold, counted, judged_until, now_hour

pytestmark = pytest.mark.django_db


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Standing]]:
    """What the state `spilt` holds for."""
    found: list[Standing] = []
    state = State("spilt", "Something was spilt", "pot", lambda at, within: list(found))
    monkeypatch.setitem(states._states, "spilt", state)
    cold.clear()
    yield found
    cold.clear()


def look_again() -> None:
    """An hour later, so that what goes on is told again."""
    past = clock.db_now() - timedelta(hours=2)
    Judged.objects.update(at=past)
    Episode.objects.update(last_at=past)
    judging.judge()


def test_two_things_of_one_name_are_two_episodes_and_neither_tells_of_the_other(stands: list[Standing], ada: User) -> None:
    one = Standing(("tea",), "secret of one", 1, "/a", "workflow", "1")
    two = Standing(("tea",), "secret of two", 2, "/b", "workflow", "2")
    apply(ada, document("spills", state={"is": "spilt"}))
    stands[:] = [one, two]
    judging.judge()
    judging.judge()

    found = {(row.scope_id, row.last["words"]) for row in Episode.objects.all()}
    assert found == {("1", "secret of one"), ("2", "secret of two")}

    stands[:] = [two]
    look_again()

    first = Episode.objects.get(scope_id="1")
    assert (first.status, first.last["words"]) == ("resolved", "secret of one")
    assert Episode.objects.get(scope_id="2").status == "firing"


def test_a_rule_about_one_thing_finds_it_behind_hundreds_of_others(stands: list[Standing], ada: User) -> None:
    stands[:] = [Standing((f"pot-{number}",), "spilt", 1, "/", "system") for number in range(states.MOST + 50)]
    apply(ada, document("spills", state={"is": "spilt", "only": [f"pot-{states.MOST + 40}"]}))

    judging.judge()
    judging.judge()

    assert [row.group for row in Episode.objects.all()] == [[["pot", f"pot-{states.MOST + 40}"]]]


def test_what_a_rule_found_is_over_once_nobody_can_judge_it(
    stands: list[Standing], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands[:] = [Standing(("tea",), "spilt", 1, "/", "system")]
    apply(ada, document("spills", state={"is": "spilt"}))
    judging.judge()
    judging.judge()
    row = Episode.objects.get()
    assert row.status == "firing"

    monkeypatch.delitem(states._states, "spilt")
    judging.judge()
    judging.judge()

    row.refresh_from_db()
    assert (row.status, row.ended_because) == ("resolved", "unreadable")
    assert [event.type for event in journal.read(row.stream)] == ["alert.fired", "alert.resolved"]


def test_a_rule_that_is_only_called_otherwise_or_tells_others_goes_on(
    stands: list[Standing], ada: User, person: Callable[..., User]
) -> None:
    person("nils", "Site reliability")
    stands[:] = [Standing(("tea",), "spilt", 1, "/", "system")]
    apply(ada, document("spills", state={"is": "spilt"}))
    judging.judge()
    judging.judge()

    apply(ada, document("spills", title="Spills", state={"is": "spilt"}, notify={"group": "Site reliability"}))
    look_again()

    (row,) = Episode.objects.all()
    assert (row.status, row.windows) == ("firing", 2)


def test_windows_are_not_judged_over_metrics_that_are_made_again_meanwhile(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    row = apply(ada, document("many", **BOILS))
    judging.judge()
    counted({3: 9, 2: 9})
    judged_until(row, 5)
    answers = iter([now_hour(), now_hour() - 5])  # before what was counted is read, and after
    monkeypatch.setattr(judging, "counted_until", lambda: next(answers))

    judging.judge()

    assert Judged.objects.get().until == now_hour() - 5
    assert not Episode.objects.exists()


@pytest.mark.parametrize("query", ["before=0001-01-01T00:00:00%2B14:00,00000000-0000-0000-0000-000000000001", "before=x,y"])
def test_an_address_of_no_page_is_answered_as_one(ada: User, browser_of: Callable[..., Client], query: str) -> None:
    browser = browser_of(ada)

    assert browser.get(f"/api/v1/alerts?{query}").status_code == 422
    assert browser.get(f"/alerts/?{query}").status_code in (404, 422)


def test_a_rehearsal_ends_in_time_and_says_where_to_go_on(
    ada: User, browser_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(ada, document("many", **BOILS))
    monkeypatch.setattr(rule_page, "SECONDS", -1)

    page = browser_of(ada).get("/alerts/rules/many/?rehearse=1").content.decode()

    assert "aegis alerts rehearse" in page


def test_the_last_day_there_is_may_be_a_review_date(ada: User) -> None:
    spec = '{"spec":{"owner":"Support leads","review_date":"%s"}}'
    for name, day in (("never", date.max), ("old", date(2020, 1, 1))):
        FloorLock.objects.create(
            name=name, document=spec % day, digest="0" * 64, version=1, updated_at=datetime(2026, 1, 1, tzinfo=UTC)
        )

    assert [one.name for one in lock_reviews._due(datetime.now(UTC))] == ["old"]
