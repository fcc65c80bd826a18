"""Edit and resubmit: an approver writes the parameters otherwise, and somebody else decides about that (DESIGN section 6).

The request stays open with its deadline. Votes given before are void, the first stage is asked again, and what is signed from
now on is what the editor wrote. It is checked as the agent's own proposal is: against the contracts it stands under and against
the live matrix, for the agent and for the editor, who answers for it too (docs/adr/0034).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Fault, Forbidden, Invalid, NotAuthenticated, NotFound, Stale
from aegis.identity.principals import require_live, stated
from approvals import delegations, docket, gates, holding, judging, policies, seen
from approvals.electors import not_eligible
from approvals.errors import EditNotTaken, NobodyEligible, NotEligible
from approvals.models import ApprovalRequest
from approvals.questions import Editable, Question
from audit import access


@dataclass(frozen=True, slots=True)
class _Refused:
    """A refusal, raised after the commit: on record in the request's stream, or (a missing right, or the same again) about to
    be in `access`."""

    error: AegisError
    is_denial: bool = False


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
    result = in_transaction(lambda: _edit(request_id, actor, parameters, reason, seen_digest))
    if isinstance(result, _Refused):
        if result.is_denial:
            access.deny(actor, "requests.edit", result.error)
        docket.mark_told(result.error)
        raise result.error
    return result


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


def _edit(request_id: UUID, actor: Actor, parameters: Json, reason: str, seen_digest: str) -> ApprovalRequest | _Refused:
    question, request = holding.hold(request_id)
    now = clock.db_now()

    def refused(error: AegisError) -> _Refused:
        if docket.was_refused(request, actor, error, now):
            return _Refused(error, is_denial=True)  # repeats are counted, not written here
        docket.refuse_edit(request, actor, seen_digest, error, now)
        return _Refused(error)

    try:
        person = require_live(actor)
    except NotAuthenticated as ended:
        return refused(ended)
    if not ApprovalRequest.objects.visible_to(person).filter(pk=request.pk).exists():
        return _Refused(NotFound(), is_denial=True)
    policy = policies.load_text(request.policy.document)
    live = question.live(request.subject)
    may = judging.judge(request, policy, person, live, now)
    # As for deciding: the right comes before state and input, and who lacks it changes nothing here.
    if may.refusal == "group":
        return _Refused(not_eligible(may), is_denial=True)
    if may.refusal == "bound":
        return refused(not_eligible(may))
    why = stated(reason)
    canonical.check_value({"parameters": parameters})
    if request.status == ApprovalRequest.Status.OPEN:
        holding.freeze_if_halted(request, question, now)
    if error := holding.refused_by_state(request, now):
        return refused(error)
    if not may.may:
        return refused(not_eligible(may))
    if may.delegation is not None:
        whose = may.delegation.delegator.display_name
        return refused(NotEligible(f"You can decide this for {whose}, but not write for {whose}", refusal="delegated"))
    if live.digest != request.digest or policy.digest != request.policy_digest:
        refusal = refused(Stale("It changed since it was asked. Earlier votes are void; read it again, then edit"))
        docket.rebind(request, live.digest, holding.bound_by(request, live), policy, now)
        return refusal
    if seen_digest != request.digest:
        return refused(Stale("You edited something else than what stands now; read it again"))
    before = editable(request, question, seen.frozen(person, request).get("proposal"))
    if before is None or not live.is_current:
        return refused(EditNotTaken("It does not stand in one place that you may see whole: request changes, or reject it"))
    if canonical.dump(parameters) == canonical.dump(before.parameters):
        raise Invalid("Nothing is changed", faults=[Fault("/parameters", "are what they were")])
    bound = holding.bound_by(request, live) | {str(person.pk)}
    try:
        gates.require_electors(policy, bound | delegations.acting_for(bound, now))
        revised = question.revise(request, parameters, person)
    except (NobodyEligible, Forbidden) as error:
        return refused(error)
    docket.edit(request, revised, actor, why, bound, policy, now)
    return request
