"""Sending a message to whichever run waits for it: the one door by which messages come in.

As with submissions (docs/adr/0018), what was sent before under the same key is found first and answered as it was. A payload
that is known to break its contract is refused and not kept; only the refusal is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from django.db import IntegrityError

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Fault, Forbidden, IdempotencyMismatch, Invalid
from aegis.core.idempotency import check_key
from aegis.identity.models import User
from audit import journal
from audit.drafts import Context, Draft
from orchestration.contracts.checker import Checker
from orchestration.engine.messages import delivery
from orchestration.engine.messages.models import MessageWait, SentMessage
from orchestration.engine.models import Run
from orchestration.workflows import releases
from orchestration.workflows.definition import Definition, WaitStep
from orchestration.workflows.models import Workflow

#: How long a message is kept that nobody waits for.
KEPT: Final = timedelta(days=7)
MAX_KEY_CHARS: Final = 200
RECORDED_FAULTS: Final = 20

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,60}")


class MessageRefused(Invalid):
    """The payload breaks the contract of whoever waits for it. Only the refusal is recorded."""

    code, title = "message_refused", "The message breaks its contract"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message, and whether this call sent it (False: the key was used before, with the same content)."""

    message: SentMessage
    is_new: bool


def send_message(
    workflow: str | None,
    name: str,
    key: str,
    payload: Json,
    *,
    person: User,
    actor: Actor,
    idempotency_key: str | None = None,
) -> Sent:
    """Send a message to the run that has waited longest for this name and key; kept for `KEPT` if none does yet.

    Args:
        workflow: whose runs may get it; None = of any workflow whose runs `person` may start.
        key: what it is about, as the waiting step's `key` gives it.

    Raises:
        NotFound, Forbidden: the workflow is not visible to `person`, or they may not `start` its runs.
        MessageRefused: with a fault per JSON pointer; the refusal is on record.
        IdempotencyMismatch: the key was used before with other content.
        Invalid, Malformed: name, key or payload cannot be kept.
    """
    target = Workflow.objects.get_visible(person, "start", name=workflow) if workflow is not None else None
    if target is None and not Workflow.objects.visible_to(person, "start").exists():
        raise Forbidden("Sending messages needs the right to start runs of a workflow", right="start")
    body = _checked(name, key, payload)
    if idempotency_key is not None:
        check_key(idempotency_key)
    digest = canonical.digest_of({"workflow": workflow, "name": name, "key": key, "payload": canonical.digest(body)})
    if (known := _known(person, idempotency_key, digest)) is not None:
        return known
    _refuse(target, name, key, payload, person, actor)
    message = SentMessage(
        id=uuid4(),
        workflow=target,
        name=name,
        key=key,
        sender=person,
        auth=actor.auth,
        idempotency_key=idempotency_key,
        digest=digest,
    )
    try:
        in_transaction(lambda: _keep(message, body, actor))
    except IntegrityError:  # the key was committed between our look and our insert
        if (known := _known(person, idempotency_key, digest)) is None:
            raise
        return known
    delivery.deliver(message)
    return Sent(message, is_new=True)


def _keep(message: SentMessage, body: bytes, actor: Actor) -> None:
    message.sent_at = clock.db_now()
    message.ends_at = message.sent_at + KEPT
    message.seq, message.head = 0, "0" * 64  # a transaction that is tried again begins anew
    draft = Draft("message.sent", actor, data={"message": message.name}, payloads={"output": body}, outcome="accepted")
    journal.append_to(message, delivery.context_of(message), [draft], message.sent_at)
    message.save(force_insert=True)


def _known(person: User, key: str | None, digest: str) -> Sent | None:
    earlier = SentMessage.objects.filter(sender=person, idempotency_key=key).first() if key is not None else None
    if earlier is None:
        return None
    if earlier.digest != digest:
        raise IdempotencyMismatch(f"Idempotency-Key {key!r} was used for another message")
    return Sent(earlier, is_new=False)


def _checked(name: str, key: str, payload: Json) -> bytes:
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(Fault("/name", "must be small letters, digits and -, such as payment-received"))
    if not 0 < len(key) <= MAX_KEY_CHARS:
        faults.append(Fault("/key", f"must be 1 to {MAX_KEY_CHARS} characters"))
    if faults:
        raise Invalid("The message cannot be sent", faults=faults)
    canonical.check_value({"key": key, "payload": payload})
    body = canonical.dump(payload)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        raise Invalid(f"The payload has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    return body


def _refuse(workflow: Workflow | None, name: str, key: str, payload: Json, person: User, actor: Actor) -> None:
    """Hold the payload to the contracts that are known now: of the run that would get it, else of the workflow's own steps.
    One contract that it keeps is enough."""
    told: tuple[str, list[Fault]] | None = None
    for contract, checker in _contracts(workflow, name, key, person):
        faults = checker.faults(payload)
        if not faults:
            return
        told = told or (contract, faults)
    if told is None:
        return
    contract, faults = told
    shown = [{"pointer": fault.where, "fault": fault.what} for fault in faults[:RECORDED_FAULTS]]
    draft = Draft(
        "message.refused",
        actor,
        data={"message": name, "contract": contract, "faults": len(faults)},
        payloads={"faults": canonical.dump(shown)},
        outcome="refused",
    )
    scope = ("workflow", str(workflow.pk)) if workflow else ("system", "")
    context = Context(stream=f"refusals:{workflow.name if workflow else 'messages'}", scope=scope[0], scope_id=scope[1])
    in_transaction(lambda: journal.append(context, [draft]))
    placed = [Fault(f"/payload{fault.where}", fault.what, fault.remedy) for fault in faults]
    raise MessageRefused(f"The message breaks {contract}", faults=placed)


def _contracts(workflow: Workflow | None, name: str, key: str, person: User) -> Iterator[tuple[str, Checker]]:
    waits = MessageWait.objects.filter(name=name, key=key).order_by("since", "run")
    reached = Workflow.objects.visible_to(person, "start") if workflow is None else [workflow]
    first = waits.filter(workflow__in=reached).values_list("run", "step").first()
    if first is not None:
        release = releases.load(Run.objects.values_list("release_id", flat=True).get(pk=first[0]))
        for step in _waits_of(release.definition):
            if step.common.id == first[1]:
                yield step.output, release.contracts[step.output]
    elif workflow is not None:
        try:
            release = releases.load(releases.release_for(workflow).pk)
        except (releases.NotReleasable, releases.VersionRetired):
            return  # it can start no runs now; those under way have releases of their own
        for step in _waits_of(release.definition):
            if step.message == name:
                yield step.output, release.contracts[step.output]


def _waits_of(definition: Definition) -> Iterator[WaitStep]:
    """Those inside of blocks too: a child run waits as any run does."""
    for scope in definition.scopes():
        yield from (step for step in scope.steps if isinstance(step, WaitStep))
