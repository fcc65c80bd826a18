"""What `journal verify` asks of approvals: the heads of the request streams."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from approvals.models import ApprovalRequest

CHUNK = 500
_PREFIX = "request:"


def request_heads() -> Iterator[tuple[str, int, str]]:
    """(stream, seq, leaf) as the request rows have it: a stream cut off at its tail disagrees."""
    for request_id, seq, head in ApprovalRequest.objects.values_list("id", "seq", "head").iterator(chunk_size=CHUNK):
        yield f"{_PREFIX}{request_id}", seq, head


def request_head(stream: str) -> tuple[int, str] | None:
    """The head of one stream; None if it has no row."""
    try:
        request_id = UUID(stream.removeprefix(_PREFIX))
    except ValueError:
        return None
    return ApprovalRequest.objects.filter(pk=request_id).values_list("seq", "head").first()
