"""Signing secrets of agents: shown once, kept nowhere, expiring, rotated, revoked; and what calls are signed with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.urls import reverse

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import Conflict, Forbidden, Invalid, NotFound
from aegis.identity import people
from aegis.identity.models import User
from audit.models import Event, Payload
from orchestration.agents import alarms, credentials, idle, signing
from orchestration.agents.models import Agent, AgentCredential
from orchestration.engine.models import Run
from tests.agents.asking import ScriptedAgent, serving
from tests.engine import house
from tests.support import configuration as config
from tests.support.api import client_of

pytestmark = pytest.mark.django_db

WHY = "the old one is in a chat"
REMOTE = {"http": {"url": "https://agents.example.com/refunds"}}


@pytest.fixture
def remote(person: Callable[..., User], olivia: User, ada: User) -> Agent:
    person("lee", "Support leads")
    person("mia", "Support leads")
    config.bootstrap(config.agent("remote", connector=REMOTE))
    return Agent.objects.get(name="remote")


def issued(days: float = 90, others: timedelta | None = None, name: str = "remote", actor: Any = SYSTEM) -> credentials.Issued:
    until = clock.now() + timedelta(days=days)
    return credentials.issue(name, expires_at=until, others_end_in=others, actor=actor, reason=WHY)


def signing_now(agent: Agent) -> list[str]:
    return [signing.text_of(key) for key in credentials.keys_of({str(agent.pk)}).get(str(agent.pk), ())]


def test_a_secret_is_shown_once_and_stands_in_no_row_event_or_payload(remote: Agent):
    one = issued()
    raw = one.secret.removeprefix(signing.PREFIX)

    rows = serializers.serialize("json", [*AgentCredential.objects.all(), *Event.objects.all(), *Payload.objects.all()])
    assert raw not in rows
    assert one.secret not in repr(one)
    event = Event.objects.get(type="agent.credential_issued")
    assert (event.scope, event.scope_id) == ("agent", str(remote.pk))
    assert Payload.objects.get(stream=event.stream, seq=event.seq, name="reason").body == json.dumps(WHY)


def test_it_signs_from_its_issue_to_its_end_and_says_when_it_was_used(remote: Agent, monkeypatch: pytest.MonkeyPatch):
    one = issued(days=2)
    assert one.credential.last_used_on is None

    assert signing_now(remote) == [one.secret]
    one.credential.refresh_from_db()
    assert one.credential.last_used_on == clock.db_now().date()

    after = clock.now() + timedelta(days=2, seconds=1)
    monkeypatch.setattr(clock, "db_now", lambda: after)
    assert signing_now(remote) == []


def test_rotating_lets_both_sign_until_the_old_one_ends(remote: Agent, monkeypatch: pytest.MonkeyPatch):
    old = issued(days=90)
    new = issued(days=90, others=timedelta(days=7))

    assert signing_now(remote) == [old.secret, new.secret]
    after = clock.now() + timedelta(days=7, seconds=1)
    monkeypatch.setattr(clock, "db_now", lambda: after)
    assert signing_now(remote) == [new.secret]


def test_rotating_lengthens_nothing_and_at_once_is_at_once(remote: Agent):
    old = issued(days=1)
    issued(others=timedelta(days=7))
    before = old.credential.expires_at
    old.credential.refresh_from_db()
    assert abs(old.credential.expires_at - before) < timedelta(milliseconds=1)

    last = issued(others=timedelta(0))
    assert signing_now(remote) == [last.secret]


def test_a_revoked_secret_signs_nothing_more_and_its_end_is_on_record(remote: Agent):
    one, other = issued(), issued()

    assert credentials.revoke("remote", one.credential.prefix, actor=SYSTEM, reason=WHY)
    assert not credentials.revoke("remote", one.credential.prefix, actor=SYSTEM, reason=WHY)

    assert signing_now(remote) == [other.secret]
    assert Event.objects.filter(type="agent.credential_revoked").count() == 1


def test_another_secret_of_the_installation_makes_no_other_secret_of_the_agent(remote: Agent, settings: Any):
    one = issued()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another one, of fifty characters or thereabouts ....."

    assert signing_now(remote) == []
    assert [alarm.code for alarm in alarms.of_one(remote)] == ["secret_lost"]
    settings.SECRET_KEY_FALLBACKS = [former]
    assert signing_now(remote) == [one.secret]


def test_no_more_than_three_sign(remote: Agent):
    for _ in range(credentials.MAX_LIVE):
        issued()
    with pytest.raises(Conflict):
        issued()
    issued(others=timedelta(0))
    assert len(signing_now(remote)) == 1


@pytest.mark.parametrize(
    ("days", "others"), [(0, None), (-1, None), (367, None), (90, timedelta(days=31)), (90, timedelta(days=-1))]
)
def test_lifetime_and_overlap_are_bounded(remote: Agent, days: float, others: timedelta | None):
    with pytest.raises(Invalid):
        issued(days, others)
    assert not AgentCredential.objects.exists()


def test_an_agent_whose_calls_are_not_signed_gets_none(remote: Agent):
    with pytest.raises(Invalid):
        issued(name="responder")
    assert not AgentCredential.objects.exists()


@pytest.mark.parametrize(("who", "refusal"), [("quinn", Forbidden), ("sam", NotFound), ("root", NotFound)])
def test_nobody_without_the_right_issues_or_revokes(remote: Agent, who: str, refusal: type, request: Any):
    actor = user_actor(request.getfixturevalue(who).pk, auth="session")
    prefix = issued().credential.prefix

    with pytest.raises(refusal):
        issued(actor=actor)
    with pytest.raises(refusal):
        credentials.revoke("remote", prefix, actor=actor, reason=WHY)
    assert AgentCredential.objects.get().revoked_at is None


def test_whoever_comes_with_a_key_issues_none(remote: Agent, ada: User):
    from aegis.identity import api_keys

    until = clock.now() + timedelta(days=1)
    key = api_keys.create(ada.pk, "x", expires_at=until, actor=user_actor(ada.pk, auth="session"), reason=WHY).key
    with pytest.raises(Forbidden):
        issued(actor=user_actor(ada.pk, auth=api_keys.auth_label(key)))
    assert not AgentCredential.objects.exists()


# --- calls ---


@pytest.fixture
def agent_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAgent]:
    monkeypatch.setattr(idle, "_kept", idle._Idle())
    outside = ScriptedAgent()
    outside.says(json.dumps({"reply": "done", "output": {"note": house.NOTE}, "confidence": 0.9}).encode())
    with serving(outside) as served:
        yield served


@pytest.fixture
def asks_outside(agent_outside: ScriptedAgent, person: Callable[..., User], ada: User, sam: User) -> ScriptedAgent:
    origin = f"http://127.0.0.1:{agent_outside.port}"
    documents = house.documents()
    clerk = next(one for one in documents if one["kind"] == "Agent")
    clerk["spec"]["connector"] = {"http": {"url": f"{origin}/ask", "allow": [origin]}}
    house.bootstrap(documents)
    return agent_outside


@pytest.mark.django_db(transaction=True)
def test_a_call_carries_a_signature_of_every_valid_secret_and_none_of_a_revoked_one(asks_outside: ScriptedAgent, sam: User):
    first, gone, last = (issued(name="clerk") for _ in range(3))
    credentials.revoke("clerk", gone.credential.prefix, actor=SYSTEM, reason=WHY)

    run = house.submit(sam)
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    (asked,) = asks_outside.asked
    stamp, message = int(asked.headers["webhook-timestamp"]), asked.headers["webhook-id"]
    keys = [next(iter(signing._read("x", one.secret))) for one in (first, last)]
    assert asked.headers["webhook-signature"].split() == [signing.sign(key, message, stamp, asked.body) for key in keys]


@pytest.mark.django_db(transaction=True)
def test_without_a_valid_secret_nothing_is_sent_and_the_run_goes_before_people(asks_outside: ScriptedAgent, sam: User):
    run = house.submit(sam)
    house.drive(run)

    assert asks_outside.asked == []
    assert run.status == Run.Status.WAITING_REVIEW


def test_a_secret_of_the_environment_signs_beside_and_is_not_missed(monkeypatch: pytest.MonkeyPatch):
    issued_one, name = (b"1" * 32,), "AEGIS_AGENT_SECRET_BESIDE"
    monkeypatch.setenv(name, signing.text_of(b"2" * 32))
    assert signing.all_of(name, issued_one) == (b"1" * 32, b"2" * 32)
    monkeypatch.delenv(name)
    assert signing.all_of(name, issued_one) == issued_one
    with pytest.raises(signing.SecretUnusable):
        signing.all_of(name, ())
    with pytest.raises(signing.SecretUnusable):
        signing.all_of("", ())


# --- doors ---


def test_the_page_shows_a_new_secret_once_and_never_again(remote: Agent, ada: User, browser_of: Any):
    desk, page = browser_of(ada), reverse("admin:orchestration_agent_change", args=[remote.pk])
    answer = desk.post("/agents/remote/secrets/issue/", {"days": "90", "reason": WHY, "next": page})

    shown = re.search(r"whsec_[A-Za-z0-9+/=]+", answer.content.decode())
    assert shown is not None
    assert "no-store" in answer.headers["Cache-Control"]
    assert signing_now(remote) == [shown[0]]
    listed = desk.get(page).content.decode()
    assert AgentCredential.objects.get().prefix in listed
    assert shown[0] not in listed


def test_the_page_revokes_with_a_reason_only(remote: Agent, ada: User, browser_of: Any):
    prefix, desk = issued().credential.prefix, browser_of(ada)
    desk.post(f"/agents/remote/secrets/{prefix}/revoke/", {"reason": " "})
    assert AgentCredential.objects.get().revoked_at is None
    desk.post(f"/agents/remote/secrets/{prefix}/revoke/", {"reason": WHY})
    assert AgentCredential.objects.get().revoked_at is not None


def test_who_may_only_look_is_offered_no_form(remote: Agent, quinn: User, browser_of: Any):
    issued()
    shown = browser_of(quinn).get(reverse("admin:orchestration_agent_change", args=[remote.pk])).content.decode()
    assert "/secrets/" not in shown
    assert "Issuing and revoking is for" in shown
    assert browser_of(quinn).post("/agents/remote/secrets/issue/", {"days": "90", "reason": WHY}).status_code == 403


def test_the_api_lists_without_the_secret_and_revokes(remote: Agent, ada: User, sam: User):
    one, api = issued(), client_of(ada)
    listed = api.get("/api/v1/agents/remote/credentials").json()["credentials"]
    assert [(row["prefix"], row["revoked_at"], row["last_used_on"]) for row in listed] == [(one.credential.prefix, None, None)]
    assert set(listed[0]) == {"prefix", "issued_at", "expires_at", "revoked_at", "last_used_on"}
    path = f"/api/v1/agents/remote/credentials/{one.credential.prefix}/revoke"
    answer = api.post(path, json.dumps({"reason": WHY}), content_type="application/json")
    assert answer.json()["is_new"]
    assert signing_now(remote) == []
    assert client_of(sam).get("/api/v1/agents/remote/credentials").status_code == 404


def test_the_command_issues_lists_and_revokes(remote: Agent):
    def aegis(*words: str) -> str:
        out = StringIO()
        call_command("aegis", "agents", *words, stdout=out, stderr=StringIO())
        return out.getvalue().strip()

    secret = aegis("issue", "remote", "--reason", WHY, "--days", "30")
    assert signing_now(remote) == [secret]
    prefix = AgentCredential.objects.get().prefix
    assert aegis("secrets", "remote").startswith(f"{prefix}: valid, until ")
    assert aegis("revoke", "remote", prefix, "--reason", WHY) == f"{prefix} is revoked."
    assert ": revoked," in aegis("secrets", "remote")


# --- alarms ---


def codes(agent: Agent) -> list[str]:
    return [alarm.code for alarm in alarms.of_one(Agent.objects.get(pk=agent.pk))]


def test_an_agent_without_a_valid_secret_is_an_alarm_before_and_after_its_end(remote: Agent, monkeypatch: pytest.MonkeyPatch):
    assert codes(remote) == ["no_secret"]
    issued(days=90)
    assert codes(remote) == []
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(days=77))
    assert codes(remote) == ["secret_ends"]
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(days=91))
    assert codes(remote) == ["secret_ended"]


def test_an_agent_whose_owner_left_is_an_alarm_to_those_who_see_it(remote: Agent, olivia: User, ada: User, sam: User):
    issued()
    assert alarms.of_all(ada) == []
    people.remove_from_group(olivia.pk, "Support operators", actor=SYSTEM, reason="moved")
    assert codes(remote) == ["owner_without_group"]
    people.disable_person(olivia.pk, actor=SYSTEM, reason="left")
    assert codes(remote) == ["owner_left"]
    assert {alarm.code for alarm in alarms.of_all(ada)} == {"owner_left"}
    assert alarms.of_all(sam) == []
