"""What the success criterion of completed runs came to: evaluated in the turn that completed them, kept in the journal."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from audit import chain
from audit.models import Event


def of_runs(run_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Run id -> "yes", "no" or "unknown" (it could not be evaluated), of completed runs with a criterion. One query."""
    found: dict[UUID, str] = {}
    events = Event.objects.filter(run_id__in=list(run_ids), type="run.completed").order_by("run_id", "seq")
    for run_id, line in events.values_list("run_id", "line"):
        success = chain.read_line(line)["data"]["success"]
        if run_id is not None and success != "none":
            found[run_id] = success
    return found
