"""What a person says about an effect nobody heard of: it happened, it did not, or (of an undo) it shall stand.

A statement is an answer of the review item like any other, with the same rights and one more: who speaks for the outside
world must hold the capability, so that nobody settles by word of mouth what he could not do by hand. The run records it as
stated by a person, never as heard by AEGIS.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, Malformed
from aegis.identity import authority
from aegis.identity.models import User
from audit import chain
from audit.models import Event, Payload
from orchestration.authority import live
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.verdicts import Matrix, Principal, Resource, decide
from orchestration.engine import past, reviews, standing
from orchestration.engine import state as states
from orchestration.engine.models import ReviewItem
from orchestration.engine.revising import roles_with
from orchestration.engine.state import State
from orchestration.engine.steps.proposals import condition_facts
from orchestration.engine.world_port import RecordSnapshot
from orchestration.records import store

MAX_REFERENCE_CHARS = 200


def happened(item_id: UUID, *, person: User, auth: str, reason: str, reference: str = "", result: Json = None) -> ReviewItem:
    """ "It happened": recorded as done, stated by `person`; the run goes on. Of an undo: it is undone.

    Args:
        reference: what it is called outside (a receipt, a message id), as evidence.
        result: what the step leaves behind as `result`, for later steps.

    Raises:
        NotFound, Forbidden: not visible; no `operate` on the queue; or the capability is not the person's to do.
        Invalid: no reason; reference or result cannot be kept.
        Conflict: there is nothing to state about this item, or somebody else has claimed it.
        ItemSettled: no longer open.
    """

    def work() -> ReviewItem:
        item = _locked(item_id, person)
        if not standing.of(item).may_state:
            raise Conflict("Nothing was sent, so nothing can have happened")
        body = _output(reference, result)
        return reviews.settle(item, ReviewItem.Status.COMPLETED, "happened", person, auth, reason, body=body)

    return in_transaction(work)


def not_happened(item_id: UUID, *, person: User, auth: str, reason: str) -> ReviewItem:
    """ "It did not happen": sent again under the same key, through the live matrix, like every attempt.

    Raises:
        as `happened`.
    """

    def work() -> ReviewItem:
        item = _locked(item_id, person)
        if not standing.of(item).may_deny:
            raise Conflict("Nothing is open here: send the step back for another try")
        return reviews.settle(item, ReviewItem.Status.RETRIED, "not_happened", person, auth, reason)

    return in_transaction(work)


def leave(item_id: UUID, *, person: User, auth: str, reason: str) -> ReviewItem:
    """Let an effect stand that could not be undone. The ones before it are undone all the same.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on the queue.
        Conflict: the run is not undoing anything.
    """

    def work() -> ReviewItem:
        item = reviews.locked(item_id, person)
        if not standing.of(item).is_undo:
            raise Conflict("The run is not undoing anything")
        return reviews.settle(item, ReviewItem.Status.COMPLETED, "left", person, auth, reason)

    return in_transaction(work)


def _locked(item_id: UUID, person: User) -> ReviewItem:
    # Rights are judged in this transaction: a capability withdrawn before it commits is not there any more (DESIGN promise 1).
    authority.hold_shared()
    item = reviews.locked(item_id, person)
    _require_capability(item, person)
    return item


def _require_capability(item: ReviewItem, person: User) -> None:
    """The person could do it by hand: the live matrix does not deny it to them. A gate is no denial: it would be asked for
    the act itself, and nothing is carried out by this statement."""
    state, matrix = states.load(item.run.state), live.current().matrix
    capability = state.intent.capability if state.intent else state.effects[-1].compensation if state.undoes else ""
    if not capability:
        return
    if _may(matrix, live.person_principal(person.pk), capability, _proposal(item, state), item):
        return
    roles = ", ".join(roles_with(matrix, capability)) or "nobody yet; an admin can grant it to a role of people"
    raise Forbidden(
        f"Speaking for what {capability} did outside needs that capability, which is granted to: {roles}",
        right=capability,
        granted_by=roles,
    )


def _may(matrix: Matrix, principal: Principal, capability: str, proposal: Mapping[str, Json] | None, item: ReviewItem) -> bool:
    if proposal is None:  # erased, or never made: there is nothing a condition could be asked about
        grants = [role.grants.get(capability) for role in map(matrix.roles.get, principal.roles) if role and role.is_for_people]
        effects = {grant.effect for grant in grants if grant and not (grant.when or grant.limits.hours)}
        return bool(effects) and "deny" not in effects
    resource = Resource(**proposal["resource"])
    version, body = store.read(resource.type, resource.id) or (0, None)
    requester = live.requester_fact(item.run.requester_id)
    facts = condition_facts(requester, proposal, RecordSnapshot(resource.type, resource.id, version, body))
    facts["clock"] = clock_fact(clock.db_now(), matrix.zones)
    return decide(matrix, principal, capability, resource, facts, bounds="hours").answer != "deny"


def _proposal(item: ReviewItem, state: State) -> Mapping[str, Json] | None:
    """What the statement is about: what was sent, or what undoing was last asked with."""
    if state.intent:
        found = past.evidence(item.run.stream, state.step, state.visit, state.intent.key)
        return found.proposal if found else None
    asked = Event.objects.filter(run_id=item.run_id, stream=item.run.stream, step=state.step, type="verdict.given")
    for event in asked.order_by("-seq")[:1]:
        if chain.read_line(event.line)["data"].get("undoes") == state.undoes:
            row = Payload.objects.filter(stream=event.stream, seq=event.seq, name="proposal", erased_at__isnull=True).first()
            return canonical.parse(row.body) if row else None
    return None


def _output(reference: str, result: Json) -> bytes:
    reference = reference.strip()
    if len(reference) > MAX_REFERENCE_CHARS:
        raise Invalid(
            "The reference is too long", faults=[Fault("/reference", f"longer than {MAX_REFERENCE_CHARS} characters")]
        )
    output = {"result": result, "reference": reference}
    try:
        canonical.check_value(output)
    except Malformed as error:
        raise Invalid("This cannot be kept", faults=[Fault("/result", fault.what) for fault in error.faults]) from None
    body = canonical.dump(output)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        raise Invalid(f"The result has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    return body
