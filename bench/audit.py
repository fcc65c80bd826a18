"""The audit at size: what its page, its followers and its verification take, beside what Django's admin search does.

AEGIS_DATABASE_URL=... python -m bench.audit COUNT [--looks 60] [--load SECONDS] [--jobs 2] [--engine RUNS]      (migrated)

Adds COUNT events to an empty journal (`bench.journal_rows`), seals them, lets the search follow; a second call only measures.
The first 20,000 are indexed with every index in place: that is the ingest rate. On PostgreSQL the text indexes of the rest are
made afterwards, as a rebuild of millions should be done. `--load`: another process appends events by the verb for so long, as
fast as it goes, while this one seals and lets every follower follow, as a worker does; told is how far behind the search was,
and how long it took to catch up. `--jobs`: verification, with so many processes. `--engine`: the price of followers to the
engine and their lag under its full load (`bench.followed`), on databases of its own.

The whole verb is timed (`search.find`, `counting.count`): rights, conditions, rows. Ratios within one run are evidence,
absolute figures move with the machine, so its load stands beside them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import django

INGEST = 20_000
PAIRS = {"rare": (8_000, 20_000), "middle": (250, 700), "frequent": (1, 8)}


def index(count: int) -> None:
    from django.db import connection

    from audit import following, sealer
    from audit.index import projection, tables
    from audit.models import Event
    from bench import journal_rows

    if Event.objects.order_by("-id").values_list("pk", flat=True).first():
        return
    began = time.perf_counter()
    journal_rows.fill(count)
    print(f"{count:,} events written in {time.perf_counter() - began:.0f} s", flush=True)
    sealer.seal()
    began, done = time.perf_counter(), 0
    while done < INGEST and (some := following.follow(projection.NAME, projection.handle)):
        done += some
    print(f"ingest, all indexes: {done / (time.perf_counter() - began):,.0f} events/s", flush=True)
    is_pg = connection.vendor == "postgresql"
    if is_pg:
        _run(tables.DROP["postgresql"])
    began = time.perf_counter()
    done = following.catch_up(projection.NAME)
    print(f"the rest: {done / max(time.perf_counter() - began, 0.001):,.0f} events/s", flush=True)
    if is_pg:
        began = time.perf_counter()
        _run(["SET maintenance_work_mem = '512MB'", *tables.CREATE["postgresql"]])
        print(f"text indexes made in {time.perf_counter() - began:.0f} s", flush=True)
    _run(["VACUUM ANALYZE audit_indexed", "ANALYZE audit_tally"] if is_pg else ["ANALYZE"])


def _run(statements: Iterable[str]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _load() -> str:
    """Processes that want a processor, over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def timed(what: str, calls: list[Callable[[], Any]], goal: str = "") -> None:
    found = []
    for call in calls:
        began = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - began))
    found.sort()
    p95 = statistics.quantiles(found, n=20)[-1] if len(found) > 1 else found[0]
    print(f"{what:<52} p50 {statistics.median(found):8.1f}   p95 {p95:8.1f} ms   load {_load()}   {goal}", flush=True)


