"""What must hold of every walk."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import orjson

from audit import journal
from audit.models import Event
from orchestration.engine import state as states
from orchestration.engine.fold import fold
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.recompute import Report, recompute
from orchestration.engine.state import State
from tests.generated.walks import Walk
from tests.simulation.test_cases import each_gate_has_one_outcome, no_effect_happened_twice

ENDINGS = ("run.completed", "run.failed", "run.cancelled", "run.rolled_back")


def lines_of(walk: Walk) -> dict[str, list[dict]]:
    found = defaultdict(list)
    events = Event.objects.filter(stream__startswith="run:").order_by("stream", "seq")
    for stream, line in events.values_list("stream", "line"):
        found[stream].append(orjson.loads(line))
    return found


def hold(walk: Walk) -> dict[str, Any]:
    """Check everything; what was compared, counted."""
    lines = lines_of(walk)
    assert walk.broken == [], walk.broken[0]
    compared = the_journal_folds_to_every_state_that_was_stored(walk, lines)
    report = every_decision_comes_out_as_recorded()
    joined = each_child_is_joined_once(lines)
    everything_came_to_rest_and_to_an_end(walk)
    no_effect_happened_twice(walk, lines)
    each_gate_has_one_outcome(lines)
    found = journal.verify()
    assert found.problems == []
    return {
        "runs": len(walk.roots),
        "children": len(walk.runs) - len(walk.roots),
        "events": sum(map(len, lines.values())),
        "states": compared,
        "routes": report.routes,
        "verdicts": report.verdicts,
        "joined": joined,
        "ended": walk.rested,
        "happened": walk.counted(),
    }


def the_journal_folds_to_every_state_that_was_stored(walk: Walk, lines: dict[str, list[dict]]) -> int:
    """At every commit: what its turn stored, and what the row was seen to hold between turns."""
    compared = 0
    for run_id in walk.runs:
        stream, state = f"run:{run_id}", State()
        for line in lines[stream]:
            state = fold(state, stream=stream, seq=line["seq"], type=line["type"], data=line["data"])
            text = states.dump(state)
            assert states.load(text) == state
            for place in (walk.stored, walk.seen):
                if (stored := place.get((run_id, line["seq"]))) is not None:
                    compared += 1
                    assert text == stored, f"{stream}/{line['seq']} {line['type']}"
        row = Run.objects.get(pk=run_id)
        assert (states.dump(state), state.status, len(lines[stream])) == (row.state, row.status, row.seq), stream
    assert compared > len(walk.runs)
    return compared


def every_decision_comes_out_as_recorded() -> Report:
    report = recompute()
    assert [str(difference) for difference in report.differences] == []
    assert report.erased == 0
    return report


def each_child_is_joined_once(lines: dict[str, list[dict]]) -> int:
    """Each end of a child reached its parent's inbox once, and the parent counted it once."""
    told: Counter[str] = Counter()
    for run, ref in InboxItem.objects.filter(kind="child_ended").values_list("run", "ref"):
        told[f"{run}/{ref.partition('#')[0]}"] += 1
    counted: Counter[str] = Counter()
    for stream, found in lines.items():
        for line in found:
            if line["type"] in ("child.ended", "child.undone"):
                counted[f"{stream.removeprefix('run:')}/{line['data']['child']}"] += 1
    for pk, parent in Run.objects.exclude(parent=None).values_list("pk", "parent"):
        ends = [line["type"] for line in lines[f"run:{pk}"] if line["type"] in ENDINGS]
        family = f"{parent}/{pk}"
        assert (told[family], counted[family]) == (len(ends), len(ends)), f"{family}: {ends}"
    return sum(counted.values())


def everything_came_to_rest_and_to_an_end(walk: Walk) -> None:
    assert walk.restless == []
    left = Run.objects.exclude(status__in=Run.TERMINAL)
    assert [walk.told(run) for run in left] == []
    assert not Run.objects.filter(parent__isnull=False).exclude(parent__status__in=Run.TERMINAL).exists()
