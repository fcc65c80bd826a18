"""Changes requested: the agent does it again with the words of the person, as often as the workflow lets it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import canonical, clock
from approvals import gates, questions
from approvals.errors import ChangesNotTaken
from approvals.models import ApprovalRequest
from audit import journal
from orchestration.agents.protocol import Done
from orchestration.engine.models import ReviewItem, Run
from orchestration.records import store
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the agent was told beside its input, call by call."""
    calls: list[object] = []

    class Heard(dict):  # type: ignore[type-arg]
        def get(self, step: str, default: Done) -> Done:  # type: ignore[override]
            calls.append(default.output.get("changes_requested"))
            text = "hello" if len(calls) == 1 else "hello again"
            return Done({"note": {**house.NOTE, "parameters": {"text": text}}}, confidence=0.9)

    monkeypatch.setattr(house, "answers", Heard())
    return calls


def begin(person, *, visits: int, policy: dict | None = None, queues: tuple[str, ...] = ()) -> Run:
    steps = [
        {"id": "write", "agent": "clerk", "output": "anything@1", "max_visits": visits},
        {"id": "keep", "act": "steps.write.output.note", "max_visits": visits},
    ]
    docs = house.documents(effect="gate", steps=steps)
    for name in queues:
        spec = {"groups": ["Support leads"], "service_time": "4h", "owner": "Support leads"}
        docs.append(house.document("ReviewQueue", name, spec))
    next(one for one in docs if one["kind"] == "ApprovalPolicy")["spec"] |= policy or {}
    house.bootstrap(docs)
    run = house.submit(person)
    house.drive(run)
    return run


@pytest.fixture
def starter(person, ada, sam):
    return person("zoe", "Support leads")


def decide(person, run: Run, verdict: str, reason: str) -> ApprovalRequest:
    request = house.request_of(run)
    digest = questions.get(request.question).live(request.subject).digest
    return gates.decide(
        request.pk, person=person, auth="test", verdict=verdict, reason=reason, seen_digest=digest, proved_at=clock.now()
    )


def test_the_agent_does_it_again_and_is_told_what_people_want(starter, sam, told) -> None:
    run = begin(starter, visits=2)
    first = decide(sam, run, "request_changes", "greet twice")
    house.drive(run)

    assert told == [None, [{"step": "keep", "text": "greet twice"}]]
    again = house.request_of(run)
    assert again.pk != first.pk
    shown = canonical.parse(gates.evidence_of(again)["proposal"])
    assert shown["parameters"] == {"text": "hello again"}
    assert "greet twice" not in "".join(event.line for event in journal.read(run.stream))

    decide(sam, run, "approve", "now it is right")
    house.drive(run)
    assert run.status == Run.Status.COMPLETED
    assert store.read("note", "N-1") == (1, {"text": "hello again"})
    assert "step.sent_back" in house.types_of(run)
    assert journal.verify().problems == []


def test_changes_are_asked_for_no_more_often_than_the_workflow_says(starter, sam, told) -> None:
    run = begin(starter, visits=2)
    decide(sam, run, "request_changes", "greet twice")
    house.drive(run)

    with pytest.raises(ChangesNotTaken):
        decide(sam, run, "request_changes", "and once more")
    assert house.request_of(run).status == ApprovalRequest.Status.OPEN


def test_a_workflow_that_goes_through_once_takes_no_changes(starter, sam, told) -> None:
    run = begin(starter, visits=1)

    with pytest.raises(ChangesNotTaken):
        decide(sam, run, "request_changes", "greet twice")


def test_what_expires_goes_to_the_queue_its_policy_names(starter, sam, told) -> None:
    run = begin(starter, visits=1, policy={"fallback": {"queue": "late"}}, queues=("late",))
    ApprovalRequest.objects.filter(run_id=run.pk).update(deadline=clock.now() - timedelta(seconds=1))

    assert gates.expire_due() == 1
    house.drive(run)

    item = ReviewItem.objects.get(run=run)
    assert (item.code, item.queue.name) == ("expired", "late")
    assert store.read("note", "N-1") is None
