"""After any mix of erasures, holds and retention: the journal is well, and what was erased is in no table."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from aegis.core import clock
from audit import journal, keeping
from audit.models import Hold, Payload
from orchestration.engine.erasing import retention, subjects, verbs
from orchestration.engine.models import Run
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_journal_is_well_and_nothing_erased_is_left(
    person: Any, ada: Any, sam: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice, real, days = Random(seed), clock.db_now, [0]
    monkeypatch.setattr(clock, "db_now", lambda: real() + timedelta(days=days[0]))
    settings.RETENTION_DAYS = {"runs": 365, "access": 0}
    people = {**house.furnished(person, effect=dice.choice(("allow", "gate"))), "sam": sam}
    keys = {house.lived(people["zoe"], people["sam"], f"{house.CANARY}{mark}").pk: f"{house.CANARY}{mark}" for mark in "abc"}
    gone: set[Any] = set()
    for _ in range(8):
        pk, key = dice.choice(list(keys.items()))
        run = Run.objects.get(pk=pk)
        match dice.choice(("erase", "erase", "hold", "lift", "retain", "index")):
            case "erase":
                try:
                    house.erased(people, run=run)
                    gone.add(pk)
                except verbs.ErasureBlocked:
                    assert subjects.held([run])
            case "hold":
                about = dice.choice([{"run_id": pk}, {"key": key}] if pk not in gone else [{"run_id": pk}])
                scope = "run" if "run_id" in about else "subject"
                verbs.place_hold(scope, actor=house.actor(people["pia"]), reason="a lawsuit", **about)
            case "lift":
                for hold in Hold.objects.filter(lifted_at__isnull=True)[:1]:
                    verbs.lift_hold(hold.pk, actor=house.actor(people["max"]), reason="settled")
            case "retain":
                if dice.random() < 0.4:
                    days[0] += 366
                    free = [one.pk for one in Run.objects.all() if not subjects.held([one])]
                    retention.run_through()
                    gone.update(free)
            case _:
                keeping.keep()
    keeping.keep()

    report = journal.verify()
    assert report.is_good, report.problems
    for pk, key in keys.items():
        left = Payload.objects.filter(stream=f"run:{pk}", name="input", erased_at__isnull=True).exists()
        assert left == (pk not in gone)
        if pk in gone and not Hold.objects.filter(key=key).exists():
            assert not house.tables_holding(key).keys() - RECORDS, seed


#: Retention empties what the journal and its tables hold of a run; records of the business stay.
RECORDS = {"orchestration_record", "orchestration_recordversion"}
