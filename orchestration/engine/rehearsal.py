"""A run in memory: the real planner and steps over a world that is only thought of. Pure; nothing is sent, nothing is written.

Whoever rehearses says who answers what (a `Script`). What nobody answers for is where the rehearsal stops, with who would be
waited for. An agent is asked only through `ask`, if one is given. Effects are judged by the matrix and never carried out: what
a local one would make of its record is computed in memory, a remote one counts as done with the answer the script has for it.
Waits and retries take no time: the clock of the rehearsal is moved on instead (docs/adr/0025).

Blocks fork runs that are played beside the one that forked them, over the same world and clock. Whoever can go on has a turn in
the order in which runs were begun, round after round; only when nobody can is the clock moved, to the next moment at which one
is due. So of two branches the one that needs fewer answers is first, and the same script always gives the same rehearsal.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aegis.core import canonical, clock_text
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import Failed, compile_value
from orchestration.engine import turn
from orchestration.engine.children import telling
from orchestration.engine.children.wants import Child, Tell
from orchestration.engine.moves import Message
from orchestration.engine.rehearsal_run import Ask as Ask
from orchestration.engine.rehearsal_run import Played, Stage
from orchestration.engine.rehearsal_told import Happening as Happening
from orchestration.engine.rehearsal_told import Part as Part
from orchestration.engine.rehearsal_told import Rehearsal as Rehearsal
from orchestration.engine.rehearsal_told import Waiting as Waiting
from orchestration.engine.rehearsal_world import Cast as Cast
from orchestration.engine.rehearsal_world import ThoughtOf
from orchestration.engine.scene import RunFacts, Scene
from orchestration.workflows import parts
from orchestration.workflows.definition import MapStep, ParallelStep, RunStep
from orchestration.workflows.release import Release
from orchestration.workflows.sample_keys import Place
from orchestration.workflows.samples import Script

# What goes further is a loop that goes on for ever, or too much to be tried while change control holds its lock.
MAX_TURNS: Final = 3_000
MAX_RUNS: Final = 500
MAX_DEPTH: Final = 10
MAX_STEPS: Final = 5_000


class InputRefused(Invalid):
    """The input breaks the contract of the workflow, or has no business key: no run would come of it."""

    code, title = "input_refused", "The input is not accepted"


class _GivenUp(Exception):
    """A bound was reached; the text says which."""


def rehearse(cast: Cast, payload: Json, script: Script, ask: Ask | None = None) -> Rehearsal:
    """Play a run and the child runs of its blocks as far as they go.

    Args:
        ask: really asks an agent; None = only the script answers.

    Raises:
        InputRefused
    """
    return _Family(cast, payload, script, ask).play()


class _Family:
    def __init__(self, cast: Cast, payload: Json, script: Script, ask: Ask | None) -> None:
        definition = cast.release.definition
        self.stage = Stage(cast, script, ThoughtOf(cast, script), ask)
        key = _accepted(cast.release, payload)
        run_id = uuid.uuid5(cast.release.id, canonical.digest_of(payload))
        facts = RunFacts(
            id=run_id,
            stream=f"run:{run_id}",
            subject="",
            requester=str(cast.requester.get("id", "")),
            release=cast.release,
        )
        self.root = Played(self.stage, facts, key)
        clock = {}
        if definition.deadline:
            clock = {"at": clock_text.render(cast.now), "deadline": clock_text.render(cast.now + definition.deadline)}
        self.root.begin("run.submitted", {"next": definition.steps[0].common.id, **clock}, {"input": payload})
        self.runs: dict[uuid.UUID, Played] = {run_id: self.root}  # in the order in which they were begun
        self.turns = self.steps = 0

    def play(self) -> Rehearsal:
        given_up = ""
        try:
            while self._round() or self._lets_time_pass():
                pass
        except _GivenUp as bound:
            given_up = str(bound)
        return self._told(self.root, given_up)

    def _round(self) -> bool:
        """One turn for every run that can go on. Was there any?"""
        able = [run for run in self.runs.values() if run.news or run.news is None or self._is_due(run)]
        for run in able:
            self._turn(run)
        return bool(able)

    def _is_due(self, run: Played) -> bool:
        return run.due is not None and run.due <= self.stage.world.now

    def _lets_time_pass(self) -> bool:
        """Move the clock to the next moment at which a run is due. False if time changes nothing.

        No time is let pass for the sake of a person, a message or a guard; but their limits may pass before that moment."""
        moments = [run.due for run in self.runs.values() if run.due is not None and run.lets_time_pass()]
        if not moments:
            return False
        first = min(moments)
        between = [run.due for run in self.runs.values() if run.due is not None and run.due < first]
        self.stage.world.now = max(self.stage.world.now, min([first, *between]))
        return True

    def _turn(self, run: Played) -> None:
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise _GivenUp(f"more than {MAX_TURNS:,} turns")
        scene = run.scene()
        try:
            run.due = turn.take(scene, run.news or [])
        except turn.Runaway as runaway:
            raise _GivenUp(str(runaway)) from None
        before = len(run.path)
        run.take_over(scene)
        self._walked(len(run.path) - before)
        run.news = [] if run.state.is_ended else run.answers()
        for child in scene.children:
            self._fork(run, child)
        for tell in scene.tells:
            self._tell(tell)
        self._report(run, scene)

    def _fork(self, parent: Played, child: Child) -> None:
        if len(self.runs) >= MAX_RUNS:
            raise _GivenUp(f"more than {MAX_RUNS:,} runs")
        if len(parent.places) >= MAX_DEPTH:
            raise _GivenUp(f"blocks more than {MAX_DEPTH} deep")
        data, release = child.first.data, child.release
        if data["path"]:
            release = replace(release, definition=release.definition.body(data["path"]))
        step = parent.facts.release.definition.step(child.step)
        assert isinstance(step, ParallelStep | MapStep | RunStep), "only blocks fork"
        place = Place(child.step, child.visit, child.ordinal + 1 if isinstance(step, MapStep) else 0, isinstance(step, RunStep))
        name = parts.name_of(step, child.ordinal)
        facts = RunFacts(
            id=child.id,
            stream=f"run:{child.id}",
            subject="",
            requester=parent.facts.requester,
            release=release,
            is_child=True,
        )
        run = Played(
            self.stage,
            facts,
            child.business_key or parent.business_key,
            places=(*parent.places, place),
            parent=parent.facts.id,
            name=name,
            trail=", ".join(filter(None, (parent.trail, f"{child.step}: {name}"))),
        )
        values: Mapping[str, Json] = {name: canonical.load(body) for name, body in child.first.payloads.items()}
        run.begin(child.first.type, data, values)
        self.runs[child.id] = run
        self._walked(len(run.path))

    def _walked(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise _GivenUp(f"more than {MAX_STEPS:,} steps")

    def _tell(self, tell: Tell) -> None:
        told = self.runs[tell.run_id]
        told.news = [*(told.news or ()), Message(told.next_ordinal(), tell.kind, "", "", tell.actor, "")]

    def _report(self, run: Played, scene: Scene) -> None:
        """Tell the parent that it has ended."""
        ended = telling.ended(scene, run.parent)
        if ended is None:
            return
        parent = self.runs[ended.parent_id]
        ref = telling.ref_of(ended, run.facts.id)
        heard = telling.heard(ref, ordinal=parent.next_ordinal(), outcome=ended.outcome)
        value = self.stage.payloads[heard.output] if heard.output else None
        parent.news = [*(parent.news or ()), replace(heard, value=value)]

    # ---- telling ---------------------------------------------------------------------------------------------------------

    def _told(self, run: Played, given_up: str = "") -> Rehearsal:
        told = [(one, self._told(one)) for one in self.runs.values() if one.parent == run.facts.id]
        waits = None if run.state.is_ended or given_up else run.waiting() or _waits_inside([one for _, one in told])
        last = run.happenings[-1].data if run.happenings else {}
        status: str = run.state.status
        if given_up:
            status = "runaway"
        elif waits is not None and waits.kind == "answer":
            status = "waiting_answer"
        return Rehearsal(
            status=status,
            outcome=run.state.outcome,
            success=str(last.get("success", "")) if status == "completed" else "",
            path=tuple(run.path),
            happenings=tuple(run.happenings),
            waits_for=waits,
            business_key=run.business_key,
            values={step: self.stage.payloads[place] for step, place in run.state.outputs.items()},
            output=run.output,
            parts=tuple(_part(one, rehearsal) for one, rehearsal in told),
            given_up=given_up,
        )


def _part(run: Played, rehearsal: Rehearsal) -> Part:
    place = run.places[-1]
    return Part(place.step, place.visit, run.name, place.item, place.is_run, rehearsal)


def _waits_inside(children: list[Rehearsal]) -> Waiting | None:
    """An agent nobody answered for comes first: without its answer nothing is known of the rest."""
    found = [one.waits_for for one in children if one.waits_for is not None]
    return min(found, key=lambda one: one.kind != "answer", default=None)


def _accepted(release: Release, payload: Json) -> str:
    """The business key of an input that a run could be started with.

    Raises:
        InputRefused
    """
    definition = release.definition
    faults: list[Fault] = release.contracts[definition.input].faults(payload)
    if faults:
        raise InputRefused(f"The input breaks {definition.input}: {faults[0]}", faults=faults)
    found = compile_value(definition.business_key, {"input": "map", "steps": "map"}).value({"input": payload, "steps": {}})
    if isinstance(found, Failed) or not isinstance(found, str | int) or not str(found):
        what = f"the business key {definition.business_key} has no value in this input"
        raise InputRefused(what, faults=[Fault("", what)])
    return str(found)
