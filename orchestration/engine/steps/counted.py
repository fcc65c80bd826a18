"""Limits of grants, as steps meet them: the facts a verdict rests on, and what an effect or a reply counts for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aegis.core.canonical import Json
from orchestration.authority.grant_limits import SPENT, What, clock_fact, spent_key
from orchestration.authority.verdicts import Principal, Resource, Verdict, readings
from orchestration.engine.guards.asking import Counted, Seen, Spent, Unspent
from orchestration.engine.scene import Scene
from orchestration.engine.steps.proposals import Proposal
from orchestration.workflows.definition import AgentVersion

#: An agent may tell any number; so large that sums stay whole numbers everywhere.
MOST: Final = 10**12
#: Counts of a reply's usage that make up what it used.
_USAGE: Mapping[What, frozenset[str]] = {
    "tokens": frozenset({"input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"}),
    "cost": frozenset(),
}


def facts_for(
    scene: Scene, principals: Sequence[Principal], proposal: Proposal, facts: Mapping[str, Json], effect: str
) -> dict[str, Json]:
    """The facts, with the clock and the counters where some grant limits the capability; as they are for all others."""
    matrix = scene.world.matrix()
    if proposal["capability"] not in matrix.bounded:
        return dict(facts)
    resource = Resource(**proposal["resource"])
    wanted = {one for who in principals for one in readings(matrix, who, proposal["capability"], resource, facts)}
    in_order = sorted(wanted, key=lambda reading: (reading.key, reading.per))
    return {
        **facts,
        "clock": clock_fact(scene.world.now, matrix.zones),
        "limits": dict(scene.world.used(in_order, effect)),
    }


def seen(scene: Scene, verdict: Verdict, effect: str) -> None:
    """The commit looks again at the counters that the verdict rests on."""
    for count in verdict.counts:
        _take(scene, Seen(count.key, count.per, count.used, effect))


def spent(scene: Scene, verdict: Verdict, effect: str) -> None:
    """The effect counts, from its intent on."""
    for count in verdict.counts:
        if count.amount:
            _take(scene, Spent(count.key, effect, count.amount))


def unspent(scene: Scene, effect: str) -> None:
    """Nothing came of the effect, and it is not tried again."""
    for key in scene.world.counters_of(effect):
        _take(scene, Unspent(key, effect))


def replied(scene: Scene, agent: AgentVersion, usage: Mapping[str, int], *, attempt: int) -> None:
    """What the agent used up to answer, where a budget of it stands."""
    matrix = scene.world.matrix()
    entry = matrix.agents.get(agent.id)
    if entry is None or not entry.roles & matrix.metered:
        return
    call = f"{scene.run.id}/{scene.state.step}/{scene.state.visit}/{attempt}"
    for what in SPENT:
        if amount := _used(what, usage):
            _take(scene, Spent(spent_key(what, f"agent:{agent.id}"), call, amount))


def as_data(usage: Mapping[str, int]) -> dict[str, Json]:
    """What a reply used up, for the line of its event: the metrics add it up, and a payload may be erased."""
    return {what: amount for what in SPENT if (amount := _used(what, usage))}


def _used(what: What, usage: Mapping[str, int]) -> int:
    """The total that the agent tells, or the sum of its parts, whichever is more."""
    parts = sum(count for name, count in usage.items() if name in _USAGE[what])
    return min(MOST, max(parts, usage.get(what, 0), usage.get(f"total_{what}", 0)))


def _take(scene: Scene, item: Counted) -> None:
    scene.takes.append(item)
    scene.world.count(item)
