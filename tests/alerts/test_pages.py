"""The pages of alerts: what fires, why, and what else changed then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from aegis.portal.alerts import around
from approvals.alerts import judging
from approvals.alerts.models import Alert, Episode, Silence
from audit import journal
from audit.drafts import Context, Draft
from tests.alerts.changing import apply, document
from tests.alerts.found import fire
from tests.alerts.kettles import BOILS, counted, judged_until, now_hour
from tests.support.following import caught_up

pytestmark = pytest.mark.django_db

UNUSUAL: Any = {
    "by": ["kitchen"],
    "anomaly": {"count": {"measure": "pots"}, "direction": "up", "weeks": 4, "samples": 6, "least": 3},
}


@pytest.fixture
def rule(ada: User) -> Alert:
    row = apply(ada, document("many", title="Many pots", **BOILS))
    caught_up()
    return row


@pytest.fixture
def on_call(quinn: User) -> User:
    """Sees everything, and acts on alerts."""
    grants.grant(Group.objects.get(name="Auditors"), area("alerts"), "operate", actor=SYSTEM, reason="test")
    return User.objects.get(pk=quinn.pk)


@pytest.fixture
def browser(on_call: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(on_call)


def fired(rule: Alert) -> Episode:
    """Nine pots in the hour before last and this, where five are the border."""
    counted({30: 2, 5: 1, 2: 9, 1: 12})
    judged_until(rule, 4)
    judging.judge()
    return Episode.objects.get()


def page(browser: Client, name: str, *arguments: Any, **params: Any) -> Any:
    caught_up()
    answer = browser.get(reverse(name, args=arguments), params)
    assert answer.status_code == 200
    return answer


def applied(name: str, *, kind: str = "Agent", at: datetime | None = None) -> None:
    facts = {"change": str(uuid4()), "kind": kind, "name": name, "action": "add"}
    draft = Draft("config.applied", SYSTEM, facts, {"document": canonical.dump({"pace": 1})})
    with transaction.atomic():
        journal.append(Context(stream=f"config:{kind}", scope="system"), [draft], at or clock.now())


def test_the_list_shows_what_is_open_and_each_tab_its_own(browser: Client, rule: Alert) -> None:
    row = fired(rule)

    shown = {tab: [one.episode for one in page(browser, "alerts:list", status=tab).context["page"].rows]
             for tab in ("open", "firing", "acknowledged", "silenced", "resolved", "all")}  # fmt: skip

    assert shown == {"open": [row], "firing": [row], "acknowledged": [], "silenced": [], "resolved": [], "all": [row]}
    assert [one.episode for one in page(browser, "alerts:list", rule="other").context["page"].rows] == []


def test_who_sees_no_alerts_gets_no_page_and_who_sees_not_the_counts_gets_no_row(
    rule: Alert, olivia: User, person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    row = fired(rule)
    grants.grant(Group.objects.get_or_create(name="Watch")[0], area("alerts"), "view", actor=SYSTEM, reason="test")
    nils = person("nils", "Watch")

    assert browser_of(olivia).get(reverse("alerts:list")).status_code == 404
    assert page(browser_of(nils), "alerts:list").context["page"].rows == []
    assert browser_of(nils).get(reverse("alerts:episode", args=[row.pk])).status_code == 404


def test_the_page_says_in_one_sentence_why_it_fired_and_links_the_events(browser: Client, rule: Alert) -> None:
    shown = page(browser, "alerts:episode", fired(rule).pk).context["page"]

    assert shown.why.endswith("the number of pots of kitchen north was 9, above 5.")
    assert "figure=pots%2Fnorth" in shown.behind


def test_the_graph_marks_the_odd_windows_and_draws_the_border(browser: Client, rule: Alert) -> None:
    graph = page(browser, "alerts:episode", fired(rule).pk).context["page"].graph

    assert [point.value for point in graph.odd] == ["9", "12"]
    assert graph.border_words == "5"
    hour = datetime.fromtimestamp((now_hour() - 2) * 3600, UTC)
    assert f"from={hour:%Y-%m-%dT%H}%3A00Z" in graph.odd[0].url
    assert any(point.value == "1" and not point.is_odd for point in graph.points)


def test_an_anomaly_states_median_spread_weeks_and_draws_the_band(browser: Client, ada: User) -> None:
    row = apply(ada, document("unusual", **UNUSUAL))
    caught_up()
    week = 168
    counts = {week * number + beside: 4 + (number + beside) % 2 for number in (1, 2, 3) for beside in (-1, 0, 1, 2, 3, 4)}
    counted({**counts, 700: 1, 1: 40})
    judged_until(row, 1)
    judging.judge()

    shown = page(browser, "alerts:episode", Episode.objects.get().pk).context["page"]

    facts = {fact.name: fact.value for fact in shown.facts}
    assert facts["Value"] == "40"
    assert facts["Median"] in ("4", "5")
    assert facts["Past"] == "4 weeks"
    assert "spreads above" in shown.why
    assert shown.graph.band.startswith("M")
    assert shown.graph.odd[0].usual == facts["Median"]


def test_what_changed_then_is_listed_with_what_it_is_about_first(browser: Client, rule: Alert) -> None:
    row = fired(rule)
    applied("north", at=row.started_at - timedelta(minutes=12))
    applied("south", at=row.started_at + timedelta(minutes=5))
    applied("old", at=row.started_at - around.BEFORE - timedelta(minutes=1))

    shown = page(browser, "alerts:episode", row.pk).context["page"].around

    assert [(one.when, one.names) for one in shown.named] == [("12m before it began", "Agent north")]
    assert [one.when for one in shown.before if one.told.content["data"].get("name") == "south"] == ["5m after it began"]
    assert [one.told.content["data"].get("name") for one in shown.after if one.told.event.type == "config.applied"] == ["many"]
    assert "old" not in [one.told.content["data"].get("name") for one in (*shown.before, *shown.after)]


def test_taking_on_noting_and_silencing_are_posted_with_a_reason(browser: Client, rule: Alert) -> None:
    row = fired(rule)
    here = reverse("alerts:episode", args=[row.pk])

    for verb, more in (("acknowledge", {}), ("note", {}), ("silence", {"hours": "4"})):
        answer = browser.post(reverse("alerts:act", args=[row.pk, verb]), {"reason": f"because of {verb}", **more})
        assert (answer.status_code, answer.headers["Location"]) == (302, here)

    row.refresh_from_db()
    silence = Silence.objects.get()
    assert row.status == Episode.Status.ACKNOWLEDGED
    assert timedelta(hours=3, minutes=59) < silence.ends_at - silence.starts_at <= timedelta(hours=4, minutes=1)
    assert silence.group == row.group
    body = page(browser, "alerts:episode", row.pk).content.decode()
    assert all(f"because of {verb}" in body for verb in ("acknowledge", "note", "silence"))
    assert "Take on" not in body


def test_a_form_without_a_reason_changes_nothing_and_a_link_never_does(browser: Client, rule: Alert) -> None:
    row = fired(rule)

    browser.post(reverse("alerts:act", args=[row.pk, "acknowledge"]), {"reason": " "})
    looked = browser.get(reverse("alerts:act", args=[row.pk, "acknowledge"]))
    browser.post(reverse("alerts:act", args=[row.pk, "silence"]), {"reason": "fine", "hours": "9999"})

    row.refresh_from_db()
    assert row.status == Episode.Status.FIRING
    assert looked.status_code == 405
    assert not Silence.objects.exists()


def test_a_form_for_what_is_unknown_is_not_found_however_it_is_filled(browser: Client, rule: Alert) -> None:
    for address in (
        reverse("alerts:act", args=[uuid4(), "silence"]),
        reverse("alerts:silence-rule", args=["unknown"]),
        reverse("alerts:end-silence", args=[uuid4()]),
    ):
        assert browser.post(address, {"reason": "", "hours": "no number"}).status_code == 404


def test_an_episode_of_a_rule_that_had_another_form_is_shown_without_a_graph(browser: Client, rule: Alert) -> None:
    row = fire(rule)  # all together, where the rule judges each kitchen

    assert page(browser, "alerts:episode", row.pk).context["page"].graph is None


def test_who_may_only_look_gets_no_forms_and_is_refused(rule: Alert, quinn: User, browser_of: Callable[..., Client]) -> None:
    row = fired(rule)
    looking = browser_of(quinn)

    body = page(looking, "alerts:episode", row.pk).content.decode()
    answer = looking.post(reverse("alerts:act", args=[row.pk, "acknowledge"]), {"reason": "mine"})

    assert "/do/acknowledge/" not in body
    assert answer.status_code == 403
    row.refresh_from_db()
    assert row.status == Episode.Status.FIRING


def test_a_rule_is_silenced_and_the_silence_ended(browser: Client, rule: Alert) -> None:
    browser.post(reverse("alerts:silence-rule", args=["many"]), {"reason": "works", "hours": "1"})
    shown = page(browser, "alerts:rule", "many").context["page"]
    assert [reason for _, reason in shown.silences] == ["works"]

    browser.post(reverse("alerts:end-silence", args=[Silence.objects.get().pk]), {"reason": "done"})

    assert page(browser, "alerts:rule", "many").context["page"].silences == []


def test_the_page_of_a_rule_tells_it_in_words_and_tries_it_over_thirty_days(browser: Client, rule: Alert) -> None:
    row = fired(rule)

    plain = page(browser, "alerts:rule", "many").context["page"]
    tried = page(browser, "alerts:rule", "many", rehearse="1").context["page"]

    assert any("above 5" in sentence for sentence in plain.sentences)
    assert [one.episode for one in plain.rows] == [row]
    assert plain.rehearsed_count is None
    assert [(one.about, one.hours) for one in tried.rehearsed] == [("kitchen north", 2)]


def test_who_may_not_see_everything_may_not_try_a_rule_over_everything(
    rule: Alert, person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    grants.grant(Group.objects.get_or_create(name="Watch")[0], area("alerts"), "view", actor=SYSTEM, reason="test")
    counted({2: 9})

    shown = page(browser_of(person("nils", "Watch")), "alerts:rule", "many", rehearse="1").context["page"]

    assert shown.rehearsed_count is None
    assert "only who may see all of that" in shown.unrehearsed


def test_the_sidebar_counts_what_this_person_can_take_on_and_home_shows_it_first(
    browser: Client, rule: Alert, quinn: User, sam: User, browser_of: Callable[..., Client]
) -> None:
    row = fired(rule)

    mine = browser.get("/").content.decode()
    others = browser_of(sam).get("/").content.decode()

    assert str(row.pk) in mine
    assert "firing that you can take on" in mine
    assert str(row.pk) not in others
    assert "/alerts/" not in others


@pytest.mark.parametrize("name", ["list", "episode", "rule"])
def test_queries_do_not_grow_with_rows(browser: Client, rule: Alert, name: str) -> None:
    row = fired(rule)
    arguments = {"list": [], "episode": [row.pk], "rule": ["many"]}[name]

    def queries() -> int:
        page(browser, f"alerts:{name}", *arguments)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(reverse(f"alerts:{name}", args=arguments)).status_code == 200
        return len(asked)

    for number in range(around.MOST + 5):
        fire(rule, f"agent-{number}")
        applied(f"agent-{number}", at=row.started_at)
    before = queries()
    for number in range(100, 160):
        fire(rule, f"agent-{number}")
        applied(f"agent-{number}", at=row.started_at)

    assert queries() == before
