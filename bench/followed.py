"""What sealing and following cost the engine, and how far they fall behind under its full load.

python -m bench.followed [postgresql|sqlite] [--runs N] [--rounds N]

In each round two workers drain a backlog twice (as in `bench.engine`): nobody follows, and then a third process does what the
sweep of a worker does (`audit.keeping.keep`: seal, sign, follow), over and over. Told are the ratio of the two rates, how old
the oldest event was that the slowest follower had not handled, and how long it took to handle the rest. With two cores and
three processes the ratio is the price in processor time, not that of a lock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from bench.engine import VENDORS, Bench, Process

PAUSE_SECONDS = 0.1  # between two looks; the sweep of a worker pauses for a second


def keep_until_told() -> dict[str, Any]:
    """Follow until a line comes in, then to the end."""
    import django

    django.setup()
    from audit import following, keeping, sealer

    def until_nothing_waits() -> float:
        began = time.perf_counter()
        while any(one.events for one in following.lags()):
            keeping.keep()
        return time.perf_counter() - began

    until_nothing_waits()
    first = sealer.size()
    print("ready", flush=True)
    sys.stdin.readline()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    cpu, lags = time.process_time(), [0.0]
    while not over.is_set():
        lags.append(max(one.seconds for one in following.lags()))
        keeping.keep()
        time.sleep(PAUSE_SECONDS)
    behind = max(one.events for one in following.lags())
    caught_up = until_nothing_waits()
    events = sealer.size() - first
    return {
        "events": events,
        "most": max(lags),
        "median": statistics.median(lags),
        "behind": behind,
        "caught_up": caught_up,
        "cpu_us_per_event": (time.process_time() - cpu) / max(events, 1) * 1e6,
    }


def followed(bench: Bench) -> tuple[dict[str, Any], dict[str, Any]]:
    keeper = Process.start("bench.followed", "keeper", **bench.environ).until_ready()
    try:
        keeper.say()
        figures = bench.aegis()
        keeper.say()
        return figures, keeper.answer()
    finally:
        keeper.end()


def measure(vendor: str, *, runs: int, rounds: int) -> None:
    ratios = []
    with ExitStack() as stack:
        bench = Bench(vendor, stack.enter_context(VENDORS[vendor]()), runs)
        bench.prepare()
        for _ in range(rounds):
            alone = bench.aegis()["rate"]
            figures, kept = followed(bench)
            ratios.append(figures["rate"] / alone)
            print(
                f"{vendor}: {alone:,.0f} steps/s alone, {figures['rate']:,.0f} followed; {kept['events']:,} events,"
                f" behind at most {kept['most']:.2f} s, mostly {kept['median']:.2f} s;"
                f" the last {kept['behind']:,} in {kept['caught_up']:.2f} s;"
                f" {kept['cpu_us_per_event']:.0f} us of the follower's processor each; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    print(f"{vendor}: with followers {statistics.median(ratios):.2f} of the rate without (median of {rounds})")


def main(arguments: list[str]) -> None:
    if arguments == ["keeper"]:
        print(json.dumps(keep_until_told()), flush=True)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vendors", nargs="*", default=list(VENDORS), choices=[*VENDORS, []])
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    for vendor in given.vendors:
        measure(vendor, runs=given.runs, rounds=given.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
