"""What a turn of one run is computed from, and what it adds up to. Pure: the world is handed in, nothing is looked up.

A `Scene` is the working copy of one run within one turn. `emit` folds every event at once, so the planner's next question is
answered from the state that the commit will store. The result is a `Transition`, or nothing at all if the commit is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aegis.core import canonical, strangers
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.expressions import Failed, compile_value
from audit.drafts import Draft
from orchestration.authority.verdicts import Verdict
from orchestration.engine.children.wants import Child, Tell
from orchestration.engine.fold import fold
from orchestration.engine.guards.asking import Mark, Take, WasHeld
from orchestration.engine.intended import AgentCall, EffectCall, ItemOpening, Listening, Opening, Patch, Queueing
from orchestration.engine.state import State
from orchestration.engine.world_port import RecordSnapshot, World
from orchestration.workflows.definition import AgentVersion, OnFailure, Step
from orchestration.workflows.release import Release

#: Namespace of ids derived from run, step and visit: asking twice makes the same id.
NAMESPACE = uuid.UUID("6f1d2f0a-5b1e-4b6e-9d53-0a6e61c5a3f7")

MAX_REASON_CHARS = 2_000

#: Outcomes of events that count as nothing on record where a step requires their type.
REFUSALS = ("rejected", "expired", "withdrawn", "cancelled", "changes_requested")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What does not change while a run lives.

    Attributes:
        lineage: ids of the other workflows whose runs led to it.
        trace: that its events and calls belong to; its own id if nobody brought one along.
    """

    id: uuid.UUID
    stream: str
    subject: str  # random id for the business key
    requester: str  # user ref; "" when AEGIS itself submitted
    release: Release
    is_child: bool = False
    lineage: tuple[str, ...] = ()
    trace: str = ""

    @property
    def trace_id(self) -> str:
        return self.trace or self.id.hex

    @property
    def workflows(self) -> tuple[str, ...]:
        """Ids of the workflows whose halts hold it: its own, and those above it."""
        return (str(self.release.workflow_id), *self.lineage)


