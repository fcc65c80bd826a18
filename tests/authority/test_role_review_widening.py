"""A reviewer who drops a guard is told what would become more allowed, and two others decide it (docs/adr/0040, 0041)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.core.errors import Invalid
from aegis.identity.models import User
from approvals import gates
from approvals.models import ApprovalRequest, ChangeSet
from orchestration.authority import confirming, live
from orchestration.authority.confirming import DropWidens
from orchestration.authority.models import Role
from tests.authority.role_reviewing import CLOSE, PAY, decide, events, person_, settle, standing
from tests.support.configuration import agent, capability, grant, policy, role

pytestmark = pytest.mark.django_db

GATED = role("support-bot", grant("gate", policy="reply-1"), grant("gate", CLOSE, policy="reply-1"), grant("deny", PAY))
HELPER = role("helper", grant("allow"), grant("deny", CLOSE), grant("allow", PAY))
ONE = policy("reply-1", ("Deciders", 1))
SAYS = (
    "Without this gate more is allowed: whoever has support-bot and another role that lets ticket.reply through would do it "
    "without this approval."
)


@pytest.fixture
def gated(house: Any) -> None:
    """support-bot gates what helper lets through; one agent has both. To reply counts as high risk."""
    both = agent(roles=["support-bot", "helper"])
    house(ONE, capability("ticket.reply", risk="high"), GATED, HELPER, both)


def words(*capabilities: str) -> dict[str, str]:
    return confirming.widening(Role.objects.get(name="support-bot"), capabilities)


def test_a_gate_that_holds_back_another_role_says_what_goes_with_it(gated: None) -> None:
    assert words("ticket.reply", CLOSE) == {"ticket.reply": SAYS}


def test_limits_that_hold_back_another_role_say_so_too(house: Any) -> None:
    limited = {**grant("allow"), "limits": {"rate": {"count": 5, "per": "1h"}}}
    house(role("support-bot", limited, grant("allow", CLOSE)), HELPER, agent(roles=["support-bot", "helper"]))

    (said,) = words("ticket.reply", CLOSE).values()
    assert said.startswith("Without these limits more is allowed: ")


def test_an_allow_and_a_gate_that_nobody_else_lets_through_only_narrow(house: Any) -> None:
    house(ONE, GATED, HELPER)  # no agent has both

    assert words("ticket.reply", CLOSE) == {}


def test_a_gate_of_people_that_another_role_of_people_lets_through_says_so(house: Any) -> None:
    gated = role("support-bot", grant("gate", policy="reply-1"), people=True)
    house(ONE, gated, role("Helpers", grant("allow"), people=True), agent(roles=[]))

    assert words("ticket.reply") == {"ticket.reply": SAYS}


def test_who_was_not_told_drops_no_guard(gated: None, ada: User) -> None:
    with pytest.raises(DropWidens) as refused:
        settle(ada, drop=["ticket.reply", CLOSE])

    assert [(one.where, one.what) for one in refused.value.faults] == [("/drop/ticket.reply", SAYS)]
    assert not ChangeSet.objects.filter(status="proposed").exists()
    assert not events()
    with pytest.raises(DropWidens):
        settle(ada, drop=["ticket.reply"], told=[CLOSE])


def test_a_deny_cannot_be_dropped_by_a_review_whatever_was_told(gated: None, ada: User) -> None:
    with pytest.raises(Invalid):
        settle(ada, drop=[PAY], told=[PAY])


def test_what_widens_at_high_risk_is_decided_by_two_others_who_read_what_it_allows(gated: None, ada: User) -> None:
    said = settle(ada, drop=["ticket.reply"], told=["ticket.reply"])

    request = ApprovalRequest.objects.get(pk=said.request)
    assert request.risk == "high"
    assert SAYS in gates.evidence_of(request)["diff"].decode()
    decide(said.request, person_("lee"))
    assert "ticket.reply" in live.current().matrix.roles["support-bot"].grants
    assert standing().proposed == {"ticket.reply"}
    decide(said.request, person_("mia"))
    assert "ticket.reply" not in live.current().matrix.roles["support-bot"].grants


def test_what_only_narrows_needs_no_word_of_it(gated: None, ada: User) -> None:
    said = settle(ada, drop=[CLOSE])

    diff = gates.evidence_of(ApprovalRequest.objects.get(pk=said.request))["diff"].decode()
    assert "more is allowed" not in diff
