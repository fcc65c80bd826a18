"""Legal holds: placed by one, lifted by another; while one stands nothing of it is emptied."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.core.errors import Forbidden, NotFound
from audit import journal
from audit.models import Hold, Payload
from orchestration.engine.erasing import verbs
from orchestration.engine.models import Run
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


def place(who: Any, scope: str, **what: Any) -> Hold:
    return verbs.place_hold(scope, actor=house.actor(who), reason="a lawsuit", **what)


def lift(who: Any, hold: Hold) -> Hold:
    return verbs.lift_hold(hold.pk, actor=house.actor(who), reason="it is settled")


def over(run: Run, scope: str) -> dict[str, Any]:
    return {"run": {"run_id": run.pk}, "subject": {"key": house.KEY}, "everything": {}}[scope]


@pytest.mark.parametrize("scope", ["run", "subject", "everything"])
def test_what_is_held_cannot_be_asked_for(people: dict[str, Any], run: Run, scope: str) -> None:
    place(people["pia"], scope, **over(run, scope))

    with pytest.raises(verbs.ErasureBlocked):
        house.ask(people["pia"], key=house.KEY)


@pytest.mark.parametrize("scope", ["run", "subject", "everything"])
def test_a_hold_placed_between_asking_and_deciding_blocks_what_was_approved(
    people: dict[str, Any], run: Run, scope: str
) -> None:
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])
    place(people["max"], scope, **over(run, scope))

    house.vote(house.request_of(erasure), people["ben"])

    erasure.refresh_from_db()
    assert (erasure.status, erasure.code) == ("blocked", "hold")
    assert not Payload.objects.filter(erased_at__isnull=False).exists()
    assert journal.verify().is_good


def test_whoever_placed_it_does_not_lift_it(people: dict[str, Any], run: Run) -> None:
    hold = place(people["pia"], "run", run_id=run.pk)

    with pytest.raises(verbs.OwnHold):
        lift(people["pia"], hold)

    hold.refresh_from_db()
    assert hold.lifted_at is None


def test_after_another_has_lifted_it_the_erasure_goes_through_and_takes_the_key_of_the_hold(
    people: dict[str, Any], run: Run
) -> None:
    lift(people["max"], place(people["pia"], "subject", key=house.KEY))

    erasure = house.erased(people, key=house.KEY)

    assert erasure.status == "applied"
    assert house.tables_holding(house.CANARY) == {}
    assert journal.verify().is_good


def test_a_hold_is_lifted_once(people: dict[str, Any], run: Run) -> None:
    hold = lift(people["max"], place(people["pia"], "everything"))

    with pytest.raises(verbs.HoldLifted):
        lift(people["max"], hold)

    assert len(house.lines_of_type("hold.lifted")) == 1


def test_placing_it_twice_is_placing_it_once(people: dict[str, Any], run: Run) -> None:
    assert place(people["pia"], "run", run_id=run.pk).pk == place(people["max"], "run", run_id=run.pk).pk
    assert len(house.lines_of_type("hold.placed")) == 1


def test_a_hold_on_a_run_is_told_where_the_run_is(people: dict[str, Any], run: Run) -> None:
    place(people["pia"], "run", run_id=run.pk)

    (told,) = house.lines_of_type("hold.placed")
    assert (told.scope, told.scope_id, told.run_id) == ("workflow", str(run.workflow_id), run.pk)


def test_who_may_not_see_the_run_places_and_lifts_none_on_it(people: dict[str, Any], run: Run) -> None:
    from guardian.models import GroupObjectPermission

    hold = place(people["pia"], "run", run_id=run.pk)
    GroupObjectPermission.objects.filter(group__name="Privacy officers", permission__codename="view_workflow").delete()

    with pytest.raises(NotFound):
        lift(people["max"], hold)
    with pytest.raises(NotFound):
        place(people["max"], "subject", key=house.KEY)


def test_an_auditor_places_none(people: dict[str, Any], run: Run, quinn: Any) -> None:
    with pytest.raises(Forbidden):
        place(quinn, "everything")

    assert not Hold.objects.exists()
