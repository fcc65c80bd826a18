"""What advice about policies learns of real runs: what passed without a vote, what was undone, what stands over a policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aegis.core import canonical, clock
from aegis.core.visibility import one_look
from approvals import gates
from approvals.advice import reading, runs
from approvals.advice.cases import Standing
from approvals.models import ApprovalPolicy
from orchestration.agents.protocol import Done
from orchestration.engine import verbs
from orchestration.engine.advised import PastRuns
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_AGO = timedelta(hours=1)


@pytest.fixture
def people(ada: Any, quinn: Any, person: Any) -> dict[str, Any]:
    return {"ada": ada, "quinn": quinn, **{name: person(name, "Support leads") for name in ("sam", "lea", "mia")}}


def furnish(**given: Any) -> None:
    """Notes with an amount, gated by `leads`; a run of them can be rolled back."""
    documents = house.documents(effect="gate", fast_path=given.get("fast_path", ""))
    capability = next(one for one in documents if one["kind"] == "Capability")
    capability["spec"]["parameters"]["properties"]["amount"] = {"type": "number"}
    capability["spec"]["risk"] = given.get("risk", "low")
    documents[-1]["spec"]["rollback"] = {"gate": "undoing"}
    undoing = {"stages": [{"groups": ["Support leads"]}], "deadline": "1h"}
    documents.insert(3, house.document("ApprovalPolicy", "undoing", undoing))
    if given.get("locked"):
        lock = {"capability": "note.write", "policy": "leads", "kind": "law", "basis": "a law", "owner": "Admins"}
        documents.append(house.document("FloorLock", "notes-lock", lock))
    house.bootstrap(documents)


def written(who: Any, amount: float, key: str) -> Any:
    note = {**house.NOTE, "resource": {"type": "note", "id": key}, "parameters": {"text": "hello", "amount": amount}}
    house.answers["write"] = Done({"note": note}, confidence=0.9)
    run = house.submit(who, {"id": key}, key=key)
    house.drive(run)
    return run


def approve(run: Any, who: Any) -> None:
    request = house.request_of(run)
    gates.decide(
        request.pk, person=who, auth="test", verdict="approve", reason="yes", seen_digest=request.digest, proved_at=clock.now()
    )
    house.drive(run)


def undo(run: Any, asker: Any, who: Any) -> None:
    verbs.rollback_run(run.pk, person=asker, actor=house.actor_for(asker), reason="it was wrong")
    house.drive(run)
    approve(run, who)


def test_an_approval_is_followed_to_its_end_by_those_who_may_see_the_run(people: Any, olivia: Any) -> None:
    furnish()
    run = written(people["sam"], 4, "n-1")
    approve(run, people["lea"])
    assert PastRuns().undone(people["quinn"], [run.pk]) == {run.pk: False}

    undo(run, people["lea"], people["mia"])

    assert PastRuns().undone(people["quinn"], [run.pk]) == {run.pk: True}
    assert PastRuns().undone(olivia, [run.pk]) == {}
    policy = ApprovalPolicy.objects.get(name="leads")
    with one_look():
        (case,) = reading.read(people["quinn"], policy).cases
    assert (case.parameters, case.was_undone, case.is_against) == ({"text": "hello", "amount": 4}, True, True)
    assert case.may_pass_fast


def test_a_rollback_is_no_question_that_a_fast_path_answers(people: Any) -> None:
    furnish()
    run = written(people["sam"], 4, "n-1")
    approve(run, people["lea"])
    undo(run, people["lea"], people["mia"])

    with one_look():
        (case,) = reading.read(people["quinn"], ApprovalPolicy.objects.get(name="undoing")).cases
    assert not case.may_pass_fast


def test_what_passed_without_a_vote_is_known_with_its_parameters(people: Any, olivia: Any) -> None:
    furnish(fast_path="parameters.amount <= 5")
    small, large = written(people["sam"], 4, "n-1"), written(people["sam"], 9, "n-2")
    since = clock.db_now() - HOUR_AGO
    assert house.request_of(large)

    (passage,) = PastRuns().passed(people["quinn"], "leads", since, 10)

    assert (passage.run, passage.capability, passage.was_undone) == (small.pk, "note.write", False)
    assert passage.parameters == {"text": "hello", "amount": 4}
    assert PastRuns().passed(olivia, "leads", since, 10) == []
    assert PastRuns().passed(people["quinn"], "lead", since, 10) == []
    undo(small, people["lea"], people["mia"])
    assert PastRuns().passed(people["quinn"], "leads", since, 10)[0].was_undone


@pytest.mark.parametrize(
    ("given", "standing"),
    [
        ({}, Standing()),
        ({"risk": "high"}, Standing(is_high=True)),
        ({"locked": True}, Standing(is_locked=True, locked=frozenset({"note.write"}))),
    ],
)
def test_locks_and_high_risk_that_rest_on_a_policy_are_known(people: Any, given: Any, standing: Standing) -> None:
    furnish(**given)

    assert runs.owner().standing("leads") == standing
    assert runs.owner().standing("config-change") == Standing(locked=standing.locked)


def test_what_is_masked_for_the_reader_has_no_number(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit import masking

    furnish()
    run = written(people["sam"], 4, "n-1")
    approve(run, people["lea"])
    real = masking.masker()

    class Hiding:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def payloads(self, viewer: Any, rows: Any) -> list[str]:
            return [canonical.dump({"parameters": {"amount": "hidden"}}).decode() for _ in rows]

    monkeypatch.setattr(masking, "_masker", Hiding())
    with one_look():
        (case,) = reading.read(people["quinn"], ApprovalPolicy.objects.get(name="leads")).cases
    assert case.parameters == {"amount": "hidden"}
