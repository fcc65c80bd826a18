"""Review items: claim, release, answer. An answer is an event of the item's own stream; the run learns of it by inbox."""

from __future__ import annotations

from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Forbidden, Invalid
from aegis.identity.models import User
from aegis.identity.principals import stated
from approvals.models import DocumentVersion
from audit import journal
from audit.drafts import Context, Draft
from orchestration.contracts.checker import compile_schema
from orchestration.engine import inbox, standing
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, ReviewItem, ReviewQueue


class ItemSettled(Conflict):
    """Somebody answered first, or the run moved on."""

    code, title = "item_settled", "This review item is no longer open"


def claim(item_id: UUID, *, person: User, auth: str) -> ReviewItem:
    """Take an open item on, so that nobody does the work twice.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on the queue.
        ItemSettled: no longer open.
        Conflict: somebody else has it.
    """

    def work() -> ReviewItem:
        item = locked(item_id, person)
        if item.claimed_by_id not in (None, person.pk):
            raise Conflict(f"{item.claimed_by.display_name if item.claimed_by else 'Somebody'} has claimed it")
        item.status, item.claimed_by = ReviewItem.Status.CLAIMED, person
        record(item, Draft("review.claimed", user_actor(person.pk, auth=auth)))
        item.save(update_fields=["status", "claimed_by", "seq", "head"])
        return item

    return in_transaction(work)


def release(item_id: UUID, *, person: User, auth: str) -> ReviewItem:
    """Give a claimed item back to its queue.

    Raises:
        Conflict: it is not claimed by this person.
    """

    def work() -> ReviewItem:
        item = locked(item_id, person)
        if item.claimed_by_id != person.pk:
            raise Conflict("You have not claimed it")
        item.status, item.claimed_by = ReviewItem.Status.OPEN, None
        record(item, Draft("review.released", user_actor(person.pk, auth=auth)))
        item.save(update_fields=["status", "claimed_by", "seq", "head"])
        return item

    return in_transaction(work)


def complete(item_id: UUID, *, person: User, auth: str, reason: str, output: Json | None = None, case: str = "") -> ReviewItem:
    """Answer an item: with an output that satisfies its contract, or with one of its cases.

    Raises:
        Invalid: the output breaks the contract (faults carry JSON pointers), the case is none of the choices, no reason.
    """

    def work() -> ReviewItem:
        item = locked(item_id, person)
        body = _checked_output(item, output, case)
        return settle(item, ReviewItem.Status.COMPLETED, "completed", person, auth, reason, body=body, case=case)

    return in_transaction(work)


def retry(item_id: UUID, *, person: User, auth: str, reason: str) -> ReviewItem:
    """Send the step back to be tried again, with its attempts counted anew. An effect keeps its key.

    Raises:
        NeedsStatement: an effect of it may have happened and may not be sent again blindly (`settlements`).
    """

    def work() -> ReviewItem:
        item = locked(item_id, person)
        standing.require_retryable(item.run, states.load(item.run.state))
        return settle(item, ReviewItem.Status.RETRIED, "retried", person, auth, reason)

    return in_transaction(work)


def cancel(item_id: UUID, *, person: User, auth: str, reason: str) -> ReviewItem:
    """End the run here; what it did and can be undone is undone first.

    Raises:
        Conflict: it is ending already: this item is about an effect that could not be undone.
    """

    def work() -> ReviewItem:
        item = locked(item_id, person)
        if standing.of(item).is_undo:
            raise Conflict("The run is ending already: say that the effect is undone, try again, or let it stand")
        return settle(item, ReviewItem.Status.CANCELLED, "cancelled", person, auth, reason)

    return in_transaction(work)


def form_schema(item: ReviewItem) -> Json | None:
    """The JSON Schema a completed item must satisfy, as pinned by the run's release; None when it only has choices."""
    if not item.contract:
        return None
    release = canonical.parse(item.run.release.document)
    digest = release["pins"][f"Contract/{item.contract}"]
    version = DocumentVersion.objects.get(kind="Contract", name=item.contract, digest=digest)
    return canonical.parse(version.document)["spec"]["schema"]


