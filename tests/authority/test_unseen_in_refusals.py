"""A refusal tells nothing of agents and people whom its reader may not see: hidden and absent are one sentence.

Each check stays as strict as for somebody who sees everything; what is kept back are names, numbers and reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from aegis.core.actors import SYSTEM
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals import changes
from orchestration.agents.models import Agent
from orchestration.authority import exclusions, orphans, scope_tests
from tests.support import configuration as config

pytestmark = pytest.mark.django_db

READ = "ticket.read"
NAMES_HER = "that you may name"


@pytest.fixture
def desk(person: Callable[..., User], olivia: User) -> User:
    """olivia owns the agent `responder`, which has the role support-bot."""
    person("lee", "Support leads")
    person("mia", "Support leads")
    config.bootstrap(config.capability(READ))
    return olivia


@pytest.fixture
def zoe(desk: User, person: Callable[..., User]) -> User:
    """She edits access and agents' documents, and sees neither agents nor people."""
    zoe = person("zoe", "Editors")
    for name, verb in (("access", "view"), ("access", "edit"), ("agents", "edit")):
        grants.grant(Group.objects.get(name="Editors"), area(name), verb, actor=SYSTEM, reason="test")
    return zoe


@pytest.fixture
def eve(zoe: User, person: Callable[..., User]) -> User:
    """As zoe, and she sees agents and people."""
    eve = person("eve", "Seers", "Editors")
    for name in ("agents", "people"):
        grants.grant(Group.objects.get(name="Seers"), area(name), "view", actor=SYSTEM, reason="test")
    return eve


def told(reader: User | None, *documents: dict[str, Any]) -> list[Fault]:
    return list(changes.preview(config.keyed(documents), reader).faults)


def growing() -> dict[str, Any]:
    return config.role("support-bot", config.grant("allow"), config.grant("allow", READ))


def asking(agent: str, *, expect: str) -> dict[str, Any]:
    document = config.role("support-bot", config.grant("allow"))
    document["spec"]["tests"] = [{"name": "reads nothing", "capability": READ, "expect": expect, "agent": agent}]
    return document


def test_a_role_that_may_not_grow_names_no_agent_that_its_editor_may_not_see(zoe: User, eve: User, desk: User):
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")

    assert "the agent responder has this role" in told(eve, growing())[0].what
    (kept,) = told(zoe, growing())
    assert (kept.what, kept.remedy) == (orphans.UNTOLD.what, orphans.UNTOLD.remedy)
    assert "responder" not in f"{kept.what} {kept.remedy}"


def test_nor_does_the_form_of_a_cell(zoe: User, desk: User, browser_of: Callable[..., Client]):
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")
    cell = {"do": "keep", "role": "support-bot", "capability": READ, "effect": "allow"}

    answer = browser_of(zoe).post("/matrix/cell/", cell)
    assert answer.status_code == 422
    assert orphans.UNTOLD.what in answer.content.decode()
    assert "responder" not in answer.content.decode()


def test_one_agent_that_is_seen_is_named_and_the_others_are_not_counted(zoe: User, desk: User, person: Callable[..., User]):
    for name in ("second", "third"):
        Agent.objects.create(
            name=name,
            owner=desk,
            document=Agent.objects.get(name="responder").document.replace('"responder"', f'"{name}"'),
            digest=name,
            version=1,
            updated_at=Agent.objects.get(name="responder").updated_at,
        )
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")
    grants.grant(Group.objects.get(name="Editors"), Agent.objects.get(name="second"), "view", actor=SYSTEM, reason="test")

    said = [fault.what for fault in told(zoe, growing())]
    assert len(said) == 2
    assert said[0].startswith("the agent second has this role")
    assert said[1] == orphans.UNTOLD.what


@pytest.mark.parametrize("expect", ["deny", "allow"], ids=["would be met", "would not be met"])
def test_a_scope_test_of_an_agent_one_may_not_see_is_refused_as_of_one_that_is_not_there(zoe: User, eve: User, expect: str):
    hidden, absent = told(zoe, asking("responder", expect=expect)), told(zoe, asking("nobody-there", expect=expect))

    assert [fault.what.replace("nobody-there", "responder") for fault in absent] == [fault.what for fault in hidden]
    assert "there is no agent 'responder' that you may ask about" in hidden[0].what
    assert bool(told(eve, asking("responder", expect=expect))) == (expect == "allow")


def test_a_scope_test_that_stands_is_asked_as_ever_and_what_came_of_it_is_not_told(zoe: User, desk: User):
    standing = asking("responder", expect="deny")
    overlay = Overlay({}, zoe)
    (hidden,), (absent,) = (scope_tests.run(asking(name, expect="deny"), overlay) for name in ("responder", "nobody-there"))
    assert (hidden.is_told, hidden.verdict) == (absent.is_told, absent.verdict) == (False, None)
    assert hidden.why.replace("responder", "nobody-there") == absent.why
    assert (hidden.is_met, absent.is_met) == (True, False)

    assert scope_tests.faults(standing, overlay, standing) == []
    broken = asking("responder", expect="allow")
    (fault,) = scope_tests.faults(broken, overlay, broken)
    assert "the matrix answers" not in fault.what


@pytest.mark.parametrize("kind", ["agent", "capability", "review"])
def test_a_person_one_may_not_see_is_named_by_nobody_as_one_who_is_not_there(zoe: User, eve: User, kind: str):
    def naming(username: str) -> dict[str, Any]:
        if kind == "agent":
            return config.agent(owner=username)
        if kind == "capability":
            document = config.capability(READ)
            document["spec"] = {**document["spec"], "resource": "parcel", "owner": username}
            return document
        document = config.role("support-bot", config.grant("allow"))
        document["spec"]["review"] = {"person": username}
        return document

    hidden, absent = (
        [fault.what for fault in told(zoe, naming(name)) if NAMES_HER in fault.what] for name in ("lee", "nobody")
    )
    assert hidden == ["there is no active person 'lee' that you may name"]
    assert absent == ["there is no active person 'nobody' that you may name"]
    assert [fault for fault in told(eve, naming("lee")) if NAMES_HER in fault.what] == []
    assert [fault for fault in told(zoe, naming("zoe")) if NAMES_HER in fault.what] == [], "oneself one sees"


def test_an_owner_who_stands_is_named_on_by_who_may_not_see_him(zoe: User, desk: User):
    same = config.agent()
    same["spec"]["settings"] = {"tone": "calm"}
    assert [fault for fault in told(zoe, same) if NAMES_HER in fault.what] == []
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")
    assert [fault for fault in told(zoe, same) if NAMES_HER in fault.what] != [], "as strict as before"


def test_who_would_hold_what_excludes_each_other_is_counted_for_who_sees_people_alone(zoe: User, eve: User, desk: User):
    reads = config.role("Readers", config.grant("allow", READ))
    replies = config.role("Repliers", config.grant("allow"))
    for document in (reads, replies):
        document["spec"]["people"] = True
        people.create_group(document["metadata"]["name"], actor=SYSTEM, reason="test")
        people.add_to_group(desk.pk, document["metadata"]["name"], actor=SYSTEM, reason="test")
    apart = config.capability(READ)
    apart["spec"]["excludes"] = [config.grant("allow")["capability"]]
    said = {
        reader: {fault.what for fault in told(reader, apart, reads, replies) if fault.where.endswith("/grants")}
        for reader in (zoe, eve)
    }

    assert all("1 person in its group would hold" in what for what in said[eve])
    assert said[eve]
    assert said[zoe] == {exclusions.UNTOLD.what}
