"""Retiring a version of a workflow: no new run starts on it, runs under way keep it to their end."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.core.errors import Conflict, Forbidden
from aegis.core.kinds import document_key, get_kind
from aegis.identity import grants
from approvals import changes, gates, questions
from approvals.errors import ChangeInvalid
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from orchestration.engine import verbs
from orchestration.engine.guards import verbs as guards
from orchestration.engine.retired_kind import document_of
from orchestration.engine.retiring import versions_of
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow
from tests.engine import house
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sam(ada, person):
    made = person("sam", "Support leads")
    house.bootstrap(house.documents(steps=[{"id": "gate", "gate": "leads"}]))
    return made


def retire(person, version=1):
    return verbs.retire_version("notes", version, person=person, actor=user_actor(person.pk, auth="test"), reason="replaced")


def stop(person):
    return guards.halt("workflow", "notes", actor=user_actor(person.pk, auth="session"), reason="it is wrong")


def test_the_version_that_stands_is_not_retired_under_its_callers(sam):
    with pytest.raises(ChangeInvalid) as refused:
        retire(sam)

    [fault] = refused.value.faults
    assert (fault.where, fault.what) == ("RetiredVersion/notes@1/spec/version", "it is the current one: new runs start on it")

    assert house.submit(sam).status == "running"


def test_a_halted_workflow_may_lose_its_version_and_runs_under_way_keep_it(sam):
    run = house.submit(sam)
    stop(sam)
    retire(sam)

    with pytest.raises(releases.VersionRetired):
        house.submit(sam)
    house.drive(run)
    assert run.release.version == 1
    assert [(v.number, v.is_current, v.is_retired, v.under_way) for v in versions_of(Workflow.objects.get(name="notes"))] == [
        (1, True, True, 1)
    ]
    event = Event.objects.get(stream="config:RetiredVersion", type="config.applied")
    assert (event.actor_ref, event.scope, event.scope_id) == (str(sam.pk), "workflow", str(run.workflow_id))
    assert journal.payload(event.stream, event.seq, "reason") == b'"replaced"'
    assert "no new run starts on it" in journal.payload(event.stream, event.seq, "diff").decode()


def test_what_was_submitted_before_is_answered_as_it_was(sam):
    run = house.submit(sam, key="k-1")
    stop(sam)
    retire(sam)

    assert house.submit(sam, key="k-1").pk == run.pk


def test_a_replaced_version_is_retired_without_a_halt(sam):
    Workflow.objects.filter(name="notes").update(version=2)
    retire(sam)

    assert house.submit(sam).release.version == 2


def test_it_is_retired_once_and_only_if_there_is_one(sam):
    Workflow.objects.filter(name="notes").update(version=2)
    retire(sam)

    with pytest.raises(Conflict):
        retire(sam)
    for version in (0, 3):
        with pytest.raises(ChangeInvalid):
            retire(sam, version)


def test_it_takes_the_right_to_edit(sam, person):
    olivia = person("olivia", "Watchers")
    from django.contrib.auth.models import Group

    from aegis.core.actors import SYSTEM

    grants.grant(Group.objects.get(name="Watchers"), Workflow.objects.get(name="notes"), "view", actor=SYSTEM, reason="t")
    with pytest.raises(Forbidden):
        retire(olivia)


def test_the_page_says_which_versions_there_are_and_retires_one(sam, browser_of):
    client = browser_of(sam)
    Workflow.objects.filter(name="notes").update(version=2)
    page = client.get("/portal/open/Workflow/?name=notes", follow=True)
    if page.status_code == 404:
        page = client.get("/open/Workflow/?name=notes", follow=True)

    assert b"Retire version 1" in page.content
    done = client.post("/workflows/notes/retire/", {"version": "1", "reason": "replaced"}, follow=True)
    assert done.status_code == 200
    assert Workflow.objects.get(name="notes").retired_versions == [1]


# --- through change control ---


def propose(person, *documents, removed=()):
    actor = user_actor(person.pk, auth="test")
    pairs = [*((document_key(one), one) for one in documents), *((key, None) for key in removed)]
    return changes.propose(pairs, author=person, actor=actor, reason="replaced")


def renamed(title="Notes again"):
    document = get_kind("Workflow").dump("notes")
    return {**document, "metadata": {**document["metadata"], "title": title}}


def test_one_change_replaces_a_version_and_retires_it(sam):
    propose(sam, renamed(), document_of("notes", 1))

    row = Workflow.objects.get(name="notes")
    assert (row.version, row.retired_versions) == (2, [1])
    assert house.submit(sam).release.version == 2


def test_a_version_is_not_taken_back_and_says_how_to_get_its_text_again(sam):
    propose(sam, renamed(), document_of("notes", 1))

    with pytest.raises(ChangeInvalid) as refused:
        propose(sam, removed=[document_key(document_of("notes", 1))])

    [fault] = refused.value.faults
    assert (fault.what, fault.remedy) == ("a version is retired for good", "apply its text again: it becomes a new version")


def test_what_the_document_says_is_held_against_its_name_and_the_workflows_there_are(sam):
    other = document_of("notes", 1)
    other["metadata"]["name"] = "notes@2"
    for document in (other, {**document_of("notes", 1), "spec": {"workflow": "notes"}}):
        with pytest.raises(ChangeInvalid):
            propose(sam, document)
    with pytest.raises(Forbidden):  # there is no workflow of that name whose rights could be his
        propose(sam, document_of("memos", 1))

    assert Workflow.objects.get(name="notes").retired_versions == []


def test_under_dual_control_two_others_decide_and_until_then_runs_start(ada, person):
    max_, mia, sam = (person(name, "Support leads") for name in ("max", "mia", "sam"))
    docs = house.documents(steps=[{"id": "gate", "gate": "leads"}])
    docs[-1]["metadata"]["dual_control"] = True
    two = {"stages": [{"groups": ["Support leads"], "quorum": 2}], "deadline": "1h", "reason": "always"}
    house.bootstrap([*docs, house.document("ApprovalPolicy", "config-change", two)])
    stop(sam)

    change_set = retire(sam)

    assert change_set.status == "proposed"
    request = ApprovalRequest.objects.get(pk=change_set.pk)
    assert house.submit(sam).release.version == 1
    for decider in (max_, mia):
        digest = questions.get(request.question).live(request.subject).digest
        gates.decide(
            request.pk, person=decider, auth="test", verdict="approve", reason="yes", seen_digest=digest, proved_at=clock.now()
        )
    assert Workflow.objects.get(name="notes").retired_versions == [1]
    with pytest.raises(releases.VersionRetired):
        house.submit(sam)


def test_an_export_leaves_out_what_means_nothing_elsewhere(sam, capsys):
    propose(sam, renamed(), document_of("notes", 1))

    call_command("aegis", "export")
    whole = capsys.readouterr().out
    call_command("aegis", "export", "RetiredVersion")

    assert "RetiredVersion" not in whole
    assert "name: notes@1" in capsys.readouterr().out


def test_the_api_retires_a_version_and_says_what_became_of_it(sam):
    api = client_of(sam)
    stop(sam)

    done = api.post("/api/v1/workflows/notes/retire", {"version": 1, "reason": "replaced"}, format="json")

    assert (done.status_code, done.json()["status"]) == (200, "applied")
    again = api.post("/api/v1/workflows/notes/retire", {"version": 1, "reason": "replaced"}, format="json")
    assert again.status_code == 409
    for body in ({"version": "1", "reason": "x"}, {"version": 1}, [], {"version": 7, "reason": "x"}):
        assert api.post("/api/v1/workflows/notes/retire", body, format="json").status_code == 422
    refused = api.post("/api/v1/runs", {"workflow": "notes", "input": {"id": "n-1"}}, format="json")
    assert refused.json()["code"] == "version_retired"


# --- for another workflow ---


def test_a_run_under_way_starts_no_run_of_a_retired_version_and_says_so(ada, person):
    sam = person("sam", "Support leads")
    docs = house.documents(steps=[{"id": "gate", "gate": "leads"}, {"id": "hand", "run": "memos"}])
    memo = {**docs[-1]["spec"], "steps": [{"id": "say", "set": {"x": "1"}}]}
    house.bootstrap([*docs[:-1], house.document("Workflow", "memos", memo, owner="Support leads"), docs[-1]])
    lea = person("lea", "Support leads")
    run = house.submit(sam)
    house.drive(run)
    memos = get_kind("Workflow").dump("memos")
    propose(sam, {**memos, "metadata": {**memos["metadata"], "title": "Memos"}}, document_of("memos", 1))

    request = house.request_of(run)
    gates.decide(
        request.pk, person=lea, auth="test", verdict="approve", reason="yes", seen_digest=request.digest, proved_at=clock.now()
    )
    house.drive(run)

    assert house.types_of(run)[-2:] == ["child.refused", "review.opened"]
    assert run.review_items.get().code == "version_retired"
    assert journal.verify().problems == []
    after = house.submit(sam)
    assert releases.load(after.release_id).workflows["memos"].version == 2
