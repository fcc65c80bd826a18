"""What `journal verify` asks of the guards: are halts, breakers and the queue of the held what the journal says?"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef

from aegis.core.db import in_transaction
from aegis.identity.authority import hold_shared
from audit.models import Event
from audit.problems import Problem
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.engine.models import Run

_PHASE = {"breaker.opened": "open", "breaker.probing": "half_open", "breaker.closed": "closed"}
_STATUS = {"halt.placed": "standing", "halt.resuming": "resuming", "halt.lifted": "lifted"}


def problems(stream: str | None) -> list[Problem]:
    """Rows whose last event says otherwise; runs whose place in the queue of the held does not fit their status."""
    if stream is None:
        return in_transaction(lambda: [*_halts(), *_breakers(), *_held()])
    prefix = stream.partition(":")[0]
    if prefix not in ("halt", "breaker"):
        return []
    return in_transaction(lambda: [found for found in (*_halts(), *_breakers()) if found.stream == stream])


def _halts() -> Iterator[Problem]:
    hold_shared()  # nobody places or resumes one while they are compared
    newest: dict[str, Halt] = {}
    for halt in Halt.objects.select_for_update().order_by("placed_at"):
        newest[halt.stream] = halt
    for stream, halt in newest.items():
        last = _last(stream, *_STATUS)  # runs may still be released after it was lifted
        if last is None or _STATUS[last.type] != halt.status:
            yield Problem("state", stream, last.seq if last else 0, f"the halt is {halt.status}, its events say otherwise")


def _breakers() -> Iterator[Problem]:
    for row in Breaker.objects.select_for_update().order_by("key"):
        last = _last(row.stream, *_PHASE)
        if (_PHASE[last.type] if last else "closed") != row.phase:
            yield Problem("state", row.stream, last.seq if last else 0, f"the breaker is {row.phase}, its events say otherwise")


def _held() -> Iterator[Problem]:
    """One statement each, so that what moves meanwhile cannot look wrong."""
    queued = HeldRun.objects.filter(run=OuterRef("pk"))
    for run_id in Run.objects.filter(~Exists(queued), status=Run.Status.HELD).values_list("pk", flat=True)[:20]:
        yield Problem("state", f"run:{run_id}", 0, "the run is held, and in no queue of the held")
    for run_id in HeldRun.objects.exclude(run__status=Run.Status.HELD).values_list("run_id", flat=True)[:20]:
        yield Problem("state", f"run:{run_id}", 0, "the run is in the queue of the held, and is not held")


def _last(stream: str, *types: str) -> Event | None:
    return Event.objects.filter(stream=stream, type__in=types).order_by("-seq").first()
