"""A run in hand: what a worker keeps in memory between the claim and the moment it lets go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from audit.drafts import Head
from audit.models import Payload
from orchestration.engine import state as states
from orchestration.engine.lease import Claimed
from orchestration.engine.planner import News
from orchestration.engine.scene import AgentCall, EffectCall, RunFacts, Scene, World
from orchestration.engine.state import State
from orchestration.workflows import releases


@dataclass(slots=True)
class Held:
    """One leased run.

    Attributes:
        news: what it was not told yet; None = nothing, [] = have a look anyway.
        seen: inbox ordinal consumed by the last commit.
        wake_at_claim: messages up to here were read when it was claimed.
        is_alone: its lease had been lost; no other run is taken until it commits.
        erased: a payload it needs is gone.
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

    def scene(self, world: World) -> Scene:
        """A fresh working copy from what is committed."""
        return Scene(run=self.run, state=self.state, seq=self.head.seq, input=self.input, values=dict(self.values), world=world)

    def absorb(self, scene: Scene, head: Head) -> None:
        """The scene was committed: it is the truth now."""
        self.seen = max([self.seen, self.wake_at_claim, *scene.consumed])
        self.state, self.values, self.head = scene.state, scene.values, head
        self.claims, self.is_alone = 0, False


def take(claimed: Claimed) -> Held:
    """Load what a claimed run needs: its release (cached), its state, the payloads its expressions read."""
    state = states.load(claimed.state)
    stream = f"run:{claimed.id}"
    payloads = _payloads(stream, state.outputs)
    input_body = payloads.get(f"{stream}/1")
    return Held(
        run=RunFacts(
            id=claimed.id,
            stream=stream,
            subject=str(claimed.subject_ref),
            requester=str(claimed.requester_id) if claimed.requester_id else "",
            release=releases.load(claimed.release_id),
        ),
        state=state,
        head=Head(seq=claimed.seq, leaf=claimed.head),
        fence=claimed.fence,
        seen=claimed.seen,
        wake_at_claim=claimed.wake,
        claims=claimed.claims,
        is_alone=claimed.was_lost,
        input=canonical.parse(input_body) if input_body else None,
        values={step: canonical.parse(payloads[place]) for step, place in state.outputs.items() if payloads.get(place)},
        erased=not input_body or any(not payloads.get(place) for place in state.outputs.values()),
    )


def put_down(held: Held, *, due_at: datetime | None) -> None:
    """Give up the lease without an event: there was nothing to do."""
    moment = connection.ops.adapt_datetimefield_value
    native = connection.features.has_native_uuid_field

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orchestration_run SET lease_until = NULL, due_at = %s, seen = %s, claims_since_commit = 0"
                " WHERE id = %s AND fence = %s",
                [
                    moment(due_at) if due_at else None,
                    max(held.seen, held.wake_at_claim),
                    held.run.id if native else held.run.id.hex,
                    held.fence,
                ],
            )

    in_transaction(work)


def _payloads(stream: str, outputs: Mapping[str, str]) -> dict[str, str]:
    """place -> body of the input and of every output; "" where erased. One query."""
    wanted = Q(stream=stream, seq=1, name="input")
    for place in outputs.values():
        where, _, seq = place.rpartition("/")
        wanted |= Q(stream=where, seq=int(seq), name="output")
    return {f"{row.stream}/{row.seq}": row.body for row in Payload.objects.filter(wanted)}
