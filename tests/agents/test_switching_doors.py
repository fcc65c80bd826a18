"""Disabling an agent from its page, over the API and on the command line: one verb, with a reason, on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from audit.models import Event, Payload
from orchestration.agents.models import Agent
from orchestration.authority import live
from tests.support import configuration as config
from tests.support.api import client_of

pytestmark = pytest.mark.django_db

WHY = "it writes nonsense to customers"


@pytest.fixture
def responder(person: Callable[..., User], olivia: User, ada: User) -> Agent:
    person("lee", "Support leads")
    person("mia", "Support leads")
    config.bootstrap()
    return Agent.objects.get(name="responder")


def by_page(person: User, browser_of: Any, way: str, name: str = "responder", reason: str = WHY) -> int:
    return browser_of(person).post(f"/agents/{name}/{way}/", {"reason": reason}).status_code


def by_api(person: User, browser_of: Any, way: str, name: str = "responder", reason: str = WHY) -> int:
    path = f"/api/v1/agents/{name}/{way}"
    return client_of(person).post(path, json.dumps({"reason": reason}), content_type="application/json").status_code


def by_command(person: User, browser_of: Any, way: str, name: str = "responder", reason: str = WHY) -> int:
    return aegis(way, name, "--as", person.username, "--reason", reason)[0]


def aegis(*words: str) -> tuple[int, str]:
    """Exit code and everything it said."""
    out, err = StringIO(), StringIO()
    try:
        call_command("aegis", "agents", *words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue() + err.getvalue()
    return 0, out.getvalue() + err.getvalue()


DOORS = pytest.mark.parametrize("door", [by_page, by_api, by_command])


@DOORS
def test_a_disabled_agent_has_no_rights_from_that_commit_on_until_it_is_enabled(responder, ada, browser_of, door):
    before = current_epoch()

    door(ada, browser_of, "disable")

    assert not Agent.objects.get().is_enabled
    assert not live.current().matrix.agents[str(responder.pk)].is_enabled
    assert current_epoch() > before
    door(ada, browser_of, "enable")
    assert Agent.objects.get().is_enabled
    assert live.current().matrix.agents[str(responder.pk)].is_enabled


@DOORS
def test_it_is_on_record_with_person_and_reason_once(responder, ada, browser_of, door):
    door(ada, browser_of, "disable")
    door(ada, browser_of, "disable")

    event = Event.objects.get(type="agent.disabled")
    assert (event.actor_ref, event.scope, event.scope_id) == (str(ada.pk), "agent", str(responder.pk))
    assert Payload.objects.get(stream=event.stream, seq=event.seq, name="reason").body == json.dumps(WHY)


@DOORS
@pytest.mark.parametrize("who", ["quinn", "sam", "root"])
def test_nobody_else_may_superusers_included(responder, browser_of, door, who, request):
    """Quinn sees the agent; to the others it does not exist."""
    answer = door(request.getfixturevalue(who), browser_of, "disable")

    assert answer == (2 if door is by_command else 403 if who == "quinn" else 404)
    assert Agent.objects.get().is_enabled


@DOORS
def test_without_a_reason_nothing_changes(responder, ada, browser_of, door):
    assert door(ada, browser_of, "disable", reason=" ") != 200
    assert Agent.objects.get().is_enabled


@pytest.mark.parametrize("who", ["ada", "sam"])
def test_an_unknown_agent_reads_like_a_hidden_one(responder, sam, request, who):
    person = request.getfixturevalue(who)
    body = json.dumps({"reason": WHY})
    unknown = client_of(person).post("/api/v1/agents/nobody/disable", body, content_type="application/json")
    hidden = client_of(sam).post("/api/v1/agents/responder/disable", body, content_type="application/json")

    assert (unknown.status_code, unknown.content) == (404, hidden.content)


def test_a_get_never_switches(responder, ada, browser_of):
    assert browser_of(ada).get("/agents/responder/disable/").status_code == 405
    assert client_of(ada).get("/api/v1/agents/responder/disable").status_code == 405
    assert Agent.objects.get().is_enabled


def test_its_page_offers_the_form_to_those_who_may_and_names_them_to_others(responder, ada, quinn, browser_of):
    page = reverse("admin:orchestration_agent_change", args=[responder.pk])
    form = 'action="/agents/responder/disable/"'

    assert form in browser_of(ada).get(page).content.decode()
    shown = browser_of(quinn).get(page).content.decode()
    assert form not in shown
    assert "Disabling and enabling is for" in shown

    desk: Client = browser_of(ada)
    answer = desk.post("/agents/responder/disable/", {"reason": WHY, "next": page}, follow=True)
    assert answer.redirect_chain == [(page, 302)]
    assert "responder is disabled." in answer.content.decode()
    assert 'action="/agents/responder/enable/"' in answer.content.decode()


def test_the_command_lists_agents_and_without_a_person_the_system_acts(responder):
    assert aegis() == (0, "responder: enabled\n")
    assert aegis("disable", "responder", "--reason", WHY) == (0, "responder is disabled.\n")
    assert aegis("disable", "responder", "--reason", WHY) == (0, "responder is already disabled.\n")
    assert aegis() == (0, "responder: disabled\n")
    assert Event.objects.get(type="agent.disabled").actor_kind == "system"
    assert aegis("disable", "--reason", WHY)[0] == 2
