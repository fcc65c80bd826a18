"""What would widen the rights of people, or unbind somebody who is bound, is not applied by one person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.kinds import Key
from aegis.identity import people
from aegis.identity.models import User
from aegis.identity.principals import OwnRights
from approvals import changes, gates
from approvals.models import ApprovalRequest, ChangeSet
from audit.models import Event
from tests.support import configuration as config
from tests.support.configuration import agent, grant, policy, role

pytestmark = pytest.mark.django_db
CLOSE = "ticket.close"
HELD: dict[str, Any] = {"requester_too": True, "risk": "medium", "safety": "unsafe", "handler": "record.patch"}


@pytest.fixture(autouse=True)
def standing(person: Callable[..., User], olivia: User, sam: User, ada: User) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")
    config.bootstrap(
        config.capability(CLOSE),
        config.capability("ticket.pay", **HELD),
        role("Repliers", grant("gate", policy="reply-2"), grant("deny", CLOSE), people=True),
        role("Closers", grant("allow", CLOSE, when="record.open"), people=True),
        role("Gated closers", grant("gate", CLOSE, policy="reply-2"), people=True),
        role("Metered closers", {**grant("allow", CLOSE), "limits": {"rate": {"count": 5, "per": "1h"}}}, people=True),
        role("other-bot", grant("allow", CLOSE)),
        policy("fast", ("Support leads", 2), fast_path="risk == 'low'", risk="medium"),
    )


def status(author: User, *documents: Any) -> str:
    return str(config.propose(author, *documents).status)


@pytest.mark.parametrize(
    "wider",
    [
        role("Repliers", grant("allow"), grant("deny", CLOSE), people=True),
        role("Repliers", grant("gate", policy="reply-1"), grant("deny", CLOSE), people=True),
        role("Repliers", grant("gate", policy="fast"), grant("deny", CLOSE), people=True),
        role("Repliers", grant("gate", policy="reply-2", when="record.vip"), grant("deny", CLOSE), people=True),
        role("Repliers", grant("deny", CLOSE), people=True),
        role("Repliers", grant("gate", policy="reply-2"), people=True),
        role("Repliers", grant("gate", policy="reply-2"), grant("deny", CLOSE, when="record.vip"), people=True),
        role("Repliers", grant("gate", policy="reply-2"), grant("deny", CLOSE)),
        role("Closers", grant("allow", CLOSE), people=True),
        role("Closers", grant("allow", CLOSE, when="true"), people=True),
        role("Closers", grant("gate", CLOSE, policy="reply-1"), people=True),
        role("Closers", grant("allow", CLOSE, when="record.open"), grant("allow"), people=True),
        role("Closers", grant("allow", CLOSE, when="record.open"), grant("gate", policy="reply-2"), people=True),
        role("other-bot", grant("allow", CLOSE), people=True),
        role("Admins", grant("allow"), people=True),
    ],
    ids=[
        "gate to allow", "weaker policy", "policy with a fast path", "gate holds more rarely", "gate gone", "deny gone",
        "deny holds more rarely", "no longer of people", "condition gone", "other condition", "allow-if to gate-always",
        "new allow", "new gate", "role of agents becomes one of people", "new role",
    ],
)  # fmt: skip
def test_a_role_of_people_is_not_widened_by_one_person(ada: User, wider: Any) -> None:
    assert status(ada, wider) == ChangeSet.Status.PROPOSED


@pytest.mark.parametrize(
    "narrower",
    [
        role("Repliers", grant("deny"), grant("deny", CLOSE), people=True),
        role("Closers", grant("deny", CLOSE), people=True),
        role("Closers", people=True),
        role("other-bot", grant("allow", CLOSE), grant("allow")),
    ],
    ids=["gate to deny", "allow to deny", "allow gone", "role of agents"],
)
def test_what_narrows_people_or_is_of_agents_applies_at_once(ada: User, narrower: Any) -> None:
    assert status(ada, narrower) == ChangeSet.Status.APPLIED


@pytest.mark.parametrize(
    "weaker",
    [
        policy("reply-2", ("Support leads", 1)),
        policy("reply-2", ("Support operators", 2)),
        policy("reply-2", ("Support leads", 2), reason="on_reject"),
        policy("reply-2", ("Support leads", 2), fast_path="true"),
        policy("fast", ("Support leads", 2), fast_path="true", risk="medium"),
        policy("fast", ("Support leads", 2), fast_path="risk == 'low'", risk="low"),
    ],
    ids=["fewer", "others", "no reason", "new fast path", "other fast path", "lower risk"],
)
def test_a_policy_is_not_weakened_by_one_person(ada: User, olivia: User, person: Callable[..., User], weaker: Any) -> None:
    person("otis", "Support operators")

    assert status(ada, weaker) == ChangeSet.Status.PROPOSED


@pytest.mark.parametrize(
    "stricter",
    [
        policy("reply-2", ("Support leads", 3)),
        policy("reply-2", ("Support leads", 2), deadline="1h"),
        policy("fast", ("Support leads", 2), risk="medium"),
    ],
    ids=["more", "deadline", "fast path gone"],
)
def test_a_policy_as_strict_as_before_applies_at_once(ada: User, stricter: Any) -> None:
    assert status(ada, stricter) == ChangeSet.Status.APPLIED


@pytest.mark.parametrize(
    "looser",
    [{"requester_too": False}, {"risk": "low"}, {"safety": "keyed"}, {"safety": "idempotent"}, {"handler": "record.create"}],
    ids=["requester no longer", "lower risk", "tried again by key", "tried again", "does something else"],
)
def test_what_a_capability_holds_is_not_loosened_by_one_person(ada: User, looser: dict[str, Any]) -> None:
    assert status(ada, config.capability("ticket.pay", **HELD | looser)) == ChangeSet.Status.PROPOSED


def test_what_a_capability_holds_more_applies_at_once(ada: User) -> None:
    assert status(ada, config.capability(CLOSE, **HELD | {"risk": "high"})) == ChangeSet.Status.APPLIED
    assert status(ada, config.capability(CLOSE, **HELD | {"risk": "high", "reveals": []})) == ChangeSet.Status.APPLIED


def test_the_owner_of_an_agent_is_not_changed_by_one_person(ada: User, sam: User) -> None:
    assert status(ada, agent(owner="sam")) == ChangeSet.Status.PROPOSED


def test_an_agent_gains_no_role_by_one_person(ada: User) -> None:
    assert status(ada, agent(roles=["support-bot", "other-bot"])) == ChangeSet.Status.PROPOSED


def test_a_new_agent_is_handed_no_role_by_one_person(ada: User) -> None:
    assert status(ada, agent("second")) == ChangeSet.Status.PROPOSED


def test_a_new_agent_without_roles_fewer_roles_and_settings_apply_at_once(ada: User) -> None:
    assert status(ada, agent("second", roles=[])) == ChangeSet.Status.APPLIED
    assert status(ada, agent(settings={"tone": "calm"})) == ChangeSet.Status.APPLIED
    assert status(ada, agent(roles=[])) == ChangeSet.Status.APPLIED


LIMITED = {"limits": {"rate": {"count": 5, "per": "1h"}}}


def limited(**limits: Any) -> dict[str, Any]:
    return {**grant("allow", CLOSE), **limits}


@pytest.mark.parametrize(
    "between",
    [role("meter-bot", grant("allow")), role("meter-bot", grant("allow"), grant("deny", CLOSE)), None],
    ids=["cell taken away", "cell denied", "role removed"],
)
def test_a_limit_of_an_agents_role_is_not_shed_in_two_steps(ada: User, between: Any) -> None:
    key = Key("Role", "meter-bot")
    assert status(ada, role("meter-bot", grant("allow"), limited(**LIMITED))) == "applied"
    if between is None:
        actor = user_actor(ada.pk, auth="session")
        assert changes.propose([(key, None)], author=ada, actor=actor, reason="for now").status == "applied"
    else:
        assert status(ada, between) == "applied", "narrowing is free"

    preview = changes.preview([(key, role("meter-bot", grant("allow"), limited()))], ada)
    assert any("as it stood when it last might" in guard for guard in preview.guards)
    assert status(ada, role("meter-bot", grant("allow"), limited())) == "proposed"


def test_the_cell_comes_back_by_one_person_with_its_limit_or_a_lower_one(ada: User) -> None:
    assert status(ada, role("meter-bot", limited(**LIMITED))) == "applied"
    assert status(ada, role("meter-bot")) == "applied"
    assert status(ada, role("meter-bot", limited(limits={"rate": {"count": 4, "per": "1h"}}))) == "applied"


def test_versions_in_between_that_say_nothing_do_not_hide_the_limit(ada: User) -> None:
    for cells in ([limited(**LIMITED)], [], [grant("allow")], [grant("deny", CLOSE)], []):
        assert status(ada, role("meter-bot", *cells)) == "applied"

    assert status(ada, role("meter-bot", limited(limits={"rate": {"count": 50, "per": "1h"}}))) == "proposed"


@pytest.mark.parametrize("group", ["Repliers", "Gated closers", "Metered closers"])  # a deny, a gate, a limit
def test_nobody_leaves_a_group_whose_role_keeps_him_from_something(ada: User, olivia: User, group: str) -> None:
    for one in (ada, olivia):
        people.add_to_group(one.pk, group, actor=SYSTEM, reason="test")

    with pytest.raises(OwnRights):
        people.remove_from_group(ada.pk, group, actor=user_actor(ada.pk, auth="session"), reason="enough")

    assert ada.groups.filter(name=group).exists()
    assert Event.objects.filter(type="access.denied", actor_ref=str(ada.pk), line__contains="own_rights").exists()
    assert people.remove_from_group(olivia.pk, group, actor=user_actor(ada.pk, auth="session"), reason="moved")


def test_a_group_that_only_gives_may_be_left(ada: User) -> None:
    people.add_to_group(ada.pk, "Closers", actor=SYSTEM, reason="test")
    assert people.remove_from_group(ada.pk, "Closers", actor=user_actor(ada.pk, auth="session"), reason="enough")


PAY, PAYING = "ticket.pay", {"type": "object", "additionalProperties": False, "properties": {"amount": {"type": "integer"}}}


@pytest.fixture
def high(ada: User) -> None:
    """Paying is of high risk; pay-bot, which no agent has yet, may do it under a gate; a careful role denies."""
    gated = role("pay-bot", grant("allow", CLOSE), grant("gate", PAY, policy="reply-2", when="parameters.amount > 0"))
    config_document = config.capability(PAY, **HELD | {"risk": "high", "parameters": PAYING})
    changes_made = [config_document, gated, role("careful", grant("deny", CLOSE), grant("gate", policy="reply-2"))]
    approved(ada, *changes_made)


def approved(author: User, *documents: Any) -> ChangeSet:
    """Proposed, and approved by both others."""
    made = config.propose(author, *documents)
    if made.status == ChangeSet.Status.PROPOSED:
        for name in ("lee", "mia"):
            digest = ApprovalRequest.objects.get(pk=made.pk).digest
            person = User.objects.get(username=name)
            gates.decide(
                made.pk,
                person=person,
                auth="session",
                verdict="approve",
                reason="seen",
                seen_digest=digest,
                proved_at=clock.now(),
            )
    made.refresh_from_db()
    assert made.status == ChangeSet.Status.APPLIED
    return made


def pay_bot(*cells: Any) -> Any:
    return role("pay-bot", grant("allow", CLOSE), *cells)


@pytest.mark.parametrize(
    "wider",
    [
        pay_bot(grant("allow", PAY)),
        pay_bot(grant("gate", PAY, policy="reply-1", when="parameters.amount > 0")),
        pay_bot(grant("gate", PAY, policy="reply-2", when="parameters.amount > 100")),
        role("fresh-bot", grant("allow", PAY)),
        role("other-bot", grant("allow", CLOSE), grant("gate", PAY, policy="reply-2")),
    ],
    ids=["gate to allow", "weaker policy", "gate holds more rarely", "new role", "role of another agent"],
)
def test_a_cell_of_high_risk_is_not_widened_by_one_person_whoever_edits(high: None, ada: User, wider: Any) -> None:
    preview = changes.preview(config.keyed([wider]), ada)
    assert any("ticket.pay counts as high risk" in guard for guard in preview.guards)
    assert status(ada, wider) == ChangeSet.Status.PROPOSED


@pytest.mark.parametrize(
    "free",
    [
        pay_bot(grant("deny", PAY)),
        pay_bot(),
        role(
            "pay-bot", grant("allow", CLOSE), grant("allow"), grant("gate", PAY, policy="reply-2", when="parameters.amount > 0")
        ),
    ],
    ids=["deny", "nothing, which stops it", "a cell of lower risk beside it"],
)
def test_what_narrows_high_risk_or_widens_lower_applies_at_once(high: None, ada: User, free: Any) -> None:
    assert status(ada, free) == ChangeSet.Status.APPLIED


def test_a_tier_lowered_in_the_same_set_does_not_open_the_cell(high: None, ada: User) -> None:
    lower = config.capability(PAY, **HELD | {"risk": "low", "parameters": PAYING})
    preview = changes.preview(config.keyed([lower, pay_bot(grant("allow", PAY))]), ada)

    assert any("ticket.pay counts as high risk" in guard for guard in preview.guards)


def test_a_tier_is_not_shed_by_removing_the_capability_and_adding_it_again(high: None, ada: User) -> None:
    approved(ada, pay_bot())
    actor = user_actor(ada.pk, auth="session")
    gone = changes.propose([(Key("Capability", PAY), None)], author=ada, actor=actor, reason="unused")
    assert gone.status == ChangeSet.Status.APPLIED

    assert status(ada, config.capability(PAY, **HELD | {"risk": "low", "parameters": PAYING})) == ChangeSet.Status.PROPOSED
    assert status(ada, config.capability(PAY, **HELD | {"risk": "high", "parameters": PAYING})) == ChangeSet.Status.APPLIED


def test_a_twin_of_lower_risk_needs_two_others(high: None, ada: User) -> None:
    same = {"handler": "record.patch", "risk": "low", "safety": "keyed"}
    assert status(ada, config.capability("ticket.settle", **same, parameters=PAYING)) == ChangeSet.Status.PROPOSED
    assert status(ada, config.capability("ticket.settle", **same)) == ChangeSet.Status.APPLIED, "it takes no amount"
    assert status(ada, config.capability("ticket.settle", **same, parameters=PAYING)) == ChangeSet.Status.PROPOSED
    assert (
        status(ada, config.capability("ticket.tally", **same | {"risk": "high"}, parameters=PAYING)) == ChangeSet.Status.APPLIED
    )


def test_an_agent_sheds_no_guard_by_losing_the_role_it_comes_from(high: None, ada: User) -> None:
    approved(ada, agent(roles=["support-bot", "other-bot", "careful"]))
    preview = changes.preview(config.keyed([agent(roles=["support-bot", "other-bot"])]), ada)

    assert preview.guards == [
        "responder would shed the deny of careful on ticket.close.",
        "responder would shed the gate of careful on ticket.reply.",
    ]
    assert status(ada, agent(roles=["support-bot", "other-bot"])) == ChangeSet.Status.PROPOSED
    assert status(ada, agent(roles=["careful"])) == ChangeSet.Status.APPLIED, "what is left lets nothing more through"


def test_a_role_may_go_where_another_keeps_the_agent_as_strictly(high: None, ada: User) -> None:
    approved(ada, role("strict", grant("deny", CLOSE), grant("gate", policy="reply-2")))
    approved(ada, agent(roles=["support-bot", "other-bot", "careful", "strict"]))

    assert status(ada, agent(roles=["support-bot", "other-bot", "strict"])) == ChangeSet.Status.APPLIED


def test_no_role_that_goes_takes_its_limit_with_it(high: None, ada: User) -> None:
    approved(ada, role("meter-bot", limited(**LIMITED)))
    approved(ada, agent(roles=["other-bot", "meter-bot"]))

    assert status(ada, agent(roles=["other-bot"])) == ChangeSet.Status.PROPOSED


def test_a_guard_of_one_role_does_not_go_where_another_role_of_the_agent_lets_it_through(high: None, ada: User) -> None:
    approved(ada, role("payer", grant("allow", PAY)))
    approved(ada, agent(roles=["pay-bot", "payer"]))
    preview = changes.preview(config.keyed([pay_bot()]), ada)

    assert preview.guards == ["An agent with pay-bot and another role would shed the gate of pay-bot on ticket.pay."]
    assert status(ada, pay_bot()) == ChangeSet.Status.PROPOSED


def test_a_limit_does_not_go_where_another_role_of_the_agent_lets_it_through(high: None, ada: User) -> None:
    approved(ada, role("meter-bot", limited(**LIMITED)))
    approved(ada, agent(roles=["other-bot", "meter-bot"]))

    assert status(ada, role("meter-bot", limited())) == ChangeSet.Status.PROPOSED
    assert status(ada, role("meter-bot")) == ChangeSet.Status.PROPOSED
