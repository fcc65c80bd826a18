"""What a person sees of episodes: by the area, and by what their counts are of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM
from aegis.core.errors import Invalid
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals.alerts import episodes, reading
from approvals.alerts.findings import Told, key_of
from approvals.alerts.models import Alert, Episode
from tests.alerts.changing import apply, document
from tests.support.api import client_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 2, 8, tzinfo=UTC)


def told(at: datetime = AT) -> dict[str, Any]:
    return Told(at, at + timedelta(hours=1), 9, 9, 4, "9, above 5; rests on 9 events", "/audit/?figure=runs").as_json()


def episode(alert: Alert, group: str = "", *, scope: str = "alert", scope_id: str = "", at: datetime = AT) -> Episode:
    pairs = (("agent", group),) if group else ()
    found = told(at)
    return Episode.objects.create(
        alert=alert, rule=alert.name, digest=alert.digest, group=[list(one) for one in pairs],
        group_key=key_of(pairs, scope, scope_id), scope=scope,
        scope_id=scope_id or (str(alert.pk) if scope == "alert" else ""), started_at=at, last_at=at, first=found, worst=found,
        last=found,
    )  # fmt: skip


@pytest.fixture
def rule(ada: User) -> Alert:
    return apply(ada, document(threshold={"count": {"measure": "runs"}, "above": 5}))


@pytest.fixture
def on_call(person: Callable[..., User]) -> User:
    """Views alerts, and nothing else."""
    made = person("nils", "Site reliability")
    grants.grant(Group.objects.get(name="Site reliability"), area("alerts"), "view", actor=SYSTEM, reason="test")
    return made


def test_a_rule_over_everything_is_for_who_sees_everything(rule: Alert, quinn: User, ada: User, on_call: User) -> None:
    row = episode(rule)

    assert list(reading.episodes(quinn)) == list(reading.episodes(ada)) == [row]
    assert list(reading.episodes(on_call)) == []
    assert reading.counted(on_call) == {"firing": 0, "acknowledged": 0}
    assert [(one.alert, one.firing) for one in reading.rules(on_call)] == [(rule, 0)]
    assert [(one.alert, one.firing) for one in reading.rules(quinn)] == [(rule, 1)]


@pytest.mark.parametrize("missing", ["workflows", "agents", "approvals", "queues", "audit", "alerts"])
def test_one_area_less_and_nothing_of_it_is_told(rule: Alert, quinn: User, missing: str) -> None:
    episode(rule)
    grants.revoke(Group.objects.get(name="Auditors"), area(missing), "view", actor=SYSTEM, reason="test")

    assert list(reading.episodes(quinn)) == []


def test_a_state_is_for_who_sees_what_it_is_about(rule: Alert, on_call: User, root: User) -> None:
    system, other = episode(rule, "a", scope="system"), episode(rule, "b", scope="agent", scope_id=str(UUID(int=7)))
    grants.grant(Group.objects.get(name="Site reliability"), area("audit"), "view", actor=SYSTEM, reason="test")

    assert list(reading.episodes(on_call)) == [system]
    assert other not in reading.episodes(on_call)
    assert list(reading.episodes(root)) == []


def test_pages_follow_each_other_and_none_is_left_out(rule: Alert, quinn: User) -> None:
    made = [episode(rule, f"agent-{number}", at=AT + timedelta(hours=number // 2)) for number in range(7)]

    seen, before = [], ""
    while True:
        page = reading.page(reading.episodes(quinn), before=before, limit=3)
        seen += page.episodes
        before = page.following
        if not before:
            break

    assert [one.started_at for one in seen] == sorted((one.started_at for one in made), reverse=True)
    assert {one.pk for one in seen} == {one.pk for one in made}
    assert len(seen) == 7


@pytest.mark.parametrize("before", ["x", "2026-11-02T08:00:00,x", f"2026-11-02T08:00:00,{UUID(int=1)}"])
def test_what_is_no_page_is_refused(rule: Alert, quinn: User, before: str) -> None:
    with pytest.raises(Invalid):
        reading.page(reading.episodes(quinn), before=before)


@transaction.atomic
def lived(rule: Alert, steps: int) -> Episode:
    row = episode(rule)
    for number in range(steps):
        episodes.say(row, "alert.noted", SYSTEM, clock.db_now(), note=canonical.dump(f"note {number}"))
    row.save(update_fields=["seq", "head"])
    return row


def test_the_story_of_an_episode_comes_in_pages_and_none_of_it_is_left_out(rule: Alert) -> None:
    row = lived(rule, 7)
    found: list[str] = []
    before, pages = "", 0
    while pages < 9:
        story = reading.history(row, before=before, limit=3)
        found = [step.text for step in story.steps] + found
        before, pages = story.older, pages + 1
        if not before:
            break

    assert (pages, found) == (3, [f"note {number}" for number in range(7)])
    assert reading.history(row, limit=7).older == ""


def test_a_page_of_the_story_reads_no_more_than_it_shows(rule: Alert) -> None:
    row = lived(rule, 40)
    with CaptureQueriesContext(connection) as asked:
        assert len(reading.history(row, limit=5).steps) == 5

    assert len(asked) == 2
    assert "LIMIT 6" in asked[0]["sql"]
    assert '"seq" IN (36, 37, 38, 39, 40)' in asked[1]["sql"]


@pytest.mark.parametrize("before", ["x", "-1", "1.5", "\x00", "9" * 12, "\u0661"])
def test_what_is_no_place_of_a_story_is_refused(rule: Alert, before: str) -> None:
    with pytest.raises(Invalid):
        reading.history(episode(rule), before=before)


def test_the_story_is_paged_by_the_interface_and_the_page(rule: Alert, quinn: User, browser_of: Callable[..., Any]) -> None:
    row = lived(rule, reading.PAGE + 2)
    api = client_of(quinn)
    last = api.get(f"/api/v1/alerts/{row.pk}").json()
    first = api.get(f"/api/v1/alerts/{row.pk}", {"before": last["next"]}).json()
    few = api.get(f"/api/v1/alerts/{row.pk}", {"limit": "1"}).json()

    assert [one["text"] for one in first["history"]] == ["note 0", "note 1"]
    assert (first["next"], len(last["history"]), len(few["history"])) == ("", reading.PAGE, 1)
    assert api.get(f"/api/v1/alerts/{row.pk}", {"before": "x"}).status_code == 422

    browser = browser_of(quinn)
    newest = browser.get(f"/alerts/{row.pk}/").content.decode()
    older = browser.get(f"/alerts/{row.pk}/?before={last['next']}").content.decode()
    assert f"?before={last['next']}#al-story" in newest
    assert ("note 0<" in newest, "note 0<" in older, "Newest" in older) == (False, True, True)
    assert browser.get(f"/alerts/{row.pk}/?before=x").status_code == 422


def test_an_unknown_list_is_refused(quinn: User) -> None:
    with pytest.raises(Invalid):
        reading.episodes(quinn, show="loud")


def test_the_queries_of_lists_do_not_grow(rule: Alert, ada: User, quinn: User, django_assert_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            reading.page(reading.episodes(quinn))
            reading.rules(quinn)
            reading.counted(quinn)
        return len(asked)

    episode(rule, "first")
    before = queries()
    two = apply(ada, document("two", threshold={"count": {"measure": "runs"}, "above": 5}))
    for number in range(20):
        episode(two, f"agent-{number}")

    assert queries() == before
