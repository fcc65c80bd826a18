"""What `journal verify` asks of alerts: the heads of the streams of episodes."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from approvals.alerts.models import Episode

CHUNK = 500
_PREFIX = "alert:"


def heads() -> Iterator[tuple[str, int, str]]:
    """(stream, seq, leaf) as the rows have it: a stream cut off at its tail disagrees."""
    for pk, seq, leaf in Episode.objects.values_list("id", "seq", "head").iterator(chunk_size=CHUNK):
        yield f"{_PREFIX}{pk}", seq, leaf


def head(stream: str) -> tuple[int, str] | None:
    """The head of one stream; None if it has no row."""
    try:
        pk = UUID(stream.removeprefix(_PREFIX))
    except ValueError:
        return None
    return Episode.objects.filter(pk=pk).values_list("seq", "head").first()
