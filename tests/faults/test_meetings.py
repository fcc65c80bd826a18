"""The judge of families sees what it is there for: told of a good ending it is silent, told of a broken one it is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.torture import meetings
from tests.torture.shapes import FAMILIES, Order

ORDERS = (Order("1", workflow=FAMILIES[0].name), Order("2", workflow=FAMILIES[0].name))
RUNS = {order.key: {"id": f"run-{order.id}", "key": order.key, "status": "completed"} for order in ORDERS}


def case(**changed: Any) -> Any:
    """Two families that completed one after the other, as `facts` tells it."""
    children = [{"id": f"{run}/{n}", "parent": run, "status": "completed"} for run in ("run-1", "run-2") for n in range(6)]
    ids = [child["id"] for child in children]
    facts: dict[str, Any] = {
        "runs": list(RUNS.values()),
        "children": children,
        "inbox": [["run-1", 2, "child_ended", f"{one}#0,0,0,,"] for one in ids] + [["run-1", 3, "message", "wait-1"]],
        "forked": dict.fromkeys(ids, 1),
        "joined": dict.fromkeys(ids, 1),
        "received": {"m-1": 1, "m-2": 1},
        "messages": {"m-1": "delivered", "m-2": "delivered", "m-3": "kept"},
        "places": [[run, type_] for run in ("run-1", "run-2") for type_ in ("resource.claimed", "run.completed")],
        "held": [],
    }
    return SimpleNamespace(orders=ORDERS, runs=RUNS, facts=facts | changed, types=lambda run: {"message.received": 1})


def test_of_a_good_ending_nothing_is_said() -> None:
    assert [*meetings.joined(case()), *meetings.alone(case()), *meetings.delivered(case())] == []


@pytest.mark.parametrize(
    ("check", "changed"),
    [
        (meetings.joined, {"joined": {**case().facts["joined"], "run-1/0": 2}}),
        (meetings.joined, {"forked": {**case().facts["forked"], "run-1/0": 2}}),
        (meetings.joined, {"forked": {**case().facts["forked"], "lost": 1}}),
        (meetings.joined, {"inbox": [*case().facts["inbox"], ["run-1", 9, "child_ended", "run-1/0#0,0,0,,"]]}),
        (meetings.joined, {"children": case().facts["children"][1:]}),
        (meetings.alone, {"places": [["run-1", "resource.claimed"], ["run-2", "resource.claimed"]]}),
        (meetings.alone, {"held": [["dock/plain", "run-1"]]}),
        (meetings.delivered, {"received": {"m-1": 2, "m-2": 1}}),
        (meetings.delivered, {"received": {"m-1": 1, "m-2": 1, "m-3": 1}}),
        (meetings.delivered, {"inbox": [["run-1", 3, "message", "wait-1"], ["run-1", 4, "message", "wait-1"]]}),
    ],
)
def test_a_broken_ending_is_told(check: Any, changed: dict[str, Any]) -> None:
    assert list(check(case(**changed)))
