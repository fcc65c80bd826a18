"""Every kind names each fault by its place, and tells a change in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.core.errors import Forbidden
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals import changes
from approvals.errors import ChangeInvalid
from approvals.models import ApprovalRequest
from orchestration.engine.models import ReviewQueue
from tests.support import configuration as config
from tests.support.configuration import capability, contract, document_key, faults, grant, lock, policy, queue, role, sentences

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def standing(person: Callable[..., User], olivia: User, sam: User, ada: User) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")
    config.bootstrap(role("Repliers", grant("allow"), people=True))


OBJECT = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        (contract("ticket"), "Contract/ticket/metadata/name", "named <message>@<version>"),
        (contract("ticket@0"), "Contract/ticket@0/metadata/name", "named <message>@<version>"),
        (contract("a@1", schema={"type": "objekt"}), "Contract/a@1/spec/schema/type", "objekt"),
        (contract("a@1", schema={"type": "array", "additionalProperties": True}), "Contract/a@1/spec/schema/type", "an object"),
        (contract("a@1", schema={"type": "object"}), "Contract/a@1/spec/schema/additionalProperties", "say whether"),
        (contract("ticket@1", schema=OBJECT), "Contract/ticket@1/spec", "never changes"),
        (
            contract("ticket@2", schema={**OBJECT, "required": ["n"]}, compatibility="backward"),
            "Contract/ticket@2/spec/compatibility", "at /id, ticket@2 asks: no such field; ticket@1 does not, so messages",
        ),
        (config.table(rules=[{"id": "a", "when": "nope", "then": {"case": "x", "queue": "q"}}]),
         "RoutingTable/desk-routing/spec/rules/0/when 1:1", "nope"),
        (config.table(tests=[{"name": "t", "given": {"intent": "card"}, "expect": {"case": "l2"}}]),
         "RoutingTable/desk-routing/spec/tests/0", "expects case = 'l2', got 'l1'"),
        (capability("Reply"), "Capability/Reply/metadata/name", "named <resource>.<action>"),
        (capability("invoice.pay"), "Capability/invoice.pay/spec/resource", "invoice"),
        (capability(handler="os.system"), "Capability/ticket.reply/spec/handler", "no handler"),
        (capability(compensation="ticket.nope"), "Capability/ticket.reply/spec/compensation", "no capability"),
        (capability(compensation="record.restore"), "Capability/ticket.reply/spec/compensation", "no capability"),
        (capability(compensation="ticket.reply"), "Capability/ticket.reply/spec/compensation", "cannot undo itself"),
        (capability(parameters={"type": "object"}), "Capability/ticket.reply/spec/parameters/additionalProperties", "whether"),
        (role("x", grant("allow", "ticket.burn")), "Role/x/spec/grants/0/capability", "no capability"),
        (role("x", grant("allow"), grant("deny")), "Role/x/spec/grants/1/capability", "one per capability"),
        (role("x", grant("gate")), "Role/x/spec/grants/0/policy", "a gate names"),
        (role("x", grant("gate", policy="none")), "Role/x/spec/grants/0/policy", "no approval policy"),
        (role("x", grant("allow", policy="reply-1")), "Role/x/spec/grants/0/policy", "only a gate"),
        (role("x", grant("allow", when="now() > 1")), "Role/x/spec/grants/0/when 1:4", "now"),
        (role("x", grant("allow", when="parameters.text")), None, ""),
        (lock("l", capability="ticket.burn"), "FloorLock/l/spec/capability", "no capability"),
        (lock("l", policy="none"), "FloorLock/l/spec/policy", "no approval policy"),
        (lock("l", review_date="soon"), "FloorLock/l/spec/review_date", "date"),
        (lock("l", ends="other"), "FloorLock/l/spec/ends", "no other floor lock"),
        (config.agent(owner="nobody"), "Agent/responder/spec/owner", "no active person"),
        (config.agent(roles=["none"]), "Agent/responder/spec/roles/0", "no role"),
        (config.agent(roles=["Repliers"]), "Agent/responder/spec/roles/0", "role of people"),
        (config.agent(connector={"python": "os.system"}), "Agent/responder/spec/connector/python", "registered"),
        (config.agent(settings={"a": "x" * 40_000}), "Agent/responder/spec/settings", "larger than"),
        (queue("desk", "Nobody"), "ReviewQueue/desk/spec/groups/0", "no group"),
        (queue("desk", owner="Nobody"), "ReviewQueue/desk/spec/owner", "no group"),
        (queue("desk", service_time="0s"), "ReviewQueue/desk/spec/service_time", "more than nothing"),
    ],
)  # fmt: skip
def test_lint_names_the_place(document: Any, where: str | None, what: str):
    found = faults(document)

    if where is None:
        assert found == {}
    else:
        assert where in found, found
        assert what in found[where]


def test_two_locks_that_no_policy_meets_are_refused_together():
    legal = policy("legal", ("Admins", 1))

    found = faults(legal, lock("a", policy="reply-1"), lock("b", policy="legal"))

    assert all("no policy is as strict" in what for what in found.values())
    assert set(found) == {"FloorLock/a/spec/policy", "FloorLock/b/spec/policy"}


def test_what_others_refer_to_cannot_go():
    removed = changes.preview([(document_key(capability()), None), (document_key(role("support-bot")), None)], None)

    assert {fault.where for fault in removed.faults} >= {
        "Agent/responder/spec/roles/0",
        "Role/Repliers/spec/grants/0/capability",
    }


def test_a_change_of_a_role_reads_as_sentences():
    assert sentences(role("support-bot", grant("gate", policy="reply-1", when="record.vip"))) == [
        "support-bot may ticket.reply with an approval under reply-1 if record.vip; "
        "until now it may ticket.reply without asking."
    ]
    assert sentences(role("support-bot")) == [
        "support-bot no longer has a say on ticket.reply; it may ticket.reply without asking until now."
    ]


def test_a_lock_reads_as_a_sentence():
    assert sentences(lock("gdpr-22")) == [
        "ticket.reply will always need an approval at least as strict as reply-2, because of the law: Art. 22 GDPR"
    ]


def test_a_contract_reads_as_its_fields():
    assert sentences(contract("reply@1")) == ["Publishes contract reply@1 with id."]


def test_a_queue_gives_its_groups_the_right_to_work_on_it(olivia: User, sam: User, ada: User):
    desk = ReviewQueue.objects.get(name="desk")
    assert desk.service_time == timedelta(hours=4)
    assert [group.name for group in desk.groups.all()] == ["Support operators"]
    assert ReviewQueue.objects.visible_to(olivia, "operate").get() == desk
    assert not ReviewQueue.objects.visible_to(sam).exists()

    config.propose(ada, queue("desk", "Support leads", service_time="1h30m"))

    assert ReviewQueue.objects.visible_to(sam, "operate").get().service_time == timedelta(minutes=90)
    assert not ReviewQueue.objects.visible_to(olivia).exists()


def test_nobody_lets_himself_into_a_queue(ada: User):
    people.create_group("Night shift", actor=SYSTEM, reason="test")
    people.add_to_group(ada.pk, "Night shift", actor=SYSTEM, reason="test")

    with pytest.raises(Forbidden, match="Night shift"):
        config.propose(ada, queue("desk", "Night shift"))

    assert [group.name for group in ReviewQueue.objects.get().groups.all()] == ["Support operators"]


def test_letting_oneself_into_a_guarded_queue_is_refused_before_anybody_is_asked(ada: User):
    people.create_group("Night shift", actor=SYSTEM, reason="test")
    people.add_to_group(ada.pk, "Night shift", actor=SYSTEM, reason="test")
    marked = queue("desk")
    marked["metadata"]["dual_control"] = True
    config.propose(ada, marked)

    with pytest.raises(Forbidden, match="Night shift"):
        config.propose(ada, queue("desk", "Night shift"))

    assert not ApprovalRequest.objects.exists()


def test_who_may_edit_queues_but_not_access_changes_no_groups_of_a_queue(sam: User):
    grants.grant(Group.objects.get(name="Support leads"), area("queues"), "edit", actor=SYSTEM, reason="test")

    with pytest.raises(Forbidden, match="needs “edit” on the area “access”"):
        config.propose(sam, queue("desk", "Support operators", "Admins"))

    config.propose(sam, queue("desk", service_time="2h"))


def test_a_role_of_people_brings_its_group(ada: User):
    config.propose(ada, role("Closers", grant("deny"), people=True))

    assert Group.objects.filter(name="Closers").exists()


def test_a_set_with_a_fault_changes_nothing(ada: User):
    with pytest.raises(ChangeInvalid):
        config.propose(ada, contract("other@1"), role("x", grant("allow", "ticket.burn")))

    assert "other@1" not in changes.previews.get_kind("Contract").names()
