"""A run in hand: what a worker keeps in memory between the claim and the moment it lets go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import connection

from aegis.core import canonical
from aegis.core.bulk import as_stored
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from audit.drafts import Head
from orchestration.engine import calls, inbox
from orchestration.engine import state as states
from orchestration.engine.commit import DATABASE_GONE
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.lease import MAX_CLAIMS, Claimed
from orchestration.engine.moves import Message, News, Taken
from orchestration.engine.scene import RunFacts, Scene
from orchestration.engine.state import State
from orchestration.engine.world_port import World
from orchestration.workflows import releases
from orchestration.workflows.release import Release

log = structlog.get_logger(__name__)

MAX_PLACES: Final = 400  # payloads asked for in one query


@dataclass(slots=True)
class Held:
    """One leased run.

    Attributes:
        news: what it was not told yet; None = nothing, [] = have a look anyway.
        seen: inbox ordinal consumed by the last commit.
        wake_at_claim: messages up to here were read when it was claimed.
        is_alone: its lease had been lost. It gets its turn alone, and no other run is taken until it commits; nor until the
            call that was lost with its worker is answered: should that kill this one too, who waits would count as lost.
        erased: a payload it needs is gone.
        parent: run that forked this one.
        item: of the list that is walked, in a run inside a `map`.
        parts: outputs of child runs, loaded when the last of them may have ended.
        tries, lost_races, without_voters: of the turn that is being made; commits refused so far, and why.
    """

    run: RunFacts
    state: State
    head: Head
    fence: int
    seen: int
    wake_at_claim: int
    claims: int
    is_alone: bool
    input: Json
    values: dict[str, Json]
    erased: bool
    news: list[News] | None = None
    call: AgentCall | EffectCall | None = None
    deadline: float = 0.0
    tries: int = 0
    lost_races: int = 0
    without_voters: frozenset[str] = field(default_factory=frozenset)
    parent: UUID | None = None
    item: Json = None
    parts: Mapping[str, Json] = field(default_factory=dict)

    def scene(self, world: World) -> Scene:
        """A fresh working copy from what is committed."""
        scene = Scene(
            run=self.run, state=self.state, seq=self.head.seq, input=self.input, values=dict(self.values), world=world
        )
        scene.lost_races, scene.is_erased = self.lost_races, self.erased
        scene.item, scene.parts = self.item, dict(self.parts)
        return scene

    def _may_kill_again(self, scene: Scene) -> bool:
        call = scene.call or self.call
        return call is not None and scene.state.losses > 0 and calls.is_inside(call)

    def absorb(self, scene: Scene, head: Head) -> None:
        """The scene was committed: it is the truth now."""
        self.seen = max([self.seen, self.wake_at_claim, *scene.consumed])
        self.state, self.values, self.head = scene.state, scene.values, head
        self.claims, self.is_alone = 0, self._may_kill_again(scene)
        self.tries, self.lost_races, self.without_voters = 0, 0, frozenset()


def take(claimed: Sequence[Claimed]) -> tuple[list[Held], list[Claimed]]:
    """Load what claimed runs need: releases (cached), states, the payloads their expressions read, their messages.

    Two queries for all. Of a run that killed too many workers no payload is loaded: reading it may be what kills.

    Returns:
        What was loaded, and the runs that cannot be (their release or state is broken).
    """
    kept: list[tuple[Claimed, State, Release]] = []
    held: list[Held] = []
    broken: list[Claimed] = []
    for run in claimed:
        with _setting_aside(run, broken):
            state = states.load(run.state)
            kept.append((run, state, releases.load(run.release_id, state.path)))
    messages = inbox.unread({run.id: (run.seen, run.wake) for run, _, _ in kept})
    payloads = payloads_at(
        place for run, state, _ in kept if not _is_poison(run) for place in _places(run, state, messages.get(run.id, []))
    )
    for run, state, release in kept:
        facts = RunFacts(
            id=run.id,
            stream=f"run:{run.id}",
            subject=str(run.subject_ref),
            requester=str(run.requester_id) if run.requester_id else "",
            release=release,
            is_child=run.parent_id is not None,
            lineage=tuple(run.lineage.split()),
            trace=run.trace,
        )
        with _setting_aside(run, broken):
            held.append(_held(run, facts, state, payloads, messages.get(run.id, [])))
    return held, broken


@contextmanager
def _setting_aside(run: Claimed, broken: list[Claimed]) -> Iterator[None]:
    """What breaks while a run is read is the run's own fault; a database that is away is nobody's."""
    try:
        yield
    except DATABASE_GONE:
        raise
    except Exception:
        log.exception("run_cannot_be_taken", run=str(run.id), claims=run.claims)
        broken.append(run)


def _is_poison(run: Claimed) -> bool:
    return run.claims > MAX_CLAIMS


def put_down(held: Held, *, due_at: datetime | None) -> None:
    """Give up the lease without an event: there was nothing to do."""

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orchestration_run SET lease_until = NULL, due_at = %s, seen = %s, claims_since_commit = 0"
                " WHERE id = %s AND fence = %s",
                [as_stored(due_at), max(held.seen, held.wake_at_claim), as_stored(held.run.id), held.fence],
            )

    in_transaction(work)


def _held(run: Claimed, facts: RunFacts, state: State, payloads: Mapping[str, str], messages: Sequence[Message]) -> Held:
    input_body = payloads.get(_input_place(run, state))
    items_body = payloads.get(state.items) if state.items else "[]"
    parts = _part_places(state, messages)
    return Held(
        run=facts,
        state=state,
        head=Head(seq=run.seq, leaf=run.head),
        fence=run.fence,
        seen=run.seen,
        wake_at_claim=run.wake,
        claims=run.claims,
        is_alone=run.was_lost or state.losses > 0,
        input=canonical.load(input_body) if input_body else None,
        values={step: canonical.load(payloads[place]) for step, place in state.outputs.items() if payloads.get(place)},
        erased=not input_body or not items_body or any(not payloads.get(place) for place in state.outputs.values()),
        news=[Taken(), *messages],
        parent=run.parent_id,
        item=canonical.load(items_body)[state.index] if items_body and state.items else None,
        parts={place: canonical.load(payloads[place]) for place in parts if payloads.get(place)},
    )


def _places(run: Claimed, state: State, messages: Sequence[Message]) -> Iterable[str]:
    items = (state.items,) if state.items else ()
    return (_input_place(run, state), *items, *state.outputs.values(), *_part_places(state, messages))


def _input_place(run: Claimed, state: State) -> str:
    """A branch or an item reads its parent's input; everything else has its own."""
    return state.input or f"run:{run.id}/1"


