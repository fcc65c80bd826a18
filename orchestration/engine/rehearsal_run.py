"""One run of a rehearsal: its state, what happened in it, and who answers it. Pure.

A run and the child runs of its blocks are played by the same turns, steps and fold as real ones; what a commit and an inbox do
between real ones, `engine.rehearsal` does between these.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from aegis.core import canonical
from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from audit.drafts import Draft
from orchestration.agents.protocol import Abstain, CallFailed, Done, Reply
from orchestration.engine.fold import fold
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.moves import EffectAnswered, Message, News, Replied
from orchestration.engine.rehearsal_told import Happening, Source, Waiting
from orchestration.engine.rehearsal_world import Cast, ThoughtOf
from orchestration.engine.scene import REFUSALS, RunFacts, Scene
from orchestration.engine.state import State
from orchestration.engine.world_port import PastEffect
from orchestration.workflows.definition import ReviewStep, RouteStep, WaitStep
from orchestration.workflows.sample_keys import Place, said
from orchestration.workflows.samples import Script

T = TypeVar("T")
Ask = Callable[[AgentCall], Reply | CallFailed]


@dataclass(frozen=True, slots=True)
class Stage:
    """What all runs of a rehearsal share.

    Attributes:
        payloads: "<stream>/<seq>" -> input, output or list of items that the event there carries.
        ask: really asks an agent; None = only the script answers.
    """

    cast: Cast
    script: Script
    world: ThoughtOf
    ask: Ask | None
    payloads: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Played:
    """One run as far as it was played.

    Attributes:
        places: the blocks around it, outer first; trail: the same in words; parent: the run that forked it.
        news: what its next turn is told; None = it had no turn yet.
        due: when it is due by itself.
        call: what it asked of the outside in its last turn.
    """

    stage: Stage
    facts: RunFacts
    business_key: str
    places: tuple[Place, ...] = ()
    parent: uuid.UUID | None = None
    name: str = ""
    trail: str = ""
    news: list[News] | None = None
    due: datetime | None = None
    call: AgentCall | EffectCall | None = None
    state: State = field(default_factory=State)
    seq: int = 0
    happenings: list[Happening] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    output: Json = None
    _heard: int = 0
    _proposal: Mapping[str, Json] = field(default_factory=dict)
    _source: Source | None = None
    _delivered: set[tuple[str, int]] = field(default_factory=set)  # visits of waits that were sent their message

    def begin(self, type_: str, data: Mapping[str, Json], values: Mapping[str, Json]) -> None:
        """Take its first event, and the payloads of that."""
        self._fold(type_, data)
        self._keep(values)

    def scene(self) -> Scene:
        """A working copy for its next turn."""
        state, payloads = self.state, self.stage.payloads
        scene = Scene(
            run=self.facts,
            state=state,
            seq=self.seq,
            input=payloads[state.input or f"{self.facts.stream}/1"],
            values={step: payloads[place] for step, place in state.outputs.items()},
            world=self.stage.world,
        )
        scene.item = payloads[state.items][state.index] if state.items else None
        parts = [message.output for message in self.news or () if isinstance(message, Message)]
        parts += state.fork.done.values() if state.fork else ()
        scene.parts = {place: payloads[place] for place in parts if place}
        return scene

    def take_over(self, scene: Scene) -> None:
        """What a turn made of it."""
        source, self._source = self._source, None
        for draft in scene.drafts:
            values = {name: canonical.load(body) for name, body in draft.payloads.items()}
            self.happenings.append(self._told(draft, values, source))
            source = None  # the first event of a turn is the one that takes the answer
            self._remember(draft.type, draft.data, values)
            self._fold(draft.type, draft.data)
            self._keep(values)
            if draft.outcome not in REFUSALS:
                self.stage.world.on_record.setdefault(self.facts.stream, set()).add(draft.type)
            if draft.type == "run.completed":
                self.output = values.get("output")
        is_in_flight = self.state.phase in ("calling", "acting")
        self.call = scene.call or (self.call if is_in_flight else None)
        for patch in scene.patches:
            record = patch.record
            self.stage.world.records[(record.type, record.key)] = (record.version + 1, canonical.load(patch.body))

    def lets_time_pass(self) -> bool:
        """Times and retries are over at once; who is waited for is waited for, unless the script says that nobody came."""
        if self.state.phase == "listening":
            return self._said(self.stage.script.fails) == "no_message"
        return self.state.phase in ("ready", "retrying", "sleeping")

    # ---- who answers -----------------------------------------------------------------------------------------------------

    def answers(self) -> list[News]:
        """What comes of where the run stands; empty if nobody answers."""
        match self.call:
            case AgentCall() as call:
                reply = self._reply(call)
                return [Replied(call.step, call.visit, call.attempt, reply, 0)] if reply is not None else []
            case EffectCall() as call:
                return [self._effect(call)]
        if self.state.phase == "deciding":
            outcome = self._said(self.stage.script.decisions)
            return [self._message("gate_settled", self.state.request, outcome)] if outcome else []
        if self.state.phase == "reviewing":
            return self._reviewed()
        return self._delivery() if self.state.phase == "listening" else []

    def next_ordinal(self) -> int:
        self._heard += 1
        return self._heard

    def _delivery(self) -> list[News]:
        """The message a wait is for, once: one that breaks its contract ends nothing."""
        answer, place = self._said(self.stage.script.answers), (self.state.step, self.state.visit)
        if answer is None or place in self._delivered or self._said(self.stage.script.fails) == "no_message":
            return []
        self._delivered.add(place)
        return [self._message("message", self.state.awaits, "rehearsed", value=answer)]

    def _reply(self, call: AgentCall) -> Reply | CallFailed | None:
        failure, answer = self._said(self.stage.script.fails), self._said(self.stage.script.answers)
        self._source = "given"
        match failure:
            case "abstained":
                return Abstain("The rehearsal says so")
            case "low_confidence":
                return Done(answer, confidence=0.0) if answer is not None else None
            case "agent_error" | "timeout" | "contract":
                return CallFailed(failure, "The rehearsal says so")
        if answer is not None:
            return Done(answer, confidence=1.0)
        if self.stage.ask is None:
            return None
        self._source = "asked"
        return self.stage.ask(call)

    def _effect(self, call: EffectCall) -> EffectAnswered:
        failure, result = self._said(self.stage.script.fails), self._said(self.stage.script.answers)
        error = {"effect_failed": "refused", "effect_unknown": "unknown"}.get(failure or "", "")
        is_given = bool(error) or result is not None
        self._source = "given" if is_given else "assumed"
        detail = "The rehearsal says so" if error else ""
        return EffectAnswered(call.step, call.visit, call.key, call.attempt, None if error else result, error, detail, 0)

    def _reviewed(self) -> list[News]:
        """A review step is answered like an agent; an item that another step fell into waits, unless a decision ends it."""
        step, item = self.facts.release.definition.step(self.state.step), self.state.item
        decision, answer = self._said(self.stage.script.decisions), self._said(self.stage.script.answers)
        if isinstance(step, RouteStep) and isinstance(step.cases.get(decision or ""), str):
            return [self._message("review_settled", item, "completed", case=decision or "")]
        if isinstance(step, ReviewStep):
            is_kept = answer is not None and not self.facts.release.contracts[step.output].faults(answer)
            return [self._message("review_settled", item, "completed", value=answer)] if is_kept else []
        if decision == "completed" and answer is not None:
            return [self._message("review_settled", item, "completed", value=answer)]
        return [self._message("review_settled", item, "cancelled")] if decision == "cancelled" else []

    def _message(self, kind: str, ref: str, outcome: str, *, value: Json = None, case: str = "") -> Message:
        self._source = "given"
        ordinal = self.next_ordinal()
        place = f"told:{self.facts.id}/{ordinal}" if value is not None else ""
        if place:
            self.stage.payloads[place] = value
        return Message(
            ordinal=ordinal,
            kind=kind,
            ref=ref,
            outcome=outcome,
            actor=SYSTEM,
            reason="",
            output=place,
            value=value,
            case=case,
            digest=self.state.digest if kind == "gate_settled" else "",
        )

    def _said(self, of: Mapping[str, T]) -> T | None:
        """What the script says for this visit of the step, here."""
        return said(of, self.places, self.state.step, self.state.visit)

    # ---- telling ---------------------------------------------------------------------------------------------------------

    def waiting(self) -> Waiting | None:
        """Who the run itself waits for; None while it waits for its children."""
        state, step = self.state, self.state.step
        if isinstance(self.call, AgentCall):
            return Waiting("answer", step, self.call.agent.name, within=self.trail)
        match state.phase:
            case "deciding":
                policy = self.stage.cast.policies[state.policy]
                return Waiting("decision", step, policy.name, tuple(policy.groups), within=self.trail)
            case "reviewing":
                item = next(one for one in reversed(self.happenings) if one.type == "review.opened")
                queue = str(item.data["queue"])
                who = self.stage.cast.queues.get(queue, ())
                return Waiting("review", step, queue, who, str(item.data["code"]), within=self.trail)
            case "listening":
                wait = self.facts.release.definition.step(step)
                return Waiting("message", step, wait.message if isinstance(wait, WaitStep) else "", within=self.trail)
            case "held":
                return Waiting("guard", step, state.held_by, (), state.hold, within=self.trail)
        return None

    def _told(self, draft: Draft, values: Mapping[str, Json], source: Source | None) -> Happening:
        return Happening(
            step=draft.step or self.state.step,
            visit=int(draft.data.get("visit", self.state.visit)),
            type=draft.type,
            data=dict(draft.data),
            values=values,
            outcome=draft.outcome,
            matrix=draft.matrix,
            agent=draft.agent,
            capability=draft.capability,
            source=source,
        )

    def _fold(self, type_: str, data: Mapping[str, Json]) -> None:
        before = (self.state.step, self.state.visit)
        self.seq += 1
        self.state = fold(self.state, stream=self.facts.stream, seq=self.seq, type=type_, data=data)
        if self.state.step and not self.state.ending and (self.state.step, self.state.visit) != before:
            self.path.append(self.state.step)

    def _keep(self, values: Mapping[str, Json]) -> None:
        """Of the event just folded, the one payload that places name (`hand` reads the same three)."""
        for name in ("input", "output", "items"):
            if name in values:
                self.stage.payloads[f"{self.facts.stream}/{self.seq}"] = values[name]

    def _remember(self, type_: str, data: Mapping[str, Json], values: Mapping[str, Json]) -> None:
        """What the journal would say of effects, for those that are undone."""
        if type_ in ("verdict.given", "effect.intended"):
            self._proposal = values.get("proposal", self._proposal)
        elif type_ == "effect.done":
            done = PastEffect(self._proposal, values.get("before"), values.get("after"), values.get("output"))
            self.stage.world.effects[data["key"]] = done
