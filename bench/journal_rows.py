"""A journal of any size, whole and chained, for measuring what reads it: verification, search, followers.

AEGIS_DATABASE_URL=... python -m bench.journal_rows COUNT [--seed N]      (a migrated database; the events are added to it)

Streams `bench:<uuid>` of 20 lines each stand for runs (with a run id), their heads in `audit_stream`; some four of ten lines
have a payload of a dozen words. Words are drawn by rank (1/rank of 20,000): the first ones stand in over 5 % of the events,
those about rank 500 in some 0.1 %, those beyond 10,000 in a few of a million. Types are the registered ones, people 40, agents
12; the moments are spread evenly over 90 days. The same seed makes the same rows. Written by COPY and executemany, past all
verbs: the triggers stand.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import django
import orjson

STREAM_LINES = 20
WORDS = 20_000
DAYS = 90
END = datetime(2026, 11, 20, tzinfo=UTC)
AT_ONCE = 20_000

EVENT_COLUMNS = (
    "stream", "seq", "line", "leaf", "type", "at", "actor_kind", "actor_ref", "scope", "scope_id", "run_id", "step", "agent",
    "capability", "outcome", "duration_ms",
)  # fmt: skip
PAYLOAD_COLUMNS = ("stream", "seq", "name", "body", "salt")
STREAM_COLUMNS = ("name", "seq", "head")

_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "va", "we", "xi", "yo", "zu")


def word(rank: int) -> str:
    """The word of a rank, 1 = the most frequent."""
    syllables, rest = [], rank + 400  # three syllables at least
    while rest:
        rest, at = divmod(rest, len(_SYLLABLES))
        syllables.append(_SYLLABLES[at])
    return "".join(syllables)


def text(dice: Random, words: int = 12) -> str:
    return " ".join(word(int(math.exp(dice.random() * math.log(WORDS)))) for _ in range(words))


def streams(count: int, seed: int) -> Iterator[tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], tuple[Any, ...]]]:
    """(events, payloads, head) of one stream after another, until there are `count` events."""
    from aegis.core import clock_text
    from audit import catalogue, chain

    dice = Random(seed)
    types = [kind for kind in catalogue.all_types() if kind.lane not in ("access", "system", "governance")]
    people = [str(UUID(int=dice.getrandbits(128), version=4)) for _ in range(40)]
    agents = [f"agent-{number}" for number in range(12)]
    workflows = [str(UUID(int=dice.getrandbits(128), version=4)) for _ in range(5)]
    made = 0
    while made < count:
        run = UUID(int=dice.getrandbits(128), version=4)
        name, head, workflow = f"bench:{run}", chain.ZERO, workflows[dice.randrange(5)]
        at = END - timedelta(days=DAYS) + timedelta(days=DAYS) * (made / count)
        events, payloads = [], []
        for seq in range(1, min(STREAM_LINES, count - made) + 1):
            kind = types[dice.randrange(len(types))]
            at += timedelta(milliseconds=dice.randrange(1, 4_000))
            person = dice.random() < 0.3
            ref = people[dice.randrange(40)] if person else ""
            actor = {"kind": "user" if person else "agent", "ref": ref, "auth": "session"}
            agent, step = "" if person else agents[dice.randrange(12)], f"step-{dice.randrange(8)}"
            outcome = ("done", "failed", "", "")[dice.randrange(4)]
            duration = dice.randrange(5_000) if dice.random() < 0.5 else None
            committed = []
            if kind.erasure and dice.random() < 0.4 / 0.8:
                payload, body, salt = next(iter(kind.erasure)), f'"{text(dice)}"', f"{dice.getrandbits(128):032x}"
                payloads.append((name, seq, payload, body, salt))
                committed.append({"name": payload, "c": chain.commitment(salt, body.encode())})
            line = orjson.dumps(
                {
                    "v": chain.FORMAT, "stream": name, "seq": seq, "prev": head, "type": kind.name,
                    "type_version": kind.version, "at": clock_text.render(at), "actor": actor, "on_behalf": "", "cause": "",
                    "trace": f"{dice.getrandbits(128):032x}",
                    "scope": "workflow", "scope_id": workflow, "run": str(run), "subject": "", "def": "", "step": step,
                    "agent": agent, "agent_version": "", "capability": "", "matrix": 1, "fence": 1, "outcome": outcome,
                    "duration_ms": duration, "data": dict.fromkeys(sorted(kind.required), "x"), "payload": committed,
                },
                option=orjson.OPT_SORT_KEYS,
            )  # fmt: skip
            head = chain.leaf_hash(line)
            events.append(
                (name, seq, line.decode(), head, kind.name, at, actor["kind"], ref, "workflow", workflow, run, step, agent, "",
                 outcome, duration)
            )  # fmt: skip
        made += len(events)
        yield events, payloads, (name, len(events), head)


def fill(count: int, *, seed: int = 1) -> None:
    """Add `count` events with their payloads and heads to the database, and analyse it."""
    from django.db import connection, transaction

    events: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    heads: list[tuple[Any, ...]] = []

    def write() -> None:
        with transaction.atomic():
            _insert("audit_event", EVENT_COLUMNS, events)
            _insert("audit_payload", PAYLOAD_COLUMNS, payloads)
            _insert("audit_stream", STREAM_COLUMNS, heads)
        for rows in (events, payloads, heads):
            rows.clear()

    for some_events, some_payloads, head in streams(count, seed):
        events += some_events
        payloads += some_payloads
        heads.append(head)
        if len(events) >= AT_ONCE:
            write()
    write()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _insert(table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from django.db import connection

    from aegis.core.bulk import as_stored

    names = ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join("%s" for _ in columns)
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", [[as_stored(one) for one in row] for row in rows]
            )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    django.setup()
    began = time.perf_counter()
    fill(options.count, seed=options.seed)
    print(f"{options.count:,} events in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
    main(sys.argv[1:])
