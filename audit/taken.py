"""What `journal verify` asks of rights taken in an emergency: does each stand as its events say?

A row that somebody wrote into the table, or whose end was moved, has no event that says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from aegis.core import clock_text
from aegis.identity.models import TakenRight
from audit import chain
from audit.models import Event
from audit.problems import Problem

_TYPES = (
    "access.right_taken", "access.taken_right_ended", "access.taken_right_reviewed", "access.taken_right_review_late",
)  # fmt: skip


def problems(stream: str | None) -> Iterator[Problem]:
    """Every row against its events. Nothing for a single stream: the rows of one person may be in any."""
    if stream is not None:
        return
    # Rows first: what is written while we read has its events by the time these are read.
    rows = list(TakenRight.objects.select_related("area"))
    told: dict[tuple[str, str], tuple[Event, dict[str, str]]] = {}
    for event in Event.objects.filter(type__in=_TYPES).order_by("id").iterator():
        data = chain.read_line(event.line)["data"]
        told[event.type, data["taken"]] = (event, data)
    for row in rows:
        taken, ended, reviewed, late = (told.get((type_, str(row.pk))) for type_ in _TYPES)
        if taken is None:
            yield Problem("taken", "", 0, f"the right {row.pk} was taken by nobody: no event says so")
            continue
        event, data = taken
        said = (data["person"], data["area"], data["right"], data["until"])
        if said != (str(row.person_id), row.area.name, row.verb, clock_text.render(row.ends_at)):
            yield Problem("taken", event.stream, event.seq, "the right that stands is not the one that was taken")
        if (row.ended_at is not None) and ended is None:
            yield Problem("taken", event.stream, event.seq, "the right ended, and no event says so")
        if row.reviewed_at is not None and (reviewed is None or reviewed[1]["verdict"] != row.verdict):
            yield Problem("taken", event.stream, event.seq, "the review is not what was said")
        if row.late_at is not None and late is None:
            yield Problem("taken", event.stream, event.seq, "its review counts as late, and no event says so")
