"""An approver writes the parameters otherwise: checked again, votes void, somebody else decides, and the edited one is done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.errors import Forbidden, Invalid, NotFound, Stale
from aegis.identity.models import User
from approvals import delegations, editing, gates, questions
from approvals.errors import EditNotTaken, NobodyEligible, NotEligible, RequestSettled
from approvals.models import ApprovalRequest, Decision
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine import recompute
from orchestration.engine.models import Run
from orchestration.records import store
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

PARAMETERS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string", "maxLength": 20}, "amount": {"type": "integer"}},
}


def documents(*, people: list[dict] | None = None, agent: dict | None = None, steps: object = None) -> list[dict]:
    """The clerk's note is gated by the leads, two of whom must agree; leads may write notes themselves, gated too."""
    docs = house.documents(effect="gate", steps=steps)
    grant = {"capability": "note.write", "effect": "gate", "policy": "leads"}
    for one in docs:
        match one["kind"], one["metadata"]["name"]:
            case "Capability", _:
                one["spec"]["parameters"] = PARAMETERS
            case "Role", "Support leads":
                one["spec"]["grants"] = [grant] if people is None else people
            case "Role", "clerk" if agent:
                one["spec"]["grants"] = [grant | agent]
            case "ApprovalPolicy", _:
                one["spec"]["stages"][0]["quorum"] = 2
    return docs


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Done({"note": {**house.NOTE, "parameters": {"text": "hello"}}, "why": "asked"}, confidence=0.9)
    monkeypatch.setattr(house, "answers", {"write": answer})


@pytest.fixture
def starter(person: Callable[..., User], ada: User, sam: User) -> User:
    return person("zoe", "Support leads")


@pytest.fixture
def others(person: Callable[..., User]) -> list[User]:
    return [person("mia", "Support leads"), person("tom", "Support leads")]


def begin(starter: User, docs: list[dict] | None = None) -> tuple[Run, ApprovalRequest]:
    house.bootstrap(docs or documents())
    run = house.submit(starter)
    house.drive(run)
    return run, house.request_of(run)


def edit(person: User, request: ApprovalRequest, parameters: object, *, reason: str = "friendlier", digest: str = ""):
    actor = user_actor(person.pk, auth="test")
    seen = digest or ApprovalRequest.objects.get(pk=request.pk).digest
    return editing.edit(request.pk, actor=actor, parameters=parameters, reason=reason, seen_digest=seen)


def approve(person: User, request: ApprovalRequest, *, digest: str = "", verdict: str = "approve") -> ApprovalRequest:
    seen = digest or ApprovalRequest.objects.get(pk=request.pk).digest
    return gates.decide(
        request.pk, person=person, auth="test", verdict=verdict, reason="fine", seen_digest=seen, proved_at=clock.now()
    )


def last_code(request: ApprovalRequest) -> str:
    return str(canonical.parse(journal.read(request.stream)[-1].line)["data"]["code"])


def test_what_was_edited_is_what_others_approve_and_what_is_done(starter, sam, others) -> None:
    run, request = begin(starter)
    approve(others[0], request)
    before = request.digest

    edited = edit(sam, request, {"text": "good morning"})

    assert (edited.status, edited.stage, edited.deadline) == ("open", 0, request.deadline)
    assert edited.digest not in ("", before)
    assert edited.digest == questions.get("effect").live(edited.subject).digest
    assert list(Decision.objects.filter(request=request).values_list("is_void", flat=True)) == [True]
    assert [event.type for event in journal.read(request.stream)][-2:] == ["request.edited", "decision.voided"]
    assert "good morning" not in "".join(event.line for event in journal.read(request.stream))
    with pytest.raises(NotEligible) as refusal:
        approve(sam, request)
    assert refusal.value.refusal == "bound"

    approve(others[0], request)  # who had voted votes anew
    assert approve(others[1], request).status == "approved"
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert store.read("note", "N-1") == (1, {"text": "good morning"})
    assert house.types_of(run).count("gate.opened") == 1  # nobody is asked twice
    assert "step.edited" in house.types_of(run)
    verdict = Event.objects.filter(stream=run.stream, type="verdict.given").order_by("seq").last()
    author = canonical.parse(journal.payload(run.stream, verdict.seq, "author") or b"null")
    assert author["id"] == str(sam.pk)  # the matrix was asked for the editor, too
    assert journal.verify().problems == []
    assert recompute.recompute().is_good