def measure(looks: int) -> None:
    from django.db import connection

    from aegis.core.actors import SYSTEM
    from aegis.core.visibility import one_look
    from aegis.identity import people
    from aegis.identity.models import User
    from audit import counting, scopes, search
    from audit.asking import Search
    from audit.index.models import Indexed
    from audit.models import Payload
    from bench.journal_rows import word

    goal = "goal 25" if connection.vendor == "postgresql" else "goal 100"
    reader = User.objects.filter(username="bench-reader").first()
    if reader is None:
        people.create_group("Bench", actor=SYSTEM, reason="bench")
        reader = people.create_person("bench-reader", groups=["Bench"], actor=SYSTEM, reason="bench")
    everything = scopes.Reach(dict.fromkeys(scopes.SCOPES))
    workflows = list(Indexed.objects.order_by("position").values_list("scope_id", flat=True)[:2_000:500])
    some = scopes.Reach({"workflow": frozenset(workflows[:1])})
    dice = Random(7)

    def ask(asked: Search, seen: scopes.Reach = everything) -> Callable[[], Any]:
        def call() -> Any:
            with one_look():
                return search.find(asked, reader, seen=seen)

        return call

    def weigh(asked: Search, seen: scopes.Reach) -> Callable[[], Any]:
        def call() -> Any:
            with one_look():
                return counting.count(asked, reader, seen)

        return call

    pairs = {
        name: [f"{word(dice.randint(*ranks))} {word(dice.randint(*ranks))}" for _ in range(looks // 3)]
        for name, ranks in PAIRS.items()
    }
    span = {"span": "all"}
    timed("warming", [ask(Search(text=text, **span)) for texts in pairs.values() for text in texts])
    for name, texts in pairs.items():
        for who, seen in (("sees all", everything), ("one workflow of five", some)):
            timed(f"newest 50, two {name} words, {who}", [ask(Search(text=text, **span), seen) for text in texts])
    mixed = [ask(Search(text=text, **span)) for texts in pairs.values() for text in texts]
    timed("newest 50, two words, a third of each", mixed, goal)
    timed("the same, 30 days", [ask(Search(text=text, span="30d")) for texts in pairs.values() for text in texts], goal)
    actors = list(Indexed.objects.order_by("-position").values_list("actor", "type")[: looks * 40 : 40])
    outcomes = list(Indexed.objects.filter(outcome__gt="").order_by("outcome").values_list("outcome", flat=True).distinct())
    timed("actor + event + 30 days", [ask(Search(actor=(actor,), type=(kind,))) for actor, kind in actors], goal)
    runs = [str(run) for run in Indexed.objects.order_by("position").values_list("run_id", flat=True)[: looks * 100 : 100]]
    timed("one run's life", [ask(Search(run=run)) for run in runs], goal)
    few = max(looks // 2, 4)
    for who, seen, wanted in (("sees all", everything, "goal 150"), ("one workflow of five", some, "goal 400")):
        for what, several in (
            ("30 days", [Search()]),
            ("all time", [Search(span="all")]),
            ("an outcome", [Search(outcome=(one,)) for one in outcomes]),
            ("an actor and an event", [Search(actor=(actor,), type=(kind,)) for actor, kind in actors]),
            ("two frequent words", [Search(text=text) for text in pairs["frequent"]]),
        ):
            asked = [weigh(several[number % len(several)], seen) for number in range(few)]
            timed(f"facets and histogram, {what}, {who}", asked, wanted)

    def admin(text: str) -> Callable[[], Any]:
        def call() -> Any:
            rows = Payload.objects.order_by("-id")
            for one in text.split():  # what ModelAdmin.search_fields = ["body"] makes of it, and its two counts
                rows = rows.filter(body__icontains=one)
            return rows.count(), Payload.objects.count(), list(rows[:100])

        return call

    for name, texts in pairs.items():
        timed(f"Django admin's search, two {name} words", [admin(text) for text in texts[:2]])


def load(seconds: float) -> None:
    """Another process appends; this one seals and follows, then catches up."""
    from audit import following, keeping, sealer
    from audit.index import projection
    from bench.engine import Process

    following.follow_all()  # those that have never followed
    while any(one.events for one in following.lags()):
        keeping.keep()
    first, lags = sealer.size(), [0.0]
    appender = Process.start("bench.audit", "0", "--append", str(seconds)).until_ready()
    try:
        appender.say()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            lags.append(following.lag(projection.NAME).seconds)
            keeping.keep()
        rate = appender.answer()["rate"]
        began = time.perf_counter()
        behind = following.lag(projection.NAME)
        while any(one.events for one in following.lags()):
            keeping.keep()
        caught_up = time.perf_counter() - began
    finally:
        appender.end()
    print(
        f"under {rate:,.0f} events/s appended, {sealer.size() - first:,} in all: search behind at most {max(lags):.2f} s,"
        f" mostly {statistics.median(lags):.2f} s (goal 2); at the end {behind.events:,} events, all followers caught up in"
        f" {caught_up:.2f} s; load {_load()}",
        flush=True,
    )


def append(seconds: float) -> None:
    """The other process of `load`."""
    import json

    from django.db import connection, transaction

    from aegis.core.actors import SYSTEM
    from audit import journal
    from audit.drafts import Context, Draft

    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    began, written = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        drafts = [Draft("system.started", SYSTEM, {"release": f"r{written}", "process": "bench"}) for _ in range(20)]
        with transaction.atomic():
            journal.append(Context(stream=f"bench:{written % 50}", scope="system"), drafts)
        written += len(drafts)
    print(json.dumps({"rate": written / (time.perf_counter() - began)}), flush=True)


def verification(jobs: int) -> None:
    from audit import verify

    for what, check, goal in (
        ("bytes, chain and tree", verify.verify_leaves, "10 s a million"),
        ("whole", verify.verify, "60 s a million"),
    ):
        began = time.perf_counter()
        report = check(jobs=jobs)
        took = time.perf_counter() - began
        said = "good" if report.is_good else f"NOT GOOD: {report.first_bad}"
        print(
            f"verification, {what}: {report.checked:,} events in {took:.1f} s with {jobs} processes, {said}; load {_load()}"
            f"   goal {goal}",
            flush=True,
        )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--looks", type=int, default=60)
    parser.add_argument("--load", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--engine", type=int, default=0)
    parser.add_argument("--append", type=float, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    django.setup()
    if options.append:
        append(options.append)
        return
    from aegis.core import clock
    from audit.models import Event

    index(options.count)
    real, end = clock.now, Event.objects.filter(stream__startswith="bench:", run_id__isnull=False).latest("id").at
    clock.now = lambda: end  # the end of the rows: "30 days" are the newest third of them
    measure(options.looks)
    clock.now = real
    if options.jobs:
        verification(options.jobs)
    if options.load:
        load(options.load)
    if options.engine:
        from django.db import connection

        from bench import followed

        followed.measure(connection.vendor, runs=options.engine, rounds=3)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
    main(sys.argv[1:])
