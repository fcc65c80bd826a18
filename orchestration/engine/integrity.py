"""What `journal verify` asks of the engine: are stream heads and stored states what the journal says?"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from audit import chain
from audit.models import Event
from audit.problems import Problem
from orchestration.engine import state as states
from orchestration.engine.fold import fold
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.state import State

CHUNK = 500


def run_heads() -> Iterator[tuple[str, int, str]]:
    """(stream, seq, leaf) as the run rows have it: a stream cut off at its tail disagrees."""
    for row in Run.objects.values_list("id", "seq", "head").iterator(chunk_size=CHUNK):
        yield f"run:{row[0]}", row[1], row[2]


def run_head(stream: str) -> tuple[int, str] | None:
    return Run.objects.filter(pk=stream.partition(":")[2]).values_list("seq", "head").first()


def review_head(stream: str) -> tuple[int, str] | None:
    return ReviewItem.objects.filter(pk=stream.partition(":")[2]).values_list("seq", "head").first()


def review_heads() -> Iterator[tuple[str, int, str]]:
    for row in ReviewItem.objects.filter(seq__gt=0).values_list("id", "seq", "head").iterator(chunk_size=CHUNK):
        yield f"review:{row[0]}", row[1], row[2]


def message_head(stream: str) -> tuple[int, str] | None:
    return SentMessage.objects.filter(pk=stream.partition(":")[2]).values_list("seq", "head").first()


def message_heads() -> Iterator[tuple[str, int, str]]:
    for row in SentMessage.objects.values_list("id", "seq", "head").iterator(chunk_size=CHUNK):
        yield f"message:{row[0]}", row[1], row[2]


def state_problems(stream: str | None) -> Iterator[Problem]:
    """Every run (or the one of `stream`) whose stored state is not the fold of its events. Runs move while we read: one that
    changed in between is read again."""
    runs = Run.objects.all()
    if stream is not None:
        prefix, _, name = stream.partition(":")
        runs = runs.filter(pk=name) if prefix == "run" else runs.none()
    for run_id in runs.values_list("id", flat=True).iterator(chunk_size=CHUNK):
        for _ in range(3):
            problem, is_settled = _compare(run_id)
            if is_settled:
                break
        if problem:
            yield problem


def _compare(run_id: UUID) -> tuple[Problem | None, bool]:
    """A problem or None, and whether the row stood still while its events were read."""
    before = Run.objects.filter(pk=run_id).values_list("state", "seq", "status", "step").get()
    stream = f"run:{run_id}"
    state = State()
    for event in Event.objects.filter(stream=stream, seq__lte=before[1]).order_by("seq").iterator(chunk_size=CHUNK):
        line = chain.read_line(event.line)
        state = fold(state, stream=stream, seq=event.seq, type=line["type"], data=line["data"])
    stood_still = Run.objects.filter(pk=run_id, seq=before[1]).exists()
    if states.dump(state) != before[0]:
        return Problem("state", stream, before[1], "the stored state is not what its events say"), stood_still
    if (state.status, state.step) != (before[2], before[3]):
        return Problem("state", stream, before[1], "status or step of the run differ from its state"), stood_still
    return None, True
