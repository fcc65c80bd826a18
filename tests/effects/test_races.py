"""Cancel, re-drive, statements and two workers at once: one outcome, every effect undone once. Real threads, on PostgreSQL."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connections

from aegis.core import clock
from aegis.core.errors import Conflict, NotFound
from audit import chain, journal
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine import deadletters, settlements, verbs
from orchestration.engine.driver import Driver
from orchestration.engine.effects import EffectUnknown
from orchestration.engine.models import Run
from orchestration.records.models import Record
from tests.effects.conftest import PAY, asked, heard, item_of, regrant, says
from tests.effects.test_crashes import ORDERED, patches_notes
from tests.engine import house

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
ROUNDS = 8


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Do all of it at the same instant. "" or the code of the refusal, each."""
    barrier, told = threading.Barrier(len(acts)), [""] * len(acts)

    def one(place: int, act: Callable[[], object]) -> None:
        try:
            barrier.wait(10)
            act()
        except (Conflict, NotFound) as refused:
            told[place] = refused.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return told


def undone(run: Run) -> Counter[str]:
    events = Event.objects.filter(stream=run.stream, type="effect.done")
    return Counter(str(chain.read_line(event.line)["data"].get("undoes", "")) for event in events)


def test_cancel_against_re_drive_against_two_workers_undoes_once(furnish, sam):
    furnish([ORDERED[0], ORDERED[1], {"id": "more", "act": "steps.plan.output.more"}])
    patches_notes()
    regrant("clerk", note__more="")
    for key in (f"K-{number}" for number in range(ROUNDS)):
        Record.objects.create(type="note", key=key, version=1, body='{"text":"before"}', updated_at=clock.db_now())
        plan = {"keep": asked("note.keep", key, text="after"), "more": asked("note.more", key)}
        house.answers["plan"] = Done(plan, confidence=0.9)
        run = house.submit(sam, {"id": key})
        house.drive(run)
        cancel = partial(verbs.cancel_run, run.pk, person=sam, actor=house.actor_for(sam), reason="stop")
        again = partial(deadletters.redrive, str(item_of(run).pk), person=sam, actor=house.actor_for(sam), reason="again")

        at_once(cancel, again, Driver(among=[run.pk]).drive, Driver(among=[run.pk]).drive)
        for _ in range(3):
            house.drive(run)

        assert run.status == Run.Status.CANCELLED
        assert undone(run)[f"{run.pk}/keep/1/0"] == 1
        assert Record.objects.values_list("version", "body").get(key=key) == (3, '{"text":"before"}')
    assert journal.verify().problems == []


def test_of_two_statements_and_a_retry_one_is_heard(furnish, sam, person):
    furnish(PAY)
    lea = person("lea", "Support leads")
    for number in range(ROUNDS):
        house.drive(house.submit(sam, {"id": f"well-{number}"}))  # or the failures in a row open the breaker
        says["test.pay"] = EffectUnknown("no answer")
        run = house.submit(sam, {"id": f"n-{number}"})
        house.drive(run)
        says.clear()
        item = item_of(run).pk
        yes = partial(settlements.happened, item, person=sam, auth="test", reason="the books say so")
        no = partial(settlements.not_happened, item, person=lea, auth="test", reason="the bank says no")
        again = partial(deadletters.redrive, str(item), person=lea, actor=house.actor_for(lea), reason="again")

        told = at_once(yes, no, again, Driver(among=[run.pk]).drive)
        house.drive(run)

        assert run.status == Run.Status.COMPLETED
        assert sorted(code != "" for code in told[:2]) == [False, True]
        assert told[2] in ("needs_statement", "item_settled")
        keys = [request.key for request in heard if str(run.pk) in request.key]
        assert len(keys) == (1 if told[0] == "" else 2)
        assert len(set(keys)) == 1
    assert journal.verify().problems == []