def test_an_edit_that_is_rejected_leaves_the_run_as_it_was(starter, sam, others) -> None:
    run, request = begin(starter)
    edit(sam, request, {"text": "good morning"})
    approve(others[0], request, verdict="reject")
    house.drive(run)

    assert "step.edited" not in house.types_of(run)
    assert store.read("note", "N-1") is None


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"text": "x" * 21}, "/parameters/text"),
        ({}, "/parameters"),
        ({"text": "a", "more": 1}, "/parameters"),
        ({"text": "a", "amount": "12"}, "/parameters/amount"),
        (["text"], "/parameters"),
        ({"text": "hello"}, "/parameters"),  # nothing changed
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_place(parameters, where, starter, sam, others) -> None:
    _, request = begin(starter)
    with pytest.raises(Invalid) as refusal:
        edit(sam, request, parameters)
    assert refusal.value.faults[0].where.startswith(where)
    assert [event.type for event in journal.read(request.stream)] == ["request.opened"]


def test_an_editor_without_the_capability_is_refused_on_record(starter, sam, others) -> None:
    _, request = begin(starter, documents(people=[]))
    with pytest.raises(Forbidden) as refusal:
        edit(sam, request, {"text": "good morning"})
    assert refusal.value.right == "note.write"
    assert last_code(request) == "forbidden"
    assert refusal.value.is_on_record, "the edge it ends at adds nothing"
    assert ApprovalRequest.objects.get(pk=request.pk).digest == request.digest


def test_an_edit_gives_the_agent_no_more_than_it_may(starter, sam, others) -> None:
    limited = {"when": "!has(parameters.amount) || parameters.amount < 100"}
    _, request = begin(starter, documents(agent={"effect": "gate", **limited}))
    with pytest.raises(Forbidden, match="access matrix"):
        edit(sam, request, {"text": "a", "amount": 100})
    assert last_code(request) == "forbidden"
    assert edit(sam, request, {"text": "a", "amount": 99}).revision > 1


@pytest.mark.parametrize("who", ["starter", "owner", "stranger"])
def test_who_is_bound_or_could_not_decide_cannot_edit(who, starter, ada, sam, others, person) -> None:
    _, request = begin(starter)
    editor = {"starter": starter, "owner": ada, "stranger": person("eve", "Clerks")}[who]
    with pytest.raises((NotEligible, NotFound)):
        edit(editor, request, {"text": "mine"})
    if who == "stranger":  # who lacks the right changes nothing of the request; the attempt is on record all the same
        assert journal.read(request.stream)[-1].type == "request.opened"
        assert Event.objects.filter(type="access.denied", actor_ref=str(editor.pk)).exists()
    else:
        assert journal.read(request.stream)[-1].type == "edit.refused"


def test_an_edit_that_leaves_too_few_people_is_refused(starter, sam, person) -> None:
    person("mia", "Support leads")  # with sam two could approve; without the editor only one
    _, request = begin(starter)
    with pytest.raises(NobodyEligible):
        edit(sam, request, {"text": "good morning"})
    assert last_code(request) == "nobody_eligible"


def test_who_acts_for_the_editor_is_not_left_either(starter, sam, others) -> None:
    _, request = begin(starter)
    now = clock.now()
    dates = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(days=3)}
    delegations.delegate(to=others[0].pk, actor=user_actor(sam.pk, auth="test"), reason="on leave", **dates)
    with pytest.raises(NobodyEligible):
        edit(sam, request, {"text": "good morning"})
    assert last_code(request) == "nobody_eligible"


