"""Scope tests are stored with a role and asked at every change: one that breaks a test is refused, naming it."""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from aegis.core.actors import user_actor
from aegis.core.kinds import Key, Overlay, get_kind
from aegis.identity.models import User
from approvals import changes
from approvals.errors import ChangeInvalid
from approvals.models import ApprovalRequest
from orchestration.authority import scope_tests
from tests.portal.documents import everything, keyed
from tests.support.configuration import configured

pytestmark = pytest.mark.django_db

ABOVE = {
    "name": "support-desk must not reply alone",
    "capability": "ticket.reply",
    "expect": "gate",
    "policy": "lead",
}
REFUND = {"capability": "ticket.refund", "parameters": {"amount_cents": 5001}}


def role_with(*tests: dict[str, Any], name: str = "support-desk") -> dict[str, Any]:
    found = next(one for one in everything() if one["kind"] == "Role" and one["metadata"]["name"] == name)
    document = copy.deepcopy(found)
    document["spec"]["tests"] = list(tests)
    return document


def house_with(*tests: dict[str, Any]) -> None:
    documents = [one for one in everything() if one["metadata"]["name"] != "support-desk"]
    configured(keyed([*documents, role_with(*tests)]))


def told(*tests: dict[str, Any], name: str = "support-desk") -> list[str]:
    """The faults of a role with these tests, over the house as it stands."""
    document = role_with(*tests, name=name)
    return [f"{one.where} {one.what}" for one in scope_tests.faults(document, Overlay({Key("Role", name): document}))]


@pytest.fixture
def house(ada: User, sam: User) -> None:
    house_with(ABOVE)


@pytest.mark.parametrize(
    "test",
    [
        {"capability": "ticket.read", "expect": "allow"},
        {"capability": "ticket.reply", "expect": "gate"},
        {"capability": "ticket.reply", "expect": "gate or deny"},
        {**REFUND, "expect": "deny"},
        {"capability": "ticket.refund", "expect": "gate", "parameters": {"amount_cents": 1}},
        {"capability": "ticket.read", "expect": "allow", "agent": "reply-writer", "on": "T-1"},
    ],
)
def test_a_test_that_the_matrix_meets_is_no_fault(house: None, test: dict[str, Any]) -> None:
    assert told({"name": "t", **test}) == []


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ({"capability": "ticket.read", "expect": "deny"}, "expected deny; the matrix answers allow"),
        ({"capability": "ticket.reply", "expect": "gate", "policy": "other"}, "expected gate under other; the matrix answers"),
        ({**REFUND, "expect": "allow"}, "the matrix answers deny"),
        ({"capability": "ticket.refund", "expect": "deny"}, "break the contract"),  # a deny for the wrong reason
        ({"capability": "ticket.nothing", "expect": "deny"}, "there is no capability"),
        ({"capability": "ticket.read", "expect": "deny", "agent": "nobody"}, "there is no agent"),
        ({"capability": "ticket.read", "expect": "deny", "policy": "lead"}, "only an expected gate has a policy"),
    ],
)
def test_a_test_that_is_not_met_or_makes_no_sense_says_why(house: None, test: dict[str, Any], why: str) -> None:
    assert why in " ".join(told({"name": "t", **test}))


def test_two_tests_of_one_name_are_refused(house: None) -> None:
    assert "the name of another test" in told(ABOVE, ABOVE)[0]


def test_a_change_that_breaks_a_test_is_refused_and_names_it(house: None, ada: User) -> None:
    broken = role_with(ABOVE)
    broken["spec"]["grants"][1] = {"capability": "ticket.reply", "effect": "allow"}

    with pytest.raises(ChangeInvalid) as refused:
        propose(ada, broken)
    assert "support-desk must not reply alone" in str(refused.value.faults[0])
    assert get_kind("Role").dump("support-desk") == role_with(ABOVE)


def test_a_change_of_another_document_that_breaks_a_test_is_refused_too(ada: User, sam: User) -> None:
    house_with({"name": "the writer may read", "capability": "ticket.read", "expect": "allow", "agent": "reply-writer"})
    agent = get_kind("Agent").dump("reply-writer")
    assert agent is not None
    agent["spec"]["roles"] = []

    with pytest.raises(ChangeInvalid) as refused:
        propose(ada, agent)
    assert "the writer may read" in str(refused.value.faults)


def test_nobody_drops_or_changes_a_test_alone(house: None, ada: User, person: Callable[..., User]) -> None:
    person("tara", "Support leads")
    for tests in ((), ({**ABOVE, "expect": "gate or deny", "policy": None},)):
        kept = tuple({name: value for name, value in test.items() if value is not None} for test in tests)
        judged = changes.preview(keyed([role_with(*kept)]), ada)
        assert any("support-desk must not reply alone" in guard for guard in judged.guards)
    propose(ada, role_with())
    assert ApprovalRequest.objects.count() == 1
    assert get_kind("Role").dump("support-desk") == role_with(ABOVE)


def test_a_test_is_added_by_one_person_and_told_in_words(house: None, ada: User) -> None:
    more = role_with(ABOVE, {"name": "may read", "capability": "ticket.read", "expect": "allow"})
    judged = changes.preview(keyed([more]), ada)
    assert judged.guards == []
    assert "Scope test “may read” of support-desk is added." in judged.sentences


def test_the_command_says_a_line_per_test_and_its_exit_code_says_all(house: None) -> None:
    out = StringIO()
    call_command("aegis", "test", stdout=out, stderr=StringIO())
    assert out.getvalue() == "ok    support-desk: support-desk must not reply alone\n"


def test_the_command_fails_where_a_test_is_not_met(house: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.authority.models import Role

    row = Role.objects.get(name="support-desk")
    Role.objects.filter(pk=row.pk).update(document=row.document.replace('"effect":"gate"', '"effect":"deny"'))  # past the door
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("aegis", "test", "support-desk", stdout=out, stderr=StringIO())
    assert ended.value.code == 1
    assert out.getvalue().startswith("FAIL  support-desk: “support-desk must not reply alone”: expected gate under lead")


def test_tests_are_shown_beside_the_role_and_at_review(house: None, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    page = words(browser.get("/open/Role/?name=support-desk", follow=True))
    assert "met support-desk must not reply alone" in page

    cell = {"role": "support-desk", "capability": "ticket.reply", "do": "keep", "effect": "allow"}
    browser.post("/matrix/cell/", cell, headers={"X-Requested-With": "fetch"})
    review = words(browser.get("/matrix/review/"))
    assert "1 of 1 scope test fails" in review
    assert "“support-desk must not reply alone”: expected gate under lead; the matrix answers allow" in review
    assert "Mend what speaks against it first" in review


def propose(author: User, document: dict[str, Any]) -> None:
    changes.propose(keyed([document]), author=author, actor=user_actor(author.pk, auth="session"), reason="Test")


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))
