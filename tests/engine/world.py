"""A world in memory for the pure core: real matrix, real policies, real handlers; records in a dict."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aegis.core import canonical, clock_text
from approvals import policies
from orchestration.authority import verdicts
from orchestration.contracts.checker import compile_schema
from orchestration.engine import turn
from orchestration.engine.guards.asking import Hold, Spent, Take, Unspent
from orchestration.engine.scene import RunFacts, Scene
from orchestration.engine.state import State, Undoable
from orchestration.engine.world_port import PastEffect, RecordSnapshot, Stood
from orchestration.records import handlers
from orchestration.workflows.definition import AgentVersion, Definition
from orchestration.workflows.release import Release

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AGENT_ID = "00000000-0000-0000-0000-00000000000a"
OWNER_ID = "00000000-0000-0000-0000-00000000000b"
REQUESTER_ID = "00000000-0000-0000-0000-00000000000c"

ANYTHING = compile_schema({"type": "object"})


def policy(name: str = "sign-off", **spec: object) -> policies.Policy:
    document = {
        "apiVersion": "aegis/v1",
        "kind": "ApprovalPolicy",
        "metadata": {"name": name},
        "spec": {"stages": [{"groups": ["Leads"], "quorum": 1}], "deadline": "1h", **spec},
    }
    return policies.load(document)


@dataclass
class MemoryWorld:
    """What a turn may look at, in memory."""

    now: datetime = START
    epoch: int = 1
    worker: str = "w1"
    matrix_document: dict = field(default_factory=dict)
    policies: dict[str, policies.Policy] = field(default_factory=dict)
    records: dict[tuple[str, str], tuple[int, dict]] = field(default_factory=dict)
    remote: set[str] = field(default_factory=set)
    without_voters: set[str] = field(default_factory=set)
    without_queues: set[str] = field(default_factory=set)
    authors: dict[str, verdicts.Principal] = field(default_factory=dict)
    past_effects: dict[str, PastEffect] = field(default_factory=dict)  # by key; `Life` keeps them
    holds: dict[str, Hold] = field(default_factory=dict)  # by key ("agent:clerk"); "*" = everything
    stirred: set[str] = field(default_factory=set)
    halts: Stood = field(default_factory=Stood)
    holders: dict[str, str] = field(default_factory=dict)  # resource -> whoever comes first at it
    above: frozenset[str] = frozenset()  # runs that led to this one
    on_record: frozenset[str] = frozenset()  # event types
    written: set[tuple[str, str]] = field(default_factory=set)  # records that the run changed
    uses: dict[str, dict[str, tuple[datetime, int]]] = field(default_factory=dict)  # counter -> effect -> (when, how much)
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def matrix(self) -> verdicts.Matrix:
        return verdicts.load(self.matrix_document, number=1)

    def requester(self, ref: str) -> dict:
        return {"id": ref, "roles": ["Desk"]}

    def author(self, place: str) -> verdicts.Principal | None:
        return self.authors.get(place)

    def policy(self, name: str) -> policies.Policy | None:
        return self.policies.get(name)

    def record(self, type_: str, key: str) -> RecordSnapshot:
        version, body = self.records.get((type_, key), (0, None))
        return RecordSnapshot(type_, key, version, body)

    def effect_handler(self, name: str) -> str:
        if name in handlers.HANDLERS:
            return "local"
        return "remote" if name in self.remote else ""

    def patch(self, handler, body, parameters):
        return handlers.get(handler)(dict(body) if body is not None else None, parameters)

    def has_written(self, type_: str, key: str, run_id: uuid.UUID) -> bool:
        return (type_, key) in self.written

    def past(self, stream: str, effect: Undoable) -> PastEffect | None:
        return self.past_effects.get(effect.key)

    def has_queue(self, name: str) -> bool:
        return name not in self.without_queues

    def has_voters(self, policy: str) -> bool:
        return policy not in self.without_voters

    def hold(self, asking) -> Hold | None:
        return self.holds.get(asking.key) or self.holds.get("*")

    def takes(self, asking) -> list[Take]:
        return []

    def used(self, readings, effect: str) -> dict[str, int]:
        found = {}
        for reading in readings:
            uses = self.uses.get(reading.key, {})
            found[reading.key] = sum(
                amount for key, (at, amount) in uses.items() if key != effect and at >= self.now - reading.per
            )
        return found

    def count(self, item) -> None:
        uses = self.uses.setdefault(item.key, {})
        if isinstance(item, Spent):
            uses[item.effect] = (self.now, item.amount)
        elif isinstance(item, Unspent):
            uses.pop(item.effect, None)

    def counters_of(self, effect: str) -> list[str]:
        return sorted(key for key, uses in self.uses.items() if effect in uses)

    def stood(self, workflows, agent_id, since) -> Stood:
        return self.halts

    def holder(self, resource: str, run_id: uuid.UUID) -> str:
        return self.holders.get(resource, "")

    def is_above(self, other: str, run_id: uuid.UUID) -> bool:
        return other in self.above

    def is_retired(self, workflow_id: uuid.UUID, version: int) -> bool:
        return False

    def recorded(self, stream: str, types) -> frozenset[str]:
        return self.on_record & frozenset(types)

    def is_stirred(self, key: str) -> bool:
        return key in self.stirred

    def roll(self) -> float:
        return self.random.random()

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def agent_version(name: str = "clerk") -> AgentVersion:
    return AgentVersion(
        id=AGENT_ID, name=name, digest="a" * 64, connector="python", callable="test.clerk", settings={}, roles=("desk",),
        owner=OWNER_ID,
    )  # fmt: skip


def release(definition: Definition, *, tables: dict | None = None, contracts: dict | None = None) -> Release:
    """Everything open-ended unless a test says otherwise."""

    class Open(dict):
        def __missing__(self, key):
            return ANYTHING

    class Agents(dict):
        def __missing__(self, key):
            return agent_version(key)

        def get(self, key, default=None):
            return self[key]

    class Pins(dict):
        def __missing__(self, key):
            return canonical.digest(key.encode())

    return Release(
        id=uuid.UUID(int=1), workflow_id=uuid.UUID(int=2), workflow=definition.name, version=1, digest="d" * 64,
        definition=definition, pins=Pins(), contracts=Open(contracts or {}), tables=tables or {}, agents=Agents(),
    )  # fmt: skip


class Life:
    """One run driven by hand: news in, events out; every commit succeeds."""

    def __init__(self, definition: Definition, world: MemoryWorld, *, payload: object = None, **pinned: object) -> None:
        from orchestration.engine.fold import fold

        self.world = world
        self.run = RunFacts(
            id=uuid.UUID(int=9), stream="run:9", subject="s", requester=REQUESTER_ID,
            release=release(definition, **pinned),
        )  # fmt: skip
        self.payload = payload if payload is not None else {}
        self.values: dict = {}
        self.events: list[tuple[str, dict]] = []
        first = {"next": definition.steps[0].common.id}
        if definition.deadline:
            first |= {"at": clock_text.render(world.now), "deadline": clock_text.render(world.now + definition.deadline)}
        self.state = fold(State(), stream="run:9", seq=1, type="run.submitted", data=first)
        self.events.append(("run.submitted", first))
        self.last: Scene | None = None
        self.proposal: dict = {}
        self.due_at: datetime | None = None

    def turn(self, *news: object) -> list[str]:
        """Take one turn; returns the types of its events."""
        scene = Scene(
            run=self.run, state=self.state, seq=len(self.events), input=self.payload, values=dict(self.values),
            world=self.world,
        )  # fmt: skip
        self.due_at = turn.take(scene, news)
        self.state, self.values, self.last = scene.state, scene.values, scene
        self.events += [(draft.type, dict(draft.data)) for draft in scene.drafts]
        self._remember(scene)
        for patch in scene.patches:
            self.world.records[(patch.record.type, patch.record.key)] = (
                patch.record.version + 1,
                canonical.parse(patch.body),
            )
        return [draft.type for draft in scene.drafts]

    def _remember(self, scene: Scene) -> None:
        """What the journal would say of effects: the proposal of the newest verdict or intent, and what came of it."""
        for draft in scene.drafts:
            said = {name: canonical.parse(body) for name, body in draft.payloads.items()}
            if draft.type == "verdict.given":
                self.proposal = said["proposal"]
            if draft.type in ("effect.done", "effect.stated"):
                self.world.past_effects[draft.data["key"]] = PastEffect(
                    self.proposal, said.get("before"), said.get("after"), said.get("output")
                )

    def reply(self, answer: object) -> list[str]:
        """Answer the agent call of the last turn."""
        from orchestration.engine.moves import Replied

        call = self.last.call
        return self.turn(Replied(call.step, call.visit, call.attempt, answer, 5))

    def refold(self) -> State:
        from orchestration.engine.fold import fold

        state = State()
        for seq, (type_, data) in enumerate(self.events, start=1):
            state = fold(state, stream="run:9", seq=seq, type=type_, data=data)
        return state
