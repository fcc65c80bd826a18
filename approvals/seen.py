"""A request as one reader may see it: what its question and its stream say, with sensitive values masked."""

from __future__ import annotations

from dataclasses import replace

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.visibility import Viewer
from approvals import evidence
from approvals.models import ApprovalRequest
from approvals.questions import Evidence, Live
from audit import masking
from audit.models import Payload


def texts(viewer: Viewer, request: ApprovalRequest) -> dict[tuple[int, str], Json]:
    """(seq, name) -> every payload of the request's stream; what was erased or cannot be read is left out."""
    rows = Payload.objects.filter(stream=request.stream, erased_at__isnull=True).order_by("id")
    found: dict[tuple[int, str], Json] = {}
    for row in masking.shown(viewer, rows.values_list("stream", "seq", "name", "body")):
        try:
            found[(row.seq, row.name)] = canonical.parse(row.body)
        except Malformed:
            continue
    return found


def frozen(viewer: Viewer, request: ApprovalRequest) -> dict[str, Json]:
    """What was shown when the request opened, or was edited since, by name."""
    return {name: value for (seq, name), value in texts(viewer, request).items() if seq == evidence.shown_at(request, name)}


def live(viewer: Viewer, request: ApprovalRequest, live: Live) -> Live:
    """The question as it stands now. Its digest is not touched: what is signed is the whole."""
    if request.run_id is None or not masking.masker().is_hiding(viewer):
        return live
    about = [(request.run_id, value) for value in (live.title, live.before, live.after, live.record_label, live.aftermath)]
    title, before, after, label, aftermath = masking.masker().values(viewer, about)
    if request.question == "step":  # what is judged is the proposal itself
        proposal = frozen(viewer, request).get("proposal")
        after = proposal if isinstance(proposal, dict) else {"value": proposal}
    evidence = tuple(_seen(viewer, request, item) for item in live.evidence)
    return replace(live, title=title, before=before, after=after, record_label=label, aftermath=aftermath, evidence=evidence)


def _seen(viewer: Viewer, request: ApprovalRequest, item: Evidence) -> Evidence:
    if item.body is None:
        return item
    stream, _, seq = item.pointer.rpartition("/")
    if not stream or not seq.isdigit():
        return replace(item, body=masking.value(viewer, request.run_id, item.body))
    (row,) = masking.shown(viewer, [(stream, int(seq), "output", canonical.dump(item.body).decode())])
    return replace(item, body=canonical.parse(row.body))
