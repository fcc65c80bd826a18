"""Nobody erases alone: not by a delegation, a superuser's mark, another door, or a policy made weaker after it was asked."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from aegis.core import canonical, clock
from aegis.core.errors import Stale
from aegis.identity.models import User
from approvals import delegations
from approvals.errors import NobodyEligible, NotEligible
from audit.models import Erasure, Payload
from orchestration.engine.models import Run
from tests.approvals.house import store_policy
from tests.engine import house as engine
from tests.erasing import house
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


def policy(quorum: int, *groups: str) -> Any:
    return engine.document(
        "ApprovalPolicy",
        "erasure",
        {"stages": [{"groups": list(groups or ["Privacy board"]), "quorum": quorum}], "deadline": "8h"},
    )


def emptied() -> int:
    return Payload.objects.filter(erased_at__isnull=False).count()


def test_a_policy_made_weaker_after_it_was_asked_lets_no_single_person_erase(people: dict[str, Any], run: Run) -> None:
    erasure = house.ask(people["pia"], run=run)
    store_policy(policy(1))
    with pytest.raises(Stale):
        house.vote(house.request_of(erasure), people["una"])

    house.vote(house.request_of(erasure), people["una"])

    erasure.refresh_from_db()
    assert (erasure.status, erasure.code) == ("blocked", "too_few")
    assert emptied() == 0


def test_a_superuser_who_asked_decides_nothing(people: dict[str, Any], run: Run) -> None:
    people["una"].groups.add(people["pia"].groups.get())
    User.objects.filter(pk=people["una"].pk).update(is_superuser=True, is_staff=True)
    erasure = house.ask(people["una"], run=run)

    with pytest.raises(NotEligible):
        house.vote(house.request_of(erasure), User.objects.get(pk=people["una"].pk))

    assert emptied() == 0


def test_whoever_asked_does_not_decide_over_the_api(people: dict[str, Any], run: Run) -> None:
    people["una"].groups.add(people["pia"].groups.get())
    request = house.request_of(house.ask(people["una"], run=run))

    body = {"verdict": "approve", "reason": "me", "digest": request.digest}
    answer = client_of(people["una"]).post(
        f"/api/v1/requests/{request.pk}/decisions", json.dumps(body), content_type="application/json"
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "not_eligible")
    assert emptied() == 0


def test_whoever_acts_for_the_asker_does_not_decide(people: dict[str, Any], run: Run) -> None:
    people["una"].groups.add(people["pia"].groups.get())
    now = clock.db_now()
    delegations.delegate(
        to=people["ben"].pk,
        starts_at=now,
        ends_at=now + timedelta(days=2),
        actor=house.actor(people["una"]),
        reason="away",
    )
    people["zoe"].groups.add(people["ben"].groups.get())
    erasure = house.ask(people["una"], run=run)

    with pytest.raises(NotEligible):
        house.vote(house.request_of(erasure), people["ben"])

    assert emptied() == 0


def test_one_person_with_the_voice_of_another_is_one_person(people: dict[str, Any], run: Run) -> None:
    now = clock.db_now()
    delegations.delegate(
        to=people["una"].pk, starts_at=now, ends_at=now + timedelta(days=2), actor=house.actor(people["ben"]), reason="away"
    )
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])

    with pytest.raises(NotEligible):
        house.vote(house.request_of(erasure), people["una"])

    assert emptied() == 0


def test_a_gate_with_one_eligible_person_cannot_be_asked(people: dict[str, Any], run: Run) -> None:
    for name in ("ben", "ola"):
        people[name].groups.clear()

    with pytest.raises(NobodyEligible):
        house.ask(people["pia"], run=run)

    assert not Erasure.objects.exists()


def test_a_vote_of_somebody_who_left_the_group_meanwhile_does_not_count(people: dict[str, Any], run: Run) -> None:
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])
    people["una"].groups.clear()

    house.vote(house.request_of(erasure), people["ben"])

    erasure.refresh_from_db()
    assert (erasure.status, emptied()) == ("asked", 0)


def test_runs_added_to_the_row_after_a_vote_void_it(people: dict[str, Any], run: Run) -> None:
    """Whoever edits what is asked about by SQL: the vote was for something else."""
    other = house.lived(people["zoe"], people["sam"], house.OTHER)
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])
    Erasure.objects.update(runs=[*erasure.runs, str(other.pk)])

    with pytest.raises(Stale):
        house.vote(house.request_of(erasure), people["ben"])

    assert emptied() == 0


def test_the_digest_covers_the_runs_and_the_policy(people: dict[str, Any], run: Run) -> None:
    request = house.request_of(house.ask(people["pia"], run=run))

    signed = {"erasure": str(request.pk), "runs": [str(run.pk)], "policy": request.policy.digest}
    assert request.digest == canonical.digest_of(signed)
