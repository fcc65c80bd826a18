"""What advice about approval policies must know of runs (`approvals.advice.runs`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.visibility import Viewer
from approvals.advice.cases import Passage, Standing
from audit import masking
from audit.models import Event, Payload
from orchestration.authority import live
from orchestration.authority.matrix import Matrix
from orchestration.engine.models import Run

#: By these a run undoes what it did: because it gave up, was cancelled, or was rolled back.
_UNDOING: Final = ("run.compensating", "run.rolled_back")


class PastRuns:
    """Implements `approvals.advice.runs.Runs`."""

    def undone(self, reader: Viewer, run_ids: Collection[UUID]) -> dict[UUID, bool]:
        known = list(Run.objects.visible_to(reader).filter(pk__in=list(run_ids)).values_list("pk", flat=True))
        rows = Event.objects.filter(run_id__in=known, type__in=_UNDOING)
        undone = set(rows.order_by().values_list("run_id", flat=True))
        return {run_id: run_id in undone for run_id in known}

    def passed(self, reader: Viewer, policy: str, since: datetime, most: int) -> Sequence[Passage]:
        named = f'"policy":{canonical.dump(policy).decode()}'
        rows = Event.objects.visible_to(reader).filter(type="gate.passed_fast", at__gte=since, line__contains=named)
        newest = list(rows.order_by("-id").values_list("stream", "seq", "run_id", "capability")[:most])
        proposals = _proposals(reader, {stream for stream, *_ in newest})
        undone = self.undone(reader, {run_id for _, _, run_id, _ in newest if run_id is not None})
        return [
            Passage(run_id, capability, _before(proposals.get(stream, []), seq), undone.get(run_id, False))
            for stream, seq, run_id, capability in newest
            if run_id is not None
        ]

    def standing(self, policy: str) -> Standing:
        matrix = live.current().matrix
        locks = [lock for found in matrix.locks.values() for lock in found]
        return Standing(
            is_locked=any(lock.policy == policy for lock in locks),
            locked=frozenset(name for name, found in matrix.locks.items() if found),
            is_high=any(matrix.capabilities[name].risk == "high" for name in _asked_under(matrix, policy)),
        )


def _asked_under(matrix: Matrix, policy: str) -> set[str]:
    """Capabilities with a grant whose gate, or whose limit, names the policy."""
    grants = [grant for role in matrix.roles.values() for grant in role.grants.values()]
    return {
        one.capability for one in grants if policy in (one.policy, one.limits.beyond) and one.capability in matrix.capabilities
    }


def _proposals(reader: Viewer, streams: Collection[str]) -> dict[str, list[tuple[int, Json]]]:
    """Stream -> (seq, proposal) of every verdict of some runs, by seq, as the reader may see them."""
    rows = Payload.objects.filter(stream__in=list(streams), name="proposal", erased_at__isnull=True).order_by("stream", "seq")
    found: dict[str, list[tuple[int, Json]]] = {}
    for row in masking.shown(reader, rows.values_list("stream", "seq", "name", "body")):
        try:
            found.setdefault(row.stream, []).append((row.seq, canonical.parse(row.body)))
        except Malformed:
            continue
    return found


def _before(proposals: Sequence[tuple[int, Json]], seq: int) -> dict[str, Json] | None:
    """The parameters of the verdict that the gate stands behind; None where there was none (a gate step), or it is erased."""
    proposal = next((value for at, value in reversed(proposals) if at < seq), None)
    parameters = proposal.get("parameters") if isinstance(proposal, dict) else None
    return parameters if isinstance(parameters, dict) else None
