"""Kill -9 of web and worker in the middle of 200 runs: nothing lost, nothing twice, the record whole (HAZARDS F01-F04, F12).

The database is the one of this run of the tests: SQLite and the ORM broker, or PostgreSQL and Redis.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults import oracle, storm
from tests.support import databases
from tests.support.report import say
from tests.support.sink import Sink
from tests.support.stack import stack

RUNS = 200
KILLS_OF_EACH = 10
END_SECONDS = 60.0  # within which every run ends after the last kill

pytestmark = pytest.mark.faults


def test_every_run_ends_once_though_web_and_worker_die_twenty_times(tmp_path: Path) -> None:
    seed = int(os.environ.get("AEGIS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    say(f"seed {seed} (AEGIS_TEST_SEED={seed} repeats it)")
    todo = storm.orders(RUNS, seed)
    with (
        Sink(latency=(0.01, 0.08), seed=seed) as sink,
        stack(tmp_path, AEGIS_TEST_SINK=sink.url, AEGIS_TEST_PAUSE="0.08") as house,
    ):
        web, worker = house.web(), house.worker()
        web.start()
        worker.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)
        deciding = storm.Approver(house.client("lea"))
        deciding.start()

        def before_each(number: int) -> None:
            asking.release(RUNS // KILLS_OF_EACH)  # so that work is under way whenever something dies
            if number == KILLS_OF_EACH // 2:
                databases.empty_broker(house.store)

        storm.Killer(house, web, worker, sink, random.Random(seed)).go(KILLS_OF_EACH, before_each=before_each)
        last_kill = time.monotonic()
        asking.finish()
        storm.wait_for_rest(house, house.client("rita"), RUNS, seconds=END_SECONDS - (time.monotonic() - last_kill))
        ended_after = time.monotonic() - last_kill
        deciding.stop()
        worker.stop()
        is_whole, report = house.verify()
        facts = house.look()

    repeats = sum(count - 1 for count in sink.counts().values())
    say(
        f"{web.kills} kills of web, {worker.kills} of worker; all at rest {ended_after:.1f} s after the last kill;"
        f" {len(sink.arrivals)} arrivals, {repeats} repeated; runs {_by(facts['runs'], 'status')};"
        f" lost calls {facts['events'].get('step.lost', 0)}, lost effects {facts['events'].get('effect.lost', 0)},"
        f" unknown {facts['events'].get('effect.unknown', 0)}"
    )
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=worker.kills, votes=deciding.answers) == []
    assert is_whole, report
    assert (web.kills, worker.kills) == (KILLS_OF_EACH, KILLS_OF_EACH)


def _by(rows: list[dict[str, object]], name: str) -> dict[object, int]:
    return {value: sum(row[name] == value for row in rows) for value in {row[name] for row in rows}}
