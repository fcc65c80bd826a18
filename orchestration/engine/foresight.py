"""Which record a turn is going to ask for, so that one query reads those of a whole wave. Pure.

A guess and never a rule: a turn reads for itself what nobody foresaw, and what was foreseen for nothing costs a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis.core.canonical import Json
from aegis.core.expressions import Failed, compile_value
from orchestration.agents.protocol import Done
from orchestration.engine.planner import News, Replied
from orchestration.engine.scene import facts_of
from orchestration.engine.state import State
from orchestration.engine.steps.proposals import proposal_faults
from orchestration.workflows.definition import VARIABLES, ActStep, Definition


def record_ahead(
    definition: Definition, state: State, news: Sequence[News], *, run_input: Json, values: Mapping[str, Json]
) -> tuple[str, str] | None:
    """(type, key) of the record that the effect behind an agent's answer is on; None when the answer leads to none."""
    done = next((item.reply for item in news if isinstance(item, Replied)), None)
    if not isinstance(done, Done) or state.phase != "calling":
        return None
    following = definition.following(definition.step(state.step))
    step = definition.step(following) if following else None
    if not isinstance(step, ActStep):
        return None
    facts = facts_of(run_input, {**values, state.step: done.output}, state.cases)
    proposal = compile_value(step.act, VARIABLES).value(facts)
    if isinstance(proposal, Failed) or proposal_faults(proposal):
        return None
    return proposal["resource"]["type"], proposal["resource"]["id"]
