"""Remote effects: the breaker of their capability, limits, and halts between an approval and its use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from audit import journal
from audit.models import Event
from orchestration.engine import effects
from orchestration.engine.effects import EffectRefused, EffectRequest, EffectUnavailable, EffectUnknown
from orchestration.engine.guards import verbs
from orchestration.engine.guards.models import Breaker
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time, submit_many, sweep

pytestmark = pytest.mark.django_db

sent: list[str] = []
answers: list[Exception | None] = []


@effects.effect_handler("test.guarded_send")
def send(request: EffectRequest) -> dict[str, str]:
    """Does what the test put into `answers`, in turn; then it works."""
    sent.append(request.key)
    failure = answers.pop(0) if answers else None
    if failure:
        raise failure
    return {"id": "1"}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    sent.clear()
    answers.clear()
    yield
    answers.clear()


@pytest.fixture
def remote(zoe):
    house.bootstrap(desk.documents(capability={"handler": "test.guarded_send", "breaker": {"failures": 2, "cooldown": "30s"}}))
    return zoe


def test_effects_that_are_not_answered_open_the_breaker_of_their_capability(remote):
    answers[:] = [EffectUnavailable("busy"), EffectUnknown("no answer")]
    house.drive(*submit_many(remote, 2))

    row = Breaker.objects.get()
    assert (row.key, row.phase) == ("capability:note.write", "open")
    event = Event.objects.get(type="breaker.opened")
    assert (event.scope, event.stream) == ("access", "breaker:capability:note.write")


def test_what_is_held_by_it_is_sent_once_after_a_probe(remote):
    answers[:] = [EffectUnavailable("busy"), EffectUnavailable("busy")]
    house.drive(*submit_many(remote, 2))
    waiting = submit_many(remote, 4)
    house.drive(*waiting)
    held = {run.status for run in waiting}
    before = len(sent)
    pass_time(seconds=40)
    for _ in range(4):
        sweep(*waiting)

    assert held == {Run.Status.HELD}
    assert {run.status for run in waiting} == {Run.Status.COMPLETED}
    assert len(sent) - before == 4
    assert len(set(sent[before:])) == 4
    assert Event.objects.filter(type="breaker.probing").count() == 1
    assert journal.verify().problems == []


def test_a_refusal_is_an_answer(remote):
    answers[:] = [EffectUnavailable("busy"), EffectRefused("no such account"), EffectUnavailable("busy")]

    for run in submit_many(remote, 3):
        house.drive(run)

    assert Breaker.objects.get().phase == "closed"


def test_a_halt_between_an_approval_and_its_use_keeps_the_approval(zoe, as_ada, sam):
    from tests.guards.test_frozen_clocks import decide

    house.bootstrap(desk.documents(effect="gate", capability={"handler": "test.guarded_send"}))
    run = house.submit(zoe)
    house.drive(run)
    decide(run, sam)
    row = verbs.halt("agent", "clerk", actor=as_ada, reason="stop").halt
    house.drive(run)
    assert (run.status, sent) == (Run.Status.HELD, [])

    verbs.resume(row.pk, actor=as_ada, reason="go on")
    sweep(run)
    sweep(run)

    assert run.status == Run.Status.COMPLETED
    assert len(sent) == 1
    assert house.types_of(run).count("gate.opened") == 1
    assert journal.verify().problems == []
