"""What people do about alerts: on record, by right, never without an end; and who is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals.alerts import episodes, judging, notices, reading, verbs
from approvals.alerts.episodes import Found, Judgement
from approvals.alerts.models import Alert, Episode, Silence
from approvals.notices import outbox
from approvals.notices.models import Delivery, Notice
from audit import journal
from audit.models import Event
from orchestration.engine import webhook
from tests.alerts.changing import apply, document
from tests.alerts.found import fire, told
from tests.support.api import client_of

pytestmark = pytest.mark.django_db

RULE: Any = {"threshold": {"count": {"measure": "runs"}, "above": 5}, "notify": {"group": "Site reliability"}}


@pytest.fixture
def nils(person: Callable[..., User]) -> User:
    """On call: sees everything, and may act on alerts."""
    made = person("nils", "Site reliability")
    made.email = "nils@example.org"
    made.save(update_fields=["email"])
    group = Group.objects.get(name="Site reliability")
    for name in ("workflows", "agents", "approvals", "queues", "audit", "alerts"):
        grants.grant(group, area(name), "view", actor=SYSTEM, reason="test")
    grants.grant(group, area("alerts"), "operate", actor=SYSTEM, reason="test")
    return made


@pytest.fixture
def rule(ada: User, nils: User) -> Alert:
    return apply(ada, document("many", title="Many runs", **RULE))


@pytest.fixture
def row(rule: Alert) -> Episode:
    return fire(rule, "clerk")


def actor(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


def end(rule: Alert) -> None:
    writing = episodes.of_rule(rule, clock.db_now(), is_state=True)
    writing.take(Judgement(clock.now()))
    writing.write()


def soon(**more: int) -> datetime:
    return clock.now() + timedelta(**(more or {"hours": 4}))


class TestTakingOn:
    def test_who_takes_it_on_is_on_record_with_the_note(self, row: Episode, nils: User) -> None:
        verbs.acknowledge(row.pk, actor=actor(nils), note="I restart it")

        taken = Episode.objects.get()
        assert (taken.status, taken.acknowledged_by) == ("acknowledged", nils)
        steps = reading.history(taken).steps
        assert [(one.event.type, one.text) for one in steps][1:] == [("alert.acknowledged", "I restart it")]
        assert steps[1].event.actor_ref == str(nils.pk)

    def test_it_is_taken_on_once_and_only_while_it_fires(self, row: Episode, rule: Alert, nils: User) -> None:
        verbs.acknowledge(row.pk, actor=actor(nils), note="mine")
        with pytest.raises(verbs.AlreadyTakenOn):
            verbs.acknowledge(row.pk, actor=actor(nils), note="mine too")
        end(rule)

        over = Episode.objects.get()
        assert (over.status, over.acknowledged_by) == ("resolved", nils)
        with pytest.raises(verbs.EpisodeOver):
            verbs.acknowledge(row.pk, actor=actor(nils), note="late")

    def test_a_note_is_kept_also_when_it_is_over(self, row: Episode, rule: Alert, nils: User) -> None:
        end(rule)
        verbs.note(row.pk, actor=actor(nils), text="it was the disk")

        assert [one.text for one in reading.history(Episode.objects.get()).steps][-1] == "it was the disk"

    @pytest.mark.parametrize("verb", ["acknowledge", "note", "silence_episode", "silence_rule"])
    def test_seeing_is_not_acting(self, row: Episode, quinn: User, root: User, verb: str) -> None:
        for who, error in ((quinn, Forbidden), (root, NotFound)):
            with pytest.raises(error):
                act(verb, row, who)

        assert Episode.objects.get().status == "firing"
        assert not Silence.objects.exists()
        assert [event.type for event in Event.objects.filter(actor_ref=str(quinn.pk))].count("access.denied") == 1

    @pytest.mark.parametrize("verb", ["acknowledge", "note", "silence_episode"])
    def test_what_counts_others_work_is_hidden_from_who_acts(self, row: Episode, nils: User, verb: str) -> None:
        group = Group.objects.get(name="Site reliability")
        grants.revoke(group, area("workflows"), "view", actor=SYSTEM, reason="test")

        with pytest.raises(NotFound):
            act(verb, row, nils)

    @pytest.mark.parametrize("verb", ["acknowledge", "note", "silence_episode", "silence_rule"])
    def test_nothing_is_done_without_a_word(self, row: Episode, nils: User, verb: str) -> None:
        with pytest.raises(Invalid):
            act(verb, row, nils, why=" ")


def act(verb: str, row: Episode, who: User, why: str = "because") -> None:
    match verb:
        case "acknowledge":
            verbs.acknowledge(row.pk, actor=actor(who), note=why)
        case "note":
            verbs.note(row.pk, actor=actor(who), text=why)
        case "silence_episode":
            verbs.silence_episode(row.pk, until=soon(), actor=actor(who), reason=why)
        case _:
            verbs.silence_rule(row.rule, until=soon(), actor=actor(who), reason=why)


class TestSilences:
    @pytest.mark.parametrize("length", [{"days": 31}, {"minutes": 1}, {"days": -1}])
    def test_a_silence_has_an_end_that_is_not_far(self, rule: Alert, nils: User, length: dict[str, int]) -> None:
        with pytest.raises(Invalid):
            verbs.silence_rule("many", until=soon(**length), actor=actor(nils), reason="works")

        assert not Silence.objects.exists()

    def test_an_end_without_a_zone_is_none(self, rule: Alert, nils: User) -> None:
        with pytest.raises(Invalid):
            verbs.silence_rule("many", until=soon().replace(tzinfo=None), actor=actor(nils), reason="works")

    def test_it_is_on_record_and_ends_once(self, rule: Alert, nils: User) -> None:
        row = verbs.silence_rule("many", until=soon(), actor=actor(nils), reason="works")
        verbs.unsilence(row.pk, actor=actor(nils), reason="done")

        assert [event.type for event in journal.read(f"silence:{row.pk}")] == ["silence.placed", "silence.lifted"]
        assert reading.reasons([row]) == {row.pk: "works"}
        assert list(reading.standing_silences(nils)) == []
        with pytest.raises(verbs.SilenceOver):
            verbs.unsilence(row.pk, actor=actor(nils), reason="again")

    def test_that_of_a_group_is_hidden_with_what_it_counts(self, row: Episode, nils: User, person: Any) -> None:
        verbs.silence_episode(row.pk, until=soon(), actor=actor(nils), reason="known")
        verbs.silence_rule("many", until=soon(), actor=actor(nils), reason="works")
        other = person("paul", "Elsewhere")
        grants.grant(Group.objects.get(name="Elsewhere"), area("alerts"), "view", actor=SYSTEM, reason="test")

        assert [one.group_key for one in reading.standing_silences(other)] == [""]
        assert len(reading.standing_silences(nils)) == 2


class TestTelling:
    @pytest.fixture(autouse=True)
    def telling(self, settings: Any) -> None:
        settings.TELLS_BY_MAIL, settings.PUBLIC_URL = True, "https://aegis.example.org"
        mail.outbox.clear()

    def test_who_answers_for_the_rule_hears_once_that_it_fires_and_once_that_it_is_over(
        self, rule: Alert, row: Episode, quinn: User
    ) -> None:
        outbox.look()
        Episode.objects.update(last_at=clock.now() - timedelta(hours=2))
        writing = episodes.of_rule(rule, clock.db_now(), is_state=True)
        writing.take(Judgement(clock.now(), [again(row)]))
        writing.write()
        outbox.look()
        end(rule)
        outbox.look()

        assert [(one.to, one.subject) for one in mail.outbox] == [
            (["nils@example.org"], "AEGIS: An alert fires: 1 finding"),
            (["nils@example.org"], "AEGIS: An alert is over: 1 finding"),
        ]
        text = str(mail.outbox[0].body)
        assert "Many runs" in text
        assert "agent clerk: 9, above 5" in text
        assert f"https://aegis.example.org/alerts/{row.pk}/" in text

    def test_groups_that_fire_together_are_told_in_one_mail(self, rule: Alert, row: Episode) -> None:
        Notice.objects.all().delete()
        writing = episodes.of_rule(rule, clock.db_now(), is_state=True)
        names = [f"clerk-{number}" for number in range(13)]
        writing.take(Judgement(clock.now(), [again(row), *(again(row, name) for name in names)]))
        writing.write()
        outbox.look()

        (message,) = mail.outbox
        assert message.subject == "AEGIS: An alert fires: 13 findings"
        assert "and 3 more" in str(message.body)
        assert "https://aegis.example.org/alerts/?rule=many" in str(message.body)

    def test_the_link_leads_to_what_its_reader_may_see_and_tells_of_no_other(
        self, rule: Alert, row: Episode, quinn: User, nils: User
    ) -> None:
        """One of the two that began is of a queue, the other of everything; each reader has his own mail."""
        Notice.objects.all().delete()
        grants.revoke(Group.objects.get(name="Site reliability"), area("agents"), "view", actor=SYSTEM, reason="test")
        writing = episodes.of_rule(rule, clock.db_now(), is_state=True)
        seen = Found((("agent", "tea"),), told(clock.now()), "system")
        writing.take(Judgement(clock.now(), [again(row), again(row, "other"), seen]))
        writing.write()
        notice = Notice.objects.get()
        (mine,) = notices.told(notice, nils)
        outbox.look()

        (message,) = mail.outbox
        assert f"https://aegis.example.org/alerts/{mine.pk}/" in str(message.body)
        assert "?rule=" not in str(message.body)
        assert notices.path_to(notice, quinn) == "/alerts/?rule=many&status=all"
        assert notices.path_to(notice, None) == "/alerts/?rule=many&status=all"

    def test_the_link_to_several_shows_them_when_they_are_over(
        self, rule: Alert, row: Episode, nils: User, browser_of: Any
    ) -> None:
        Notice.objects.all().delete()
        writing = episodes.of_rule(rule, clock.db_now(), is_state=True)
        writing.take(Judgement(clock.now(), [again(row), again(row, "other")]))
        writing.write()
        end(rule)
        notice = Notice.objects.get(kind=Notice.Kind.RESOLVED)

        page = browser_of(nils).get(notices.path_to(notice, nils)).content.decode()

        assert "other" in page

    def test_nobody_is_told_what_he_may_not_see(self, rule: Alert, row: Episode) -> None:
        group = Group.objects.get(name="Site reliability")
        grants.revoke(group, area("queues"), "view", actor=SYSTEM, reason="test")

        outbox.look()

        assert mail.outbox == []
        assert not Delivery.objects.exists()

    def test_a_rule_without_anybody_tells_nobody(self, ada: User) -> None:
        fire(apply(ada, document("quiet", threshold={"count": {"measure": "runs"}, "above": 5})))

        outbox.look()

        assert mail.outbox == []

    def test_the_webhook_hears_of_the_rule_and_of_no_group(self, rule: Alert, row: Episode, settings: Any) -> None:
        settings.TELLS_BY_WEBHOOK = True
        heard: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "_webhook", [lambda delivery: heard.append(webhook._body(delivery))])
            outbox.look()

        (body,) = heard
        assert body["type"] == "alert.fired"
        assert body["data"] == {
            "alert": "many", "link": "https://aegis.example.org/alerts/?rule=many&status=all",
        }  # fmt: skip
        assert "clerk" not in json.dumps(body)


def again(row: Episode, name: str = "clerk") -> Any:
    return Found((("agent", name),), told(clock.now()), row.scope, row.scope_id)


class TestApi:
    def test_from_the_list_to_taken_on(self, row: Episode, nils: User) -> None:
        api = client_of(nils)

        (listed,) = api.get("/api/v1/alerts").json()["alerts"]
        answer = api.post(f"/api/v1/alerts/{listed['id']}/acknowledge", {"note": "mine"}, format="json")
        told = api.get(f"/api/v1/alerts/{listed['id']}").json()

        assert (listed["status"], listed["group"]) == ("firing", [["agent", "clerk"]])
        assert answer.json()["acknowledged_by"] == "nils"
        assert [one["text"] for one in told["history"]][-1] == "mine"

    def test_pages_follow_each_other(self, rule: Alert, nils: User) -> None:
        for number in range(5):
            fire(rule, f"clerk-{number}")
        api = client_of(nils)

        first = api.get("/api/v1/alerts?limit=3").json()
        second = api.get("/api/v1/alerts", {"limit": 3, "before": first["next"]}).json()

        assert len({one["id"] for one in first["alerts"] + second["alerts"]}) == 5
        assert second["next"] == ""

    def test_silences_are_placed_listed_and_ended(self, row: Episode, nils: User) -> None:
        api = client_of(nils)
        until = soon().isoformat()

        of_group = api.post(f"/api/v1/alerts/{row.pk}/silence", {"until": until, "reason": "known"}, format="json").json()
        of_rule = api.post("/api/v1/alert-rules/many/silence", {"until": until, "reason": "works"}, format="json").json()
        listed = api.get("/api/v1/silences").json()["silences"]
        ended = api.post(f"/api/v1/silences/{of_rule['id']}/end", {"reason": "done"}, format="json").json()

        assert {one["id"] for one in listed} == {of_group["id"], of_rule["id"]}
        assert (of_group["group"], of_rule["group"]) == ([["agent", "clerk"]], [])
        assert ended["ended_at"] is not None

    def test_what_cannot_be_meant_is_refused(self, row: Episode, nils: User, quinn: User) -> None:
        api = client_of(nils)
        silence = f"/api/v1/alerts/{row.pk}/silence"

        assert api.get("/api/v1/alerts?limit=0").status_code == 422
        assert api.get("/api/v1/alerts?status=loud").status_code == 422
        assert api.post(silence, {"until": "soon", "reason": "x"}, format="json").status_code == 422
        assert client_of(quinn).post(silence, {"until": "soon"}, format="json").status_code == 403


class TestCommand:
    def run(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        try:
            call_command("aegis", "alerts", *words, stdout=out, stderr=out)
        except SystemExit as ended:
            return int(str(ended.code)), out.getvalue()
        return 0, out.getvalue()

    def test_it_says_what_fires(self, rule: Alert) -> None:
        assert self.run("list") == (0, "Nothing fires.\n")
        row = fire(rule, "clerk")

        code, out = self.run("list")

        assert code == 1
        assert out.startswith(f"{row.label} many, firing, since ")
        assert "agent clerk: 9, above 5" in out

    def test_it_judges_now(self, rule: Alert) -> None:
        assert self.run("evaluate") == (0, "0 episodes began, went on or ended.\n")
        assert Alert.objects.get().judged.digest == rule.basis

    def test_it_silences_as_somebody(self, rule: Alert, nils: User) -> None:
        assert self.run("silence", "many", "--for", "4h", "--reason", "works")[0] == 2
        code, out = self.run("silence", "many", "--for", "4h", "--as", "nils", "--reason", "works")

        assert (code, Silence.objects.get().by) == (0, nils)
        assert out.startswith("many is silent until ")


def test_the_worker_judges(rule: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.engine import worker

    class Once:
        """Stands in for the end of the process: it comes after one look."""

        looks = 0

        def wait(self, seconds: float) -> bool:
            self.looks += 1
            return self.looks > 1

        def is_set(self) -> bool:
            return False

    monkeypatch.setattr(judging, "_watch", judging.Watch())
    monkeypatch.setattr(worker, "_stop", Once())
    monkeypatch.setattr(worker.connections, "close_all", lambda: None)

    worker._keep_watch()

    assert Alert.objects.get().judged.digest == rule.basis
