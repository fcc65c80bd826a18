"""The matrix follows its rows, by change control alone, and every version stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from approvals.errors import ChangeInvalid
from approvals.models import ChangeSet
from audit import journal
from orchestration.agents import registry
from orchestration.agents.models import Agent
from orchestration.authority import live
from orchestration.authority.models import FloorLock, MatrixVersion, Role
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide
from tests.support import configuration as config

pytestmark = pytest.mark.django_db

FACTS: dict[str, Any] = {"parameters": {"text": "hi"}, "record": {}, "requester": {}}


def ask(principal: Principal | None = None, capability: str = "ticket.reply") -> Verdict:
    agent = Agent.objects.filter(name="responder").first()
    asked = principal or Principal("agent", str(agent.pk) if agent else "")
    return decide(live.current().matrix, asked, capability, Resource("ticket", "T-1"), FACTS)


@pytest.fixture
def staff(person: Callable[..., User], olivia: User, sam: User, ada: User) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")


def test_before_the_first_configuration_everything_is_denied():
    assert ask(Principal("user", "u1", ("Admins",))).code == "unknown_capability"


def test_bootstrap_makes_the_first_version_and_records_it(staff: None):
    before = current_epoch()

    config.bootstrap()

    assert MatrixVersion.objects.get().number == 1
    assert current_epoch() > before
    assert ask().answer == "allow"
    assert ask().matrix == 1
    assert [event.type for event in journal.read(live.STREAM)] == ["matrix.compiled"]


def test_a_change_of_a_role_makes_the_next_version_and_turns_the_answer(staff: None, ada: User):
    config.bootstrap()
    assert ask().answer == "allow"

    config.propose(ada, config.role("support-bot", config.grant("gate", policy="reply-1")))

    assert (ask().answer, ask().policy, ask().matrix) == ("gate", "reply-1", 2)
    assert live.version(1).roles["support-bot"].grants["ticket.reply"].effect == "allow"


def test_a_change_that_touches_no_right_makes_no_version(staff: None, ada: User):
    config.bootstrap()

    config.propose(ada, config.contract("ticket@2"))

    assert MatrixVersion.objects.count() == 1


def test_a_role_of_people_is_the_group_of_its_name(staff: None, ada: User, person: Any):
    config.bootstrap(config.role("Repliers", config.grant("allow"), people=True))
    zoe = person("zoe", "Repliers")

    assert ask(live.person_principal(zoe.pk)).answer == "allow"

    people.remove_from_group(zoe.pk, "Repliers", actor=SYSTEM, reason="moved on")
    assert ask(live.person_principal(zoe.pk)).answer == "deny"


def test_a_disabled_person_has_no_roles(staff: None, person: Any):
    config.bootstrap(config.role("Repliers", config.grant("allow"), people=True))
    zoe = person("zoe", "Repliers")
    assert live.requester_fact(zoe.pk)["roles"] == ["Repliers"]

    people.disable_person(zoe.pk, actor=SYSTEM, reason="left")

    assert live.requester_fact(zoe.pk)["roles"] == []
    assert live.requester_fact(None) == {}


def test_a_loaded_matrix_costs_one_query(staff: None, django_assert_num_queries: Any):
    config.bootstrap()
    live.current()

    with django_assert_num_queries(1):
        live.current()


def test_a_rolled_back_change_leaves_no_matrix_behind(staff: None):
    config.bootstrap()
    assert ask().answer == "allow"

    with transaction.atomic():
        Role.objects.filter(name="support-bot").delete()
        live.compile_and_store(actor=SYSTEM)
        assert ask().answer == "deny"
        transaction.set_rollback(True)

    assert ask().answer == "allow"
    assert MatrixVersion.objects.count() == 1


# --- locks ----------------------------------------------------------------------------------------------------------------


def test_a_lock_raises_the_live_answer(staff: None):
    config.bootstrap(config.lock("gdpr-22"))

    assert (ask().answer, ask().policy, ask().locks) == ("gate", "reply-2", ("gdpr-22",))


@pytest.mark.parametrize(
    "tamper",
    [
        lambda rows: rows.update(floor=""),
        lambda rows: rows.delete(),
        lambda rows: rows.get().save(force_insert=True),
    ],
    ids=["update", "delete", "replace"],
)
def test_the_table_of_locks_refuses_everything_but_new_rows(staff: None, tamper: Any):
    config.bootstrap(config.lock("gdpr-22"))

    with pytest.raises(DatabaseError), transaction.atomic():
        tamper(FloorLock.objects.filter(name="gdpr-22"))

    assert ask().answer == "gate"


def test_matrix_versions_are_never_rewritten(staff: None):
    config.bootstrap()

    with pytest.raises(DatabaseError), transaction.atomic():
        MatrixVersion.objects.update(document="{}")


def test_whatever_touches_a_lock_or_a_locked_cell_waits_for_two_people(staff: None, ada: User):
    config.bootstrap(config.lock("gdpr-22"))

    for document in (
        config.role("support-bot", config.grant("allow", when="true")),
        config.capability(risk="low"),
        config.lock("another"),
        config.document("FloorLock", "no-more", {"ends": "gdpr-22", "basis": "repealed", "owner": "Support leads"}),
    ):
        assert config.propose(ada, document).status == ChangeSet.Status.PROPOSED

    assert ask().answer == "gate"
    assert MatrixVersion.objects.count() == 1


def test_a_lock_is_never_changed_nor_removed(staff: None, ada: User):
    config.bootstrap(config.lock("gdpr-22"))

    assert config.faults(config.lock("gdpr-22", basis="something else")) == {"FloorLock/gdpr-22": "a floor lock never changes"}
    key = config.document_key(config.lock("gdpr-22"))
    assert [fault.what for fault in config.changes.preview([(key, None)], None).faults] == ["a floor lock is never removed"]


def test_a_lock_ends_by_another_one(staff: None):
    config.bootstrap(
        config.lock("gdpr-22"),
        config.document("FloorLock", "gdpr-22-repealed", {"ends": "gdpr-22", "basis": "repealed", "owner": "Support leads"}),
    )

    assert ask().answer == "allow"


def test_the_policy_of_a_lock_cannot_be_weakened(staff: None, ada: User):
    config.bootstrap(config.lock("gdpr-22"))

    with pytest.raises(ChangeInvalid, match="speaks against") as caught:
        config.propose(ada, config.policy("reply-2", ("Support leads", 1)))

    assert [str(fault) for fault in caught.value.faults] == [
        "FloorLock/gdpr-22/spec/policy: reply-2 would ask less than on the day this lock was set"
    ]


def test_a_weakened_policy_smuggled_in_by_sql_denies(staff: None):
    from aegis.core import canonical
    from approvals.models import ApprovalPolicy

    config.bootstrap(config.lock("gdpr-22"))
    weak = canonical.dump(config.policy("reply-2", ("Support leads", 1))).decode()
    ApprovalPolicy.objects.filter(name="reply-2").update(document=weak)
    with transaction.atomic():
        live.compile_and_store(actor=SYSTEM)

    assert (ask().answer, ask().code) == ("deny", "floor_unmet")


# --- agents ---------------------------------------------------------------------------------------------------------------


def test_stopping_an_agent_denies_at_once_and_is_recorded_with_its_reason(staff: None, ada: User, as_actor: Any):
    config.bootstrap()
    agent = Agent.objects.get(name="responder")
    before = current_epoch()

    assert registry.set_enabled(agent.pk, False, actor=as_actor(ada), reason="writes nonsense")

    assert current_epoch() > before  # a verdict computed before it cannot be committed any more
    assert ask().code == "agent_disabled"
    last = journal.read(registry.STREAM)[-1]
    assert (last.type, last.actor_ref, last.scope, last.scope_id) == ("agent.disabled", str(ada.pk), "agent", str(agent.pk))
    assert journal.payload(last.stream, last.seq, "reason") == b'"writes nonsense"'
    assert not registry.set_enabled(agent.pk, False, actor=as_actor(ada), reason="again")
    assert registry.set_enabled(agent.pk, True, actor=as_actor(ada), reason="mended")
    assert ask().answer == "allow"


def test_applying_a_manifest_does_not_wake_a_stopped_agent(staff: None, ada: User):
    config.bootstrap()
    registry.set_enabled(Agent.objects.get().pk, False, actor=SYSTEM, reason="stop")

    config.propose(ada, config.agent(settings={"tone": "calm"}, enabled=True))

    assert ask().code == "agent_disabled"


def test_a_new_agent_may_start_disabled(staff: None):
    config.bootstrap(config.agent(enabled=False))

    assert ask().code == "agent_disabled"


def test_verify_finds_rows_changed_behind_change_control(staff: None):
    config.bootstrap()
    assert live.problems(None) == []

    Agent.objects.update(is_enabled=False)

    assert [problem.check for problem in live.problems(None)] == ["matrix"]
    assert live.problems("run:x") == []
