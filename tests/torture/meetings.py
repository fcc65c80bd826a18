"""Judges what runs had to do with one another: children, resources, messages. Part of `judge`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tests.torture.families import CHILDREN, Family

if TYPE_CHECKING:
    from tests.torture.judge import Case

ENDED: Final = ("completed", "failed", "cancelled")


def joined(case: Case) -> Iterator[str]:
    """Every child was forked once, its end told once and counted once; no run that completed had one too few or too many."""
    told = Counter(ref.partition("#")[0] for _, _, kind, ref in case.facts["inbox"] if kind == "child_ended")
    mine: Counter[str] = Counter()
    for child in case.facts["children"]:
        mine[child["parent"]] += 1
        ends = int(child["status"] in ENDED)
        counts = [case.facts["forked"].get(child["id"], 0), told[child["id"]], case.facts["joined"].get(child["id"], 0)]
        if counts != [1, ends, ends]:
            yield f"child {child['id']}: {child['status']}, forked/told/joined {counts}"
    for child in case.facts["forked"].keys() - {child["id"] for child in case.facts["children"]}:
        yield f"child {child}: forked, and not there"
    for order in case.orders:
        run = case.runs.get(order.key)
        if run and isinstance(order.shape, Family) and run["status"] == "completed" and mine[run["id"]] != CHILDREN:
            yield f"{order.key}: completed with {mine[run['id']]} children"


def alone(case: Case) -> Iterator[str]:
    """No two runs were at one resource at once, and nobody who rests holds one."""
    kinds = {run["id"]: order.kind for order in case.orders if (run := case.runs.get(order.key))}
    holders: dict[str, str] = {}
    for run_id, type_ in case.facts["places"]:
        if run_id not in kinds:
            continue
        dock = f"dock/{kinds[run_id]}"
        if type_ == "resource.claimed":
            if holders.setdefault(dock, run_id) != run_id:
                yield f"{dock}: claimed by {run_id} while {holders[dock]} held it"
        elif holders.get(dock) == run_id:
            del holders[dock]
    statuses = {run["id"]: run["status"] for run in case.facts["runs"]}
    for key, run_id in case.facts["held"]:
        if statuses.get(run_id) in (*ENDED, "waiting_review"):
            yield f"{key}: held by {run_id}, which is {statuses[run_id]}"


def delivered(case: Case) -> Iterator[str]:
    """A message that was handed over was read once; one that was not, never; and every run that completed has read one."""
    handed = Counter(ref for _, _, kind, ref in case.facts["inbox"] if kind == "message")
    for wait, count in handed.items():
        if count > 1:
            yield f"wait {wait}: told {count} messages"
    for message, status in case.facts["messages"].items():
        count = case.facts["received"].get(message, 0)
        if count != (status == "delivered"):
            yield f"message {message}: {status}, read {count} times"
    for order in case.orders:
        run = case.runs.get(order.key)
        if run and isinstance(order.shape, Family) and run["status"] == "completed":
            count = case.types(run).get("message.received", 0)
            if count != 1:
                yield f"{order.key}: completed after {count} messages"
