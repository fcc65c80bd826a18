"""`payload.erased` that no decision of two stands behind is found, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from aegis.core import clock
from aegis.core.actors import SYSTEM
from approvals.models import ApprovalRequest
from audit import journal
from audit.drafts import Draft
from audit.erasures import emptying
from audit.models import Erasure, Payload
from orchestration.engine.models import Run
from tests.erasing import house

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
