"""A Workflow document through change control: the row, the owner's rights, what needs two people."""

from __future__ import annotations

import copy

import pytest
from guardian.models import GroupObjectPermission

from aegis.core.kinds import Key, Overlay, get_kind
from approvals import changes
from approvals.errors import ChangeInvalid
from approvals.models import ChangeSet
from audit.models import Event
from audit.scopes import missing_scopes, scope_filter
from orchestration.workflows.models import Workflow
from tests.workflows.documents import as_change, document, invoice_flow, steps_of

KEY = Key("Workflow", "invoice-flow")


def changed(bend):
    workflow = invoice_flow()
    bend(workflow)
    return workflow


def rights_of(group, workflow):
    rows = GroupObjectPermission.objects.filter(group__name=group, object_pk=str(workflow.pk))
    return set(rows.values_list("permission__codename", flat=True))


@pytest.mark.django_db
def test_applying_a_document_makes_the_row_and_gives_the_owners_their_rights(bootstrapped):
    assert bootstrapped.owner.name == "Finance"
    assert bootstrapped.title == "Invoice flow"
    assert rights_of("Finance", bootstrapped) == {"view_workflow", "start_workflow", "operate_workflow", "edit_workflow"}
    granted = Event.objects.filter(type="access.granted", actor_kind="system")
    assert granted.count() >= 4


@pytest.mark.django_db
def test_a_member_of_the_owning_group_may_publish_the_next_version(bootstrapped, as_actor):
    from aegis.identity.models import User

    fred = User.objects.get(username="fred")
    new = changed(lambda w: steps_of(w)["extract"].update(timeout="10s"))

    applied = changes.propose([(KEY, new)], author=fred, actor=as_actor(fred), reason="It answers within seconds")

    assert applied.status == ChangeSet.Status.APPLIED
    assert Workflow.objects.get(pk=bootstrapped.pk).version == 2
    assert Event.objects.filter(type="config.applied", scope="workflow", scope_id=str(bootstrapped.pk)).exists()


@pytest.mark.django_db
def test_giving_a_workflow_to_another_group_needs_two_people(bootstrapped, as_actor):
    from aegis.identity.models import User

    fred = User.objects.get(username="fred")
    new = changed(lambda w: w["metadata"].update(owner="Finance leads"))

    proposed = changes.propose([(KEY, new)], author=fred, actor=as_actor(fred), reason="Reorganisation")

    assert proposed.status == ChangeSet.Status.PROPOSED
    assert Workflow.objects.get(pk=bootstrapped.pk).owner.name == "Finance"


@pytest.mark.django_db
def test_the_former_owners_lose_their_rights_with_the_workflow(bootstrapped):
    from uuid import uuid4

    from aegis.core.actors import SYSTEM
    from aegis.identity.authority import raise_epoch

    old, new = invoice_flow(), changed(lambda w: w["metadata"].update(owner="Finance leads"))
    raise_epoch()

    get_kind("Workflow").apply(as_change(new, old=old), actor=SYSTEM, change_id=uuid4())

    assert rights_of("Finance", bootstrapped) == set()
    assert "operate_workflow" in rights_of("Finance leads", bootstrapped)


@pytest.mark.django_db
def test_an_owner_that_is_no_group_is_refused(bootstrapped):
    new = changed(lambda w: w["metadata"].update(owner="Nobody"))

    faults = get_kind("Workflow").lint(as_change(new, old=invoice_flow()), Overlay())

    assert [(fault.where, fault.what) for fault in faults] == [("/metadata/owner", "there is no group 'Nobody'")]


@pytest.mark.django_db
def test_a_faulty_workflow_is_not_applied_and_every_place_is_named(bootstrapped, as_actor):
    from aegis.identity.models import User

    fred = User.objects.get(username="fred")
    new = changed(lambda w: steps_of(w)["tell"]["set"].update(who="input.idd"))

    with pytest.raises(ChangeInvalid) as refused:
        changes.propose([(KEY, new)], author=fred, actor=as_actor(fred), reason="A slip")

    assert [fault.where for fault in refused.value.faults] == ["Workflow/invoice-flow/spec/steps/4/set/who 1:1"]
    assert Workflow.objects.get(pk=bootstrapped.pk).version == 1


@pytest.mark.django_db
def test_a_table_that_gains_a_case_must_come_with_the_workflow_that_takes_it(bootstrapped, ada, as_actor):
    table = copy.deepcopy(get_kind("RoutingTable").dump("risk"))
    table["spec"]["rules"].append({"id": "odd", "when": "amount > 5000", "then": {"case": "odd", "queue": "b"}})
    workflow = changed(lambda w: steps_of(w)["triage"]["cases"].update(odd={"queue": "desk"}))

    with pytest.raises(ChangeInvalid) as refused:
        changes.propose([(Key("RoutingTable", "risk"), table)], author=ada, actor=as_actor(ada), reason="Odd ones")
    applied = changes.propose(
        [(Key("RoutingTable", "risk"), table), (KEY, workflow)], author=ada, actor=as_actor(ada), reason="Odd ones"
    )

    assert "the table can answer 'odd', and no case takes it" in str(refused.value.faults[0])
    assert applied.status == ChangeSet.Status.APPLIED


@pytest.mark.django_db
def test_a_right_can_be_withdrawn_though_a_workflow_needs_it(bootstrapped, ada, as_actor):
    """The live matrix denies from then on; the workflow must not hold the withdrawal back."""
    role = document("Role", "clerk", {"grants": []})

    applied = changes.propose([(Key("Role", "clerk"), role)], author=ada, actor=as_actor(ada), reason="It misbehaves")

    assert applied.status == ChangeSet.Status.APPLIED


@pytest.mark.django_db
def test_the_scope_of_workflows_follows_the_right_to_view(bootstrapped, olivia):
    from aegis.identity.models import User

    fred = User.objects.get(username="fred")
    of_workflow = Event.objects.filter(scope="workflow", scope_id=str(bootstrapped.pk))

    assert "workflow" not in missing_scopes()
    assert of_workflow.filter(scope_filter(fred)).exists()
    assert not of_workflow.filter(scope_filter(olivia)).exists()