def locked(item_id: UUID, person: User) -> ReviewItem:
    """An open item, locked after its run, for a person who may work on it.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on the queue.
        ItemSettled: no longer open.
    """
    visible = require_operate(person, item_id)
    inbox.lock_run(visible.run_id)  # lock order: runs before what hangs on them
    rows = ReviewItem.objects.select_related("queue", "claimed_by", "run__release")
    item = rows.select_for_update(of=("self",)).get(pk=item_id)
    if item.status not in (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED):
        raise ItemSettled(f"{item.label} is {item.get_status_display()}")
    return item


def require_operate(person: User, item_id: UUID) -> ReviewItem:
    """The item, if the person may work on it. `locked` asks the same; for edges that read what was typed before they call.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on the queue.
    """
    item = ReviewItem.objects.get_visible(person, pk=item_id)
    if ReviewItem.objects.visible_to(person, "operate").filter(pk=item.pk).exists():
        return item
    if item.skill and ReviewQueue.objects.visible_to(person, "operate").filter(pk=item.queue_id).exists():
        skilled = item.queue.skills.filter(name=item.skill).order_by("group__name")
        groups = ", ".join(skilled.values_list("group__name", flat=True)) or "nobody any more"
        what = f"You may work on this queue; the skill “{item.skill}” that this item asks for have: {groups}"
        raise Forbidden(what, right="operate", granted_by=groups)
    groups = ", ".join(item.queue.groups.values_list("name", flat=True)) or "nobody yet"
    raise Forbidden(f"You can see this queue; working on its items is granted to: {groups}", right="operate", granted_by=groups)


def _checked_output(item: ReviewItem, output: Json | None, case: str) -> bytes | None:
    if item.choices:
        if case not in item.choices:
            raise Invalid(f"Choose one of: {', '.join(item.choices)}")
        return None
    schema = form_schema(item)
    if schema is None:
        # Going on from here would carry a run past a refusal (a rejected gate, a denied effect) on one person's word.
        raise Invalid("There is nothing to answer here: send the step back for another try, or cancel the run")
    canonical.check_value(output)
    faults = compile_schema(schema).faults(output)
    if faults:
        raise Invalid(f"The answer breaks {item.contract}", faults=faults)
    body = canonical.dump(output)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        raise Invalid(f"The answer has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    return body


def settle(
    item: ReviewItem,
    status: ReviewItem.Status,
    outcome: str,
    person: User,
    auth: str,
    reason: str,
    *,
    body: bytes | None = None,
    case: str = "",
) -> ReviewItem:
    """Record the answer in the item's stream and tell the run, inside the caller's transaction.

    Raises:
        Invalid: no reason.
        Conflict: somebody else has claimed it.
    """
    reason = stated(reason)
    if item.claimed_by_id not in (None, person.pk):
        raise Conflict(f"{item.claimed_by.display_name if item.claimed_by else 'Somebody'} has claimed it")
    actor = user_actor(person.pk, auth=auth)
    payloads = {"reason": canonical.dump({"reason": reason})}
    if body is not None:
        payloads["output"] = body
    record(item, Draft("review.answered", actor, data={"outcome": outcome, "case": case}, payloads=payloads, outcome=outcome))
    item.status, item.settled_at = status, clock.db_now()
    item.save(update_fields=["status", "settled_at", "seq", "head"])
    ref = f"{item.pk}#{item.seq},{case}" if outcome in ("completed", "happened") else str(item.pk)
    inbox.post(item.run_id, InboxItem.Kind.REVIEW_SETTLED, actor=actor, ref=ref, outcome=outcome)
    return item


def record(item: ReviewItem, draft: Draft) -> None:
    """Append to the stream of a locked item; saving its `seq` and `head` is the caller's."""
    context = Context(
        stream=item.stream,
        scope="workflow",
        scope_id=str(item.run.workflow_id),
        run_id=item.run_id,
        subject=str(item.run.subject_ref),
    )
    journal.append_to(item, context, [draft])