def _part_places(state: State, messages: Sequence[Message]) -> tuple[str, ...]:
    """Outputs of child runs, once the last may have ended: a parent that only counts need not read them every time."""
    ended = [message for message in messages if message.kind == "child_ended"]
    if state.fork is None or len(state.fork.open) > len(ended):
        return ()
    return tuple(place for place in (*state.fork.done.values(), *(message.output for message in ended)) if place)


def payloads_at(places: Iterable[str]) -> dict[str, str]:
    """place -> body of inputs and outputs; "" where erased. One query for every `MAX_PLACES`."""
    pairs = [(stream, int(seq)) for stream, _, seq in (place.rpartition("/") for place in places)]
    found: dict[str, str] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(pairs), MAX_PLACES):
            chunk = pairs[start : start + MAX_PLACES]
            # Plain SQL: an OR of Q objects for twenty runs takes the ORM ten times as long to build as the database to answer.
            cursor.execute(
                "SELECT stream, seq, body FROM audit_payload WHERE name IN ('input', 'output', 'items')"
                " AND (stream, seq) IN (VALUES " + ", ".join(["(%s, %s)"] * len(chunk)) + ")",
                [value for pair in chunk for value in pair],
            )
            found |= {f"{stream}/{seq}": body for stream, seq, body in cursor.fetchall()}
    return found