def test_votes_and_edits_of_what_stood_before_are_stale(starter, sam, others) -> None:
    _, request = begin(starter)
    edit(sam, request, {"text": "good morning"})
    for late in (
        lambda: approve(others[0], request, digest=request.digest),
        lambda: edit(others[0], request, {"text": "hi"}, digest=request.digest),
    ):
        with pytest.raises(Stale):
            late()
    assert Decision.objects.filter(request=request, is_void=False).count() == 0


def test_two_editors_one_after_the_other_are_both_bound(starter, sam, others, person) -> None:
    more = [person("ann", "Support leads"), person("bob", "Support leads")]
    run, request = begin(starter)
    edit(sam, request, {"text": "good morning"})
    edit(others[0], request, {"text": "good evening"})
    for editor in (sam, others[0]):
        with pytest.raises(NotEligible):
            approve(editor, request)
    approve(more[0], request)
    approve(more[1], request)
    house.drive(run)
    assert store.read("note", "N-1") == (1, {"text": "good evening"})


def test_what_is_settled_is_not_edited(starter, sam, others) -> None:
    run, request = begin(starter)
    for other in others:
        approve(other, request)
    house.drive(run)
    with pytest.raises(RequestSettled):
        edit(sam, request, {"text": "good morning"})
    assert store.read("note", "N-1") == (1, {"text": "hello"})


def test_a_gate_step_that_judges_a_proposal_is_edited_too(starter, sam, others) -> None:
    steps = [
        {"id": "write", "agent": "clerk", "output": "anything@1"},
        {"id": "look", "gate": "leads", "proposal": "steps.write.output.note"},
        {"id": "keep", "act": "steps.write.output.note"},
    ]
    run, request = begin(starter, documents(steps=steps))
    assert request.question == "step"
    edit(sam, request, {"text": "good morning"})
    for other in others:
        approve(other, request)
    house.drive(run)
    second = house.request_of(run)  # the effect itself is gated, too
    with pytest.raises(NotEligible):  # and the editor stays bound
        approve(sam, second)
    for other in others:
        approve(other, second)
    house.drive(run)
    assert store.read("note", "N-1") == (1, {"text": "good morning"})


def test_every_editor_of_a_proposal_stays_bound_in_the_requests_that_follow(starter, sam, others, person) -> None:
    more = [person("ann", "Support leads"), person("bob", "Support leads")]
    steps = [
        {"id": "write", "agent": "clerk", "output": "anything@1"},
        {"id": "look", "gate": "leads", "proposal": "steps.write.output.note"},
        {"id": "keep", "act": "steps.write.output.note"},
    ]
    run, request = begin(starter, documents(steps=steps))
    edit(sam, request, {"text": "good morning"})
    edit(others[0], request, {"text": "good evening"})
    for other in more:
        approve(other, request)
    house.drive(run)
    second = house.request_of(run)

    for editor in (sam, others[0]):
        with pytest.raises(NotEligible) as refusal:
            approve(editor, second)
        assert refusal.value.refusal == "bound"
    assert {str(sam.pk), str(others[0].pk)} <= {str(pk) for pk in second.bound.values_list("pk", flat=True)}
    assert approve(more[0], second).status == "open"


def test_a_judgement_of_something_that_is_no_proposal_is_not_edited(starter, sam, others) -> None:
    steps = [
        {"id": "write", "agent": "clerk", "output": "anything@1"},
        {"id": "look", "gate": "leads", "proposal": "steps.write.output.why"},
    ]
    _, request = begin(starter, documents(steps=steps))
    with pytest.raises(EditNotTaken):
        edit(sam, request, {"text": "good morning"})


def test_the_same_refused_edit_again_is_counted_not_written(starter, sam, others) -> None:
    _, request = begin(starter)
    for _ in range(3):
        with pytest.raises(NotEligible) as refusal:
            edit(starter, request, {"text": "mine"})
        assert refusal.value.is_on_record
        with pytest.raises(Stale):
            edit(sam, request, {"text": "mine"}, digest="0" * 64)
    assert [event.type for event in journal.read(request.stream)] == ["request.opened", "edit.refused", "edit.refused"]
    assert Event.objects.filter(type="access.denied").count() == 2
