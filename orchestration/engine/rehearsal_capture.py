"""What agents answered in a rehearsal, as the answers a sample stores. Pure.

A stored sample needs nobody but itself; its answers are taken from the agents by asking them (`aegis dry-run --capture`). A
step that always answered the same is named by its id alone, any other by the way to each of its visits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core.canonical import Json
from orchestration.engine.rehearsal_told import Happening, Rehearsal
from orchestration.workflows.definition import AgentStep
from orchestration.workflows.release import Release
from orchestration.workflows.sample_keys import read

#: Codes of `step.failed` that a sample may repeat.
_FAILED: Final = ("agent_error", "timeout")


def asking(sample: Json, release: Release) -> Json:
    """The sample without what it says of agents' answers, so that they are asked. How they shall fail stays, and what a person
    answers who completes an item in an agent's stead (`decisions`)."""
    agents, people = _agent_steps(release), sample.get("decisions", {})
    answers = sample.get("answers", {})
    kept = {key: value for key, value in answers.items() if key in people or read(key)[-1].step not in agents}
    return {**sample, "answers": kept}


def captured(sample: Json, played: Rehearsal) -> Json:
    """The sample with what the agents said when they were asked, and with what came of it as its expectation."""
    answers: dict[str, list[tuple[str, str, Json]]] = {}
    fails: dict[str, list[tuple[str, str, Json]]] = {}
    for long, short, one in _asked(played, "", ""):
        code = _failure(one)
        into, value = (fails, code) if code else (answers, one.values.get("output"))
        into.setdefault(one.step if not short else f"{short}.{one.step}", []).append((long, one.step, value))
    expect = {name: getattr(played, name) for name in ("status", "outcome") if getattr(played, name)}
    return {
        **sample,
        "answers": {**sample.get("answers", {}), **dict(_keys(answers, fails))},
        **({"fails": {**sample.get("fails", {}), **dict(_keys(fails, answers))}} if fails or sample.get("fails") else {}),
        "expect": {**expect, "path": list(played.path)},
    }


def _keys(found: Mapping[str, list[tuple[str, str, Json]]], others: Mapping[str, object]) -> Iterator[tuple[str, Json]]:
    for name, said in found.items():
        if name not in others and all(value == said[0][2] for _, _, value in said):
            yield name, said[0][2]
        else:
            yield from ((long, value) for long, _, value in said)


def _asked(played: Rehearsal, long: str, short: str) -> Iterator[tuple[str, str, Happening]]:
    """(key of this very visit, the `run` steps on the way to it, what the agent said), of everything that was really asked."""
    for one in played.happenings:
        if one.source == "asked" and (one.type == "step.completed" or _failure(one)):
            visit = f"/{one.visit}" if one.visit > 1 else ""
            yield f"{long}{one.step}{visit}", short, one
    for part in played.parts:
        visit = f"/{part.visit}" if part.visit > 1 else ""
        item = f"#{part.item}" if part.item else ""
        through = ".".join(filter(None, (short, part.step))) if part.is_run else short
        yield from _asked(part.played, f"{long}{part.step}{visit}{item}.", through)


def _failure(one: Happening) -> str:
    if one.type == "step.abstained":
        return "abstained"
    code = str(one.data.get("code", "")) if one.type == "step.failed" else ""
    return code if code in _FAILED else ""


def _agent_steps(release: Release) -> set[str]:
    own = {step.common.id for scope in release.definition.scopes() for step in scope.steps if isinstance(step, AgentStep)}
    return own.union(*(_agent_steps(other) for other in release.workflows.values()))
