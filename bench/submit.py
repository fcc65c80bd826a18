"""How fast work comes in: `submit_many` in batches, beside bare inserts of the same rows, in turns within one run.

    python bench/submit.py [runs per figure] [rounds]

Works in a database of its own that it makes and drops: SQLite in a temporary folder, or a database on the server that
AEGIS_DATABASE_URL names. Only the ratios within one run are evidence (SPEED.md).

Bare: the same run, event and payload rows, made beforehand, inserted by `executemany` in transactions of the same size. A run
is three rows.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

SIZES = (1, 100, 1_000)
TABLES = ("orchestration_run", "audit_event", "audit_payload")
ROOT = Path(__file__).resolve().parents[1]


def found() -> tuple[Any, Any]:
    """Tables, people and the workflow of the fault tests; the person who asks, and their actor."""
    import django

    django.setup()
    from django.core.management import call_command

    from aegis.core.actors import user_actor
    from aegis.identity.models import User
    from tests.support import founding

    call_command("migrate", interactive=False, verbosity=0)
    founding.found()
    person = User.objects.get(username="rita")
    return person, user_actor(person.pk, auth="bench")


def submitted(person: Any, actor: Any, runs: int, size: int) -> tuple[float, float]:
    """Runs a second; microseconds of this process's CPU for each, which a busy machine does not change."""
    from orchestration.engine import verbs
    from tests.support import founding

    round_ = uuid.uuid4().hex
    work = [verbs.Submission({"id": f"{round_}-{n}", "kind": "plain"}, f"{round_}-{n}") for n in range(runs)]
    started, cpu = time.perf_counter(), time.process_time()
    for first in range(0, runs, size):
        verbs.submit_many(founding.WORKFLOW, work[first : first + size], person=person, actor=actor)
    return runs / (time.perf_counter() - started), 1e6 * (time.process_time() - cpu) / runs


def taken(runs: int) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    """The rows of the newest runs, under new ids, as INSERT and values by table: made outside the clock."""
    from django.db import connection

    from aegis.core.bulk import as_stored

    rows: dict[str, tuple[str, list[tuple[Any, ...]]]] = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT %s", [runs])
            names = [column[0] for column in cursor.description]
            found_rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            columns = [name for name in names if table == "orchestration_run" or name != "id"]
            for row in found_rows:
                fresh = uuid.uuid4()
                if table == "orchestration_run":
                    row["id"] = as_stored(fresh)
                    row["idempotency_key"] = f"bare-{fresh}"
                else:
                    row["stream"] = f"bare:{fresh}"
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
            rows[table] = (sql, [tuple(row[name] for name in columns) for row in found_rows])
    return rows


def bare(runs: int, size: int) -> float:
    """Runs a second, of three rows each."""
    from django.db import connection, transaction

    rows = taken(runs)
    runs = min(len(values) for _, values in rows.values())
    started = time.perf_counter()
    for first in range(0, runs, size):
        with transaction.atomic(), connection.cursor() as cursor:
            for sql, values in rows.values():
                cursor.executemany(sql, values[first : first + size])
    return runs / (time.perf_counter() - started)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    sys.path.insert(0, str(ROOT))
    from tests.support.serving import fresh_database

    with tempfile.TemporaryDirectory() as folder, fresh_database() as url:
        os.environ.update(
            AEGIS_DATABASE_URL=url,
            AEGIS_DATA_DIR=folder,
            DJANGO_SETTINGS_MODULE="aegis.settings",
            AEGIS_AGENT_MODULES="tests.faults.agents",
        )
        person, actor = found()
        from django.db import connection

        print(f"{connection.vendor}: runs a second, median of {rounds} rounds in turns (a run is 3 rows)")
        submitted(person, actor, min(runs, 500), 100)  # compile, connect, fill caches
        for size in SIZES:
            some = runs if size > 1 else max(100, runs // 20)
            rows = [(*submitted(person, actor, some, size), bare(some, size)) for _ in range(rounds)]
            ours, cpu, limit = (statistics.median(column) for column in zip(*rows, strict=True))
            ratio = statistics.median(one / other for one, _, other in rows)
            figures = f"submit_many {ours:>7,.0f}   bare inserts {limit:>7,.0f}   ratio {ratio:.2f}   CPU {cpu:,.0f} us a run"
            print(f"  batches of {size:>5,}: {figures}")
        connection.close()


if __name__ == "__main__":
    main()
