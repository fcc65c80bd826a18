"""A journal of millions for measuring the search alone: the rows of `bench.journal_rows` again, in later months. PostgreSQL.

AEGIS_DATABASE_URL=... python -m bench.copies TIMES      (a database that `bench.audit` has filled and indexed once)

Each copy has its own ids, streams and runs, and lies 90 days behind the one before; words, people and workflows are the same.
The lines are not chained anew: what is copied is for searching, not for verifying. Made by the server itself, a few minutes for
five million. Text indexes are made afterwards.
"""

from __future__ import annotations

import os
import sys
import time

import django

from bench.journal_rows import DAYS, EVENT_COLUMNS, PAYLOAD_COLUMNS

#: Column -> what a copy has in its place; `{n}` is its number. Ids lie ten million apart.
_APART = 10_000_000
_CHANGED = {
    "id": f"id + {{n}} * {_APART}",
    "event_id": f"event_id + {{n}} * {_APART}",
    "stream": "stream || '#{n}'",
    "run_id": "md5(run_id::text || '#{n}')::uuid",
    "at": f"at + {{n}} * interval '{DAYS} days'",
    "start": f"start + {{n}} * interval '{DAYS} days'",
    "position": "position + {n} * {width}",
    "first": '"first" + {n} * {width}',
    "last": '"last" + {n} * {width}',
}


def multiply(times: int) -> None:
    from django.db import connection

    from audit.index import tables
    from audit.index.models import Hour, Indexed, Tally

    width = Indexed.objects.count()
    of_index = [
        (model._meta.db_table, [str(field.column) for field in model._meta.concrete_fields if field.column != "id"])
        for model in (Indexed, Tally, Hour)
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM audit_event WHERE run_id IS NOT NULL")
        (last,) = cursor.fetchone()
        for statement in tables.DROP["postgresql"]:
            cursor.execute(statement)
        for number in range(1, times):
            copied = [
                ("audit_event", ["id", *EVENT_COLUMNS], f"run_id IS NOT NULL AND id <= {last}"),
                ("audit_payload", list(PAYLOAD_COLUMNS), "stream LIKE 'bench:%' AND stream NOT LIKE '%#%'"),
                *((table, columns, _first_of(table, width)) for table, columns in of_index),
            ]
            for table, columns, where in copied:
                names = ", ".join(f'"{name}"' for name in columns)
                values = ", ".join(_CHANGED.get(name, f'"{name}"').format(n=number, width=width) for name in columns)
                cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {where}", None)
            print(f"copy {number} of {times - 1}", flush=True)
        for statement in ("SET maintenance_work_mem = '1GB'", *tables.CREATE["postgresql"], "VACUUM ANALYZE"):
            cursor.execute(statement)


def _first_of(table: str, width: int) -> str:
    if table == "audit_indexed":
        return f"position < {width}"
    first = f"(SELECT max(at) FROM audit_indexed WHERE position < {width})"
    return f"start <= {first}"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
    django.setup()
    began = time.perf_counter()
    multiply(int(sys.argv[1]))
    print(f"in {time.perf_counter() - began:.0f} s")
