"""What was shown with a request: frozen when it opened, replaced in part by edits since."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from approvals.events import REVISED
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Payload


def evidence_of(request: ApprovalRequest) -> dict[str, bytes]:
    """Name -> bytes of what was frozen when the request opened, or was edited since; erased pieces are left out."""
    return {name: body for (seq, name), body in journal.payloads(request.stream).items() if seq == shown_at(request, name)}


def shown_at(request: ApprovalRequest, name: str) -> int:
    """Where a piece of what is shown stands in the request's stream. An edit that was erased does not bring back what it
    replaced."""
    return request.revision if request.revision and name in REVISED else 1


def evidence_of_all(requests: Sequence[ApprovalRequest], name: str) -> dict[UUID, bytes]:
    """Request id -> one named piece of what was frozen when each opened, unless it was erased. One query for a whole list."""
    by_stream = {request.stream: request.pk for request in requests}
    rows = Payload.objects.filter(stream__in=list(by_stream), seq=1, name=name, erased_at__isnull=True)
    return {by_stream[stream]: body.encode() for stream, body in rows.values_list("stream", "body")}
