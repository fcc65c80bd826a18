"""What a run waits for that is neither a person nor a retry, for whoever reads it: a time, a message, or a resource and its
holder."""

from __future__ import annotations

from uuid import UUID

from aegis.core.canonical import Json
from orchestration.engine import state as states
from orchestration.engine.messages.models import MessageWait
from orchestration.engine.models import Run
from orchestration.engine.querysets import RunQuerySet
from orchestration.engine.resources import rows
from orchestration.engine.resources.models import ResourceWait


def of_run(run: Run, visible: RunQuerySet) -> dict[str, Json] | None:
    """{"kind", "name", "key", "holder", "until"}. No query for a run that waits for none of them; three at most.

    Args:
        visible: runs that the reader may see: of a holder that is not among them he learns only that there is one.
    """
    state = states.load(run.state)
    until = state.limit.due if state.limit else ""
    match state.phase:
        case "sleeping":
            return _told("time", until=state.until)
        case "listening":
            wait = MessageWait.objects.filter(run=run).first()
            return _told("message", wait.name, wait.key, until=until) if wait else None
        case "queueing":
            key = ResourceWait.objects.filter(run=run).values_list("key", flat=True).first()
            if key is None:
                return None
            found = rows.holder(key, run.pk)
            is_seen = bool(found) and visible.filter(pk=UUID(found)).exists()
            return _told("resource", key=key, holder=found if is_seen else "another run" if found else "", until=until)
        case _:
            return None


def _told(kind: str, name: str = "", key: str = "", *, holder: str = "", until: str = "") -> dict[str, Json]:
    return {"kind": kind, "name": name, "key": key, "holder": holder, "until": until}
