"""Edit and resubmit: an approver writes the parameters otherwise, and somebody else decides about that (DESIGN section 6).

The request stays open with its deadline. Votes given before are void, the first stage is asked again, and what is signed from
now on is what the editor wrote. It is checked as the agent's own proposal is: against the contracts it stands under and against
the live matrix, for the agent and for the editor, who answers for it too (docs/adr/0034).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Forbidden, Invalid
from aegis.identity.principals import stated
from approvals import delegations, docket, gates, hearing, holding, seen
from approvals.errors import EditNotTaken, NobodyEligible, NotEligible
from approvals.hearing import Refused, Seat
from approvals.models import ApprovalRequest
from approvals.questions import Editable, Question


def edit(request_id: UUID, *, actor: Actor, parameters: Json, reason: str, seen_digest: str) -> ApprovalRequest:
    """Ask for other parameters instead. Call it outside a transaction.

    Args:
        parameters: the whole of them, as they shall be.
        seen_digest: of what was shown; an edit of something else is refused.

    Raises:
        NotFound, NotAuthenticated, RequestSettled, RequestFrozen, RequestExpired, Stale: as for deciding.
        NotEligible: could not decide it in his own name; who decides for another does not write for him.
        Forbidden: the matrix denies it, to the agent or to the editor.
        EditNotTaken: it cannot be edited. NobodyEligible: without the editor too few people are left.
        Invalid: no reason, nothing changed, or a contract is broken; this alone leaves no record.
    """
    return hearing.answered(actor, "requests.edit", lambda: _edit(request_id, actor, parameters, reason, seen_digest))


def editable(request: ApprovalRequest, question: Question, shown: Json) -> Editable | None:
    """What could be edited by somebody who may decide it: nothing where he may not see all of it.

    Args:
        shown: the proposal as he sees it.
    """
    found = question.editable(request)
    if found is None:
        return None
    whole = isinstance(shown, dict) and canonical.dump(shown.get("parameters")) == canonical.dump(found.parameters)
    return found if whole else None


def _edit(request_id: UUID, actor: Actor, parameters: Json, reason: str, seen_digest: str) -> ApprovalRequest | Refused:
    def on_record(request: ApprovalRequest, error: AegisError, now: datetime) -> None:
        docket.refuse_edit(request, actor, seen_digest, error, now)

    seat = hearing.hear(request_id, actor, on_record)
    if not isinstance(seat, Seat):
        return seat
    why = stated(reason)
    canonical.check_value({"parameters": parameters})
    question, request, person, live = seat.question, seat.request, seat.person, seat.live
    if refusal := seat.closed():
        return refusal
    if seat.may.delegation is not None:
        whose = seat.may.delegation.delegator.display_name
        return seat.refused(NotEligible(f"You can decide this for {whose}, but not write for {whose}", refusal="delegated"))
    if refusal := seat.moved(seen_digest, "edited", "edit"):
        return refusal
    before = editable(request, question, seen.frozen(person, request).get("proposal"))
    if before is None or not live.is_current:
        detail = "It does not stand in one place that you may see whole: request changes, or reject it"
        return seat.refused(EditNotTaken(detail))
    if canonical.dump(parameters) == canonical.dump(before.parameters):
        raise Invalid("Nothing is changed", faults=[Fault("/parameters", "are what they were")])
    bound = holding.bound_by(request, live) | {str(person.pk)}
    try:
        gates.require_electors(seat.policy, bound | delegations.acting_for(bound, seat.now))
        revised = question.revise(request, parameters, person)
    except (NobodyEligible, Forbidden) as error:
        return seat.refused(error)
    docket.edit(request, revised, actor, why, bound, seat.policy, seat.now)
    return request
