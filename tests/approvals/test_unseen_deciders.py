"""Where too few people could decide, that is said in the same words however few there are, and nobody is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis.core.kinds import Key
from aegis.identity.models import User
from approvals import approvers, changes, policies
from approvals.changes import CONFIG_POLICY
from approvals.errors import NobodyEligible
from approvals.gates import require_electors
from approvals.models import ApprovalRequest
from approvals.pages.detail import detail
from tests.approvals.house import ask, decide_as, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db
THREE = [{"groups": ["Hidden"], "quorum": 3}]
HOW_MANY = range(3)  # too few for three


@pytest.fixture
def author(person: Callable[..., User]) -> User:
    """He sees neither people nor agents."""
    return person("ines", "Clerks")


def each(person: Callable[..., User], ask_it: Callable[[], Any]) -> list[Any]:
    """What is said with nobody in the group, with one, and with two."""
    said = []
    for number in HOW_MANY:
        if number:
            person(f"hidden{number}", "Hidden")
        said.append(ask_it())
    return said


def test_a_gate_that_cannot_be_met_says_the_same_however_few_there_are(person: Callable[..., User]) -> None:
    policy = policies.load(policy_document(stages=THREE))

    def refused() -> str:
        with pytest.raises(NobodyEligible) as error:
            require_electors(policy, frozenset())
        return str(error.value.detail)

    (said,) = set(each(person, refused))
    assert "hidden" not in said.replace("Hidden", "")


def test_the_author_of_a_guarded_change_is_told_the_same(person: Callable[..., User], author: User) -> None:
    store_policy(policy_document(CONFIG_POLICY, stages=THREE))

    (missing,) = set(each(person, lambda: approvers.of_change(author).missing))
    assert "too few there could" in missing


def test_the_lint_of_a_policy_says_the_same(person: Callable[..., User], author: User) -> None:
    person("hidden0", "Others")
    document = policy_document("mine", stages=[{"groups": ["Hidden"], "quorum": 3}])

    def faults() -> tuple[tuple[str, str, str], ...]:
        found = changes.preview([(Key("ApprovalPolicy", "mine"), document)], author).faults
        return tuple((one.where, one.what, one.remedy) for one in found)

    store_policy(policy_document("hidden", stages=THREE))  # makes the group
    (said,) = set(each(person, faults))
    assert said


def opened(person: Callable[..., User], needed: int) -> tuple[ApprovalRequest, list[User]]:
    deciders = [person(f"lead{number}", "Leads") for number in range(3)]
    asker = person("ines", "Clerks")
    policy = store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": needed}]))
    return ask(policy, requester=asker), deciders


@pytest.mark.parametrize("left", [0, 1])
def test_the_page_of_a_request_that_is_stuck_tells_neither_how_many_are_left_nor_who(
    person: Callable[..., User], left: int
) -> None:
    request, deciders = opened(person, 3)
    decide_as(deciders[0], request)
    for one in deciders[1 + left :]:
        one.groups.clear()

    assert request.requester is not None
    page = detail(request.requester, reload(request))

    assert page.notice is not None
    assert page.notice.title == "Too few people can decide this any more"
    assert page.notice.text == (
        "Leads must give 2 more approvals, and too few there could. It expires at its deadline unless people join."
    )
    assert not page.able


def test_who_else_could_decide_is_told_to_who_may_decide_alone(person: Callable[..., User]) -> None:
    request, (first, second, third) = opened(person, 1)
    asker = request.requester
    assert asker is not None

    assert list(detail(first, request).able) == [second, third]
    assert not detail(asker, request).able
    assert not detail(person("eve", "Guests"), request).able
    decide_as(second, request, "reject")
    assert not detail(first, reload(request)).able