@dataclass(slots=True)
class Scene:
    """One run in one turn.

    Attributes:
        values: step -> output value; what the commit makes durable as payloads.
        sources: step -> place of its output, via `state.outputs`.
        seen: highest inbox ordinal consumed.
        takes, marks: what the transition takes from guards, and what it tells them.
        waited_for: the guard that held the run when the turn began.
        listening, queueing: what it begins to wait for in this turn; claims: the resource that it takes.
        is_by_time: something is given up because time passed; it counts only if nothing unread has reached the run.
        is_erased: a payload it needs is gone.
        began: the state at the beginning of the turn.
        parts: "<stream>/<seq>" -> output of a child run of the block at the cursor.
        children, tells: runs to be forked, and what others are told.
    """

    run: RunFacts
    state: State
    seq: int
    input: Json
    values: dict[str, Json]
    world: World
    drafts: list[Draft] = field(default_factory=list)
    call: AgentCall | EffectCall | None = None
    openings: list[Opening] = field(default_factory=list)
    items: list[ItemOpening] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    closes_waits: bool = False  # open requests and review items of the run end with this transition
    asked_authority: bool = False
    lost_races: int = 0  # commits of this turn refused because a record moved
    takes: list[Take] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    listening: Listening | None = None
    queueing: Queueing | None = None
    claims: str = ""
    is_by_time: bool = False
    is_erased: bool = False
    item: Json = None
    parts: dict[str, Json] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    waited_for: str = field(init=False)
    began: State = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.state
        self.waited_for = f"{self.state.hold}:{self.state.held_by}" if self.state.phase == "held" else ""
        if self.waited_for:
            self.marks.append(WasHeld())

    def emit(
        self,
        type_: str,
        data: Mapping[str, Json],
        *,
        actor: Actor = SYSTEM,
        payloads: Mapping[str, Json] | None = None,
        cause: str = "",
        agent: AgentVersion | None = None,
        verdict: Verdict | None = None,
        capability: str = "",
        outcome: str = "",
        duration_ms: int | None = None,
    ) -> None:
        """Add one event and fold it. Payload values become their canonical bytes here, once."""
        draft = Draft(
            type=type_,
            actor=actor,
            data=data,
            payloads={name: canonical.dump(value) for name, value in (payloads or {}).items()},
            on_behalf=self.run.requester,
            cause=cause,
            step=str(data.get("step", "")),
            agent=agent.name if agent else "",
            agent_digest=agent.digest if agent else "",
            capability=capability,
            outcome=outcome,
            matrix=verdict.matrix if verdict else 0,
            duration_ms=duration_ms,
        )
        self.drafts.append(draft)
        self.state = fold(self.state, stream=self.run.stream, seq=self.seq + len(self.drafts), type=type_, data=data)

    def record(self, type_: str, key: str) -> RecordSnapshot:
        """A record as it will stand when this turn is committed: two effects of one turn on one record are no race."""
        for patch in reversed(self.patches):
            if (patch.record.type, patch.record.key) == (type_, key):
                return RecordSnapshot(type_, key, patch.record.version + 1, canonical.parse(patch.body))
        return self.world.record(type_, key)

    @property
    def step(self) -> Step:
        return self.run.release.definition.step(self.state.step)

    def next_of(self, step: Step) -> str:
        return self.run.release.definition.following(step)

    def derived_id(self, *parts: object) -> uuid.UUID:
        """A stable id for something of this visit."""
        state = self.state
        return uuid.uuid5(NAMESPACE, "/".join(map(str, (self.run.id, state.step, state.visit, *parts))))

    def agent_of(self, step_id: str) -> AgentVersion | None:
        """The agent (as pinned) whose step made an output; None for other steps."""
        step = self.run.release.definition.step(step_id)
        name = getattr(step, "agent", None)
        return self.run.release.agents.get(name) if name else None

    def facts(self) -> dict[str, Json]:
        """What expressions see: `input`, `steps.<id>.output|case`, and inside a `map` the item and its index."""
        steps: dict[str, dict[str, Json]] = {step: {"output": value} for step, value in self.values.items()}
        for step, case in self.state.cases.items():
            steps.setdefault(step, {})["case"] = case
        facts: dict[str, Json] = {"input": self.input, "steps": steps}
        if self.state.items:
            facts |= {"item": self.item, "index": self.state.index}
        return facts

    def evaluate(self, source: str) -> Json | Failed:
        """What a mapping computes, fit to be recorded and read back: strict reading applies to our own arithmetic too."""
        return recordable(self._value(source))

    def evaluate_all(self, sources: Mapping[str, str]) -> dict[str, Json] | Failed:
        """Every mapping, or the first failure with its name."""
        values = {name: self._value(source) for name, source in sources.items()}
        whole = recordable(values)  # together they are one payload, one level deeper
        if isinstance(whole, Failed):
            for name, value in values.items():
                if isinstance(part := recordable(value), Failed):
                    return Failed(f"{name}: {part.reason}")
        return whole

    def _value(self, source: str) -> Json | Failed:
        return compile_value(source, self.run.release.definition.variables).value(self.facts())

    def give_up(self, code: str, *, queue: str = "", contract: str = "", choices: Sequence[str] = (), cause: str = "") -> None:
        """End the step's own efforts: into a queue, to another step, or the run. Never silent (DESIGN promise 12)."""
        step = self.step
        action = step.common.given_up(code, queue)
        if self.state.ending:  # what cannot be undone is nobody's next step: a person looks, then the rest is undone
            self.hand_over(code, cause=cause)
            return
        match action:
            case OnFailure(action="fail"):
                self.emit("run.failed", {"step": step.common.id, "code": code}, cause=cause, outcome="failed")
            case OnFailure(action="compensate"):
                self.compensate(code, cause=cause)
            case OnFailure(action="step", target=target):
                self.emit(
                    "step.gave_up",
                    {"step": step.common.id, "visit": self.state.visit, "code": code, "next": target},
                    cause=cause,
                    outcome=code,
                )
            case _:
                target = action.target if action and action.target else queue
                self.review(code, target or self.run.release.definition.fallback_queue, contract, choices, cause=cause)

    def hand_over(self, code: str, *, cause: str = "") -> None:
        """Give up into a queue, whatever else the workflow says: what only a person can settle."""
        action = self.step.common.given_up(code)
        queue = action.target if action and action.action == "queue" else ""
        self.review(code, queue or self.run.release.definition.fallback_queue, cause=cause)

    def compensate(self, code: str, *, cancelled_by: Actor | None = None, reason: str = "", cause: str = "") -> None:
        """End the run, with `code` or as cancelled by somebody; first undo what it did, if any of that can be undone."""
        state = self.state
        actor = cancelled_by or SYSTEM
        payloads = {"reason": {"reason": reason}} if reason else {}
        if not state.undoable:
            if cancelled_by:
                self.emit(
                    "run.cancelled", {"step": state.step}, actor=actor, payloads=payloads, cause=cause, outcome="cancelled"
                )
            else:
                self.emit("run.failed", {"step": state.step, "code": code}, cause=cause, outcome="failed")
            return
        self.emit(
            "run.compensating",
            {
                "step": state.step,
                "visit": state.visit,
                "code": code,
                "ended": "cancelled" if cancelled_by else "failed",
                "effects": len(state.undoable),
                "by": written(actor) if cancelled_by else "",
            },
            actor=actor,
            payloads=payloads,
            cause=cause,
            outcome="compensating",
        )

    def review(self, code: str, queue: str, contract: str = "", choices: Sequence[str] = (), *, cause: str = "") -> None:
        """Put the step before people."""
        fallback = self.run.release.definition.fallback_queue
        queue = next((name for name in (queue, fallback) if self.world.has_queue(name)), "")
        if not queue:  # both were removed behind change control's back: visible, with a code, rather than tried for ever
            self.emit("run.failed", {"step": self.state.step, "code": "no_queue"}, cause=cause, outcome="failed")
            return
        # Ids differ between tries of one visit: a retry sent back by a person may fail again and needs a new item.
        item = self.derived_id("review", self.seq + len(self.drafts))
        # A run that has not begun stands at no step yet; its first may have to go before people all the same.
        skill = self.step.common.skill if self.state.step else ""
        data = {"step": self.state.step, "visit": self.state.visit, "item": str(item), "queue": queue, "code": code}
        if skill:
            data["skill"] = skill
        self.emit("review.opened", data, cause=cause, outcome="queued")
        self.items.append(ItemOpening(item, queue, self.state.step, self.state.visit, code, contract, tuple(choices), skill))


def written(actor: Actor) -> str:
    """An actor as event data: opaque ids, no name."""
    return f"{actor.kind}:{actor.ref}:{actor.auth}"


def actor_of(text: str) -> Actor:
    """The actor that `written` wrote; AEGIS itself for ""."""
    kind, _, rest = text.partition(":")
    ref, _, auth = rest.partition(":")
    return Actor(kind, ref, auth) if kind in ("user", "agent") else SYSTEM  # type: ignore[arg-type]


def recordable(value: Json) -> Json | Failed:
    """The value, unless no payload may hold it: then it would be written once and never be read again."""
    if isinstance(value, Failed):
        return _failed(value.reason)
    try:
        size = len(canonical.dump_checked(value))
    except Malformed as error:
        return _failed(str(error))
    if size > canonical.MAX_PAYLOAD_BYTES:
        return Failed(f"{size:,} bytes; a value holds at most {canonical.MAX_PAYLOAD_BYTES:,}")
    return value


def _failed(reason: str) -> Failed:
    """A failure whose reason is itself fit to be recorded: it may quote keys of any text and length."""
    return Failed(strangers.kept(reason, MAX_REASON_CHARS))
