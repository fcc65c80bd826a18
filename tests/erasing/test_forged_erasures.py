"""`payload.erased` that no decision of two stands behind is found, whatever it says."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from aegis.core import clock, clock_text
from aegis.core.actors import SYSTEM
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from audit import journal
from audit.drafts import Context, Draft
from audit.erasures import emptying
from audit.models import Erasure, Payload
from orchestration.engine.erasing import verbs
from orchestration.engine.models import Run
from tests.erasing import house
from tests.support import journal_guard

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


def forged(run: Run, *, cause: str, place: str = "") -> None:
    """The first payload of the run is emptied, and a line says that a decision did it."""
    row = Payload.objects.filter(stream=run.stream).order_by("seq")[0]
    Payload.objects.filter(pk=row.pk).update(body="", salt="", erased_at=clock.now())
    data = {"places": [place or f"{row.stream}/{row.seq}"], "count": 1, "basis": "decision", "by": "decision APR-000000"}
    with transaction.atomic():
        context = emptying.of_run(run.pk, "workflow", str(run.workflow_id))
        journal.append(context, [Draft("payload.erased", SYSTEM, data=data, cause=cause)])


def found() -> set[tuple[str, str]]:
    return {(problem.check, problem.place) for problem in journal.verify().problems}


def test_without_a_request(run: Run) -> None:
    forged(run, cause="")

    assert ("erasures", f"keeping:{run.pk}#1") in found()


def test_in_the_name_of_a_request_that_nobody_decided(people: dict[str, Any], run: Run) -> None:
    request = house.request_of(house.ask(people["pia"], run=run))
    Erasure.objects.update(status="applied")
    forged(run, cause=f"{request.stream}/{request.seq}")

    assert ("erasures", f"keeping:{run.pk}#1") in found()


def test_in_the_name_of_an_erasure_of_another_run(people: dict[str, Any], run: Run) -> None:
    other = house.lived(people["zoe"], people["sam"], house.OTHER)
    request = ApprovalRequest.objects.get(pk=house.erased(people, run=other).pk)
    forged(run, cause=f"{request.stream}/{request.seq}")

    assert found() == {("erasures", f"keeping:{run.pk}#1")}


def test_with_the_runs_of_the_erasure_changed_to_fit(people: dict[str, Any], run: Run) -> None:
    other = house.lived(people["zoe"], people["sam"], house.OTHER)
    erasure = house.erased(people, run=other)
    request = ApprovalRequest.objects.get(pk=erasure.pk)
    Erasure.objects.update(runs=[*erasure.runs, str(run.pk)])
    forged(run, cause=f"{request.stream}/{request.seq}")

    assert ("erasures", f"keeping:{run.pk}#1") in found()


def test_with_a_place_of_another_run(people: dict[str, Any], run: Run) -> None:
    other = house.lived(people["zoe"], people["sam"], house.OTHER)
    request = ApprovalRequest.objects.get(pk=house.erased(people, run=run).pk)
    Payload.objects.filter(stream=other.stream, seq=1).update(body="", salt="", erased_at=clock.now())
    data = {"places": [f"{other.stream}/1"], "count": 1, "basis": "decision", "by": "decision APR-000000"}
    with transaction.atomic():
        context = emptying.of_run(run.pk, "workflow", str(run.workflow_id))
        journal.append(context, [Draft("payload.erased", SYSTEM, data=data, cause=f"{request.stream}/{request.seq}")])

    assert found() == {("erasures", f"keeping:{run.pk}#2")}


def forged_decision(people: dict[str, Any], run: Run) -> str:
    """Every line of an approved request in the names of real people, and the row of the erasure; returns the cause to name."""
    pk, policy = uuid4(), ApprovalPolicy.objects.get(name="erasure")
    digest = verbs.digest_of(pk, [str(run.pk)], policy.digest)
    now, pia = clock.db_now(), house.actor(people["pia"])
    asked = {
        "question": "erasure", "subject": str(pk), "policy": "erasure", "policy_digest": policy.digest, "digest": digest,
        "risk": "high", "deadline": clock_text.render(now), "bound": [pia.ref],
    }  # fmt: skip
    vote = {"verdict": "approve", "stage": 1, "stages": 1, "policy": "erasure", "digest": digest}
    drafts = [
        Draft("request.opened", pia, data=asked),
        *(Draft("decision.made", house.actor(people[name]), data=vote) for name in ("una", "ben")),
        Draft("request.settled", house.actor(people["ben"]), data={"policy": "erasure", "digest": digest}, outcome="approved"),
    ]
    with transaction.atomic():
        lines = journal.append(Context(stream=f"request:{pk}", scope="policy", scope_id=str(policy.pk)), drafts, now)
        data = {"erasure": str(pk), "what": "ERA"}
        (told,) = journal.append(Context(stream="erasures", scope="access"), [Draft("erasure.asked", pia, data=data)], now)
    Erasure.objects.create(
        id=pk, runs=[str(run.pk)], status="applied", asked_by=pia.ref, asked_at=now, place=told.place, payloads=1
    )
    return lines[-1].place


def test_with_every_line_of_a_decision_that_never_was(people: dict[str, Any], run: Run) -> None:
    forged(run, cause=forged_decision(people, run))

    assert ("erasures", f"keeping:{run.pk}#1") in found()


def test_by_an_update_alone(run: Run) -> None:
    row = Payload.objects.filter(stream=run.stream).order_by("seq")[0]
    Payload.objects.filter(pk=row.pk).update(body="", salt="", erased_at=clock.now())

    assert ("erasures", f"{row.stream}#{row.seq}") in found()


def test_with_votes_for_something_else(people: dict[str, Any], run: Run) -> None:
    """The rows of votes changed by SQL so that others seem to have voted."""
    house.erased(people, run=run)
    with journal_guard.lifted("default", tables=frozenset({"approvals_decision"})):
        Decision.objects.filter(person=people["una"]).update(person=people["ola"])

    assert ("erasures", f"keeping:{run.pk}#1") in found()
