"""A real question to ask: may this record be closed? What tests of approvals ask it, answer it and read the record with."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import Group

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.identity.models import User
from approvals import gates, policies, questions
from approvals.models import ApprovalPolicy, ApprovalRequest
from approvals.questions import Live, Outcome, Question
from audit import journal
from orchestration.records.models import Record


class RecordQuestion(Question):
    """Asks whether a record of the system of record may get the status "closed". What it learns it writes there.

    The record's body names who is bound: `{"bound": {user id: how}}`.
    """

    kind: ClassVar[str] = "record"

    def lock(self, subject: str) -> None:
        """A record asked about by nobody's run: nothing stands before the request."""

    def live(self, subject: str) -> Live:
        record = Record.objects.get(pk=subject)
        body = canonical.parse(record.body)
        return Live(
            title=f"Close {record.key}?",
            digest=digest_of(record),
            bound=frozenset(body["bound"]),
            bound_because=body["bound"],
            before={"status": body["status"]},
            after={"status": "closed"},
            record_label=record.key,
        )

    def takes_changes(self, request: ApprovalRequest) -> bool:
        return True

    def settled(self, request: ApprovalRequest, outcome: Outcome, actor: Actor, reason: str = "") -> None:
        record = Record.objects.get(pk=request.subject)
        body = canonical.parse(record.body)
        body["outcomes"].append(outcome)
        record.body = canonical.dump(body).decode()
        record.save(update_fields=["body"])


questions.register(RecordQuestion())


def digest_of(record: Record) -> str:
    return canonical.digest_of({"record": str(record.pk), "version": record.version, "after": "closed"})


def policy_document(name: str = "closing", **spec: Json) -> Json:
    filled = {"stages": [{"groups": ["Leads"]}], "deadline": "1h", **spec}
    return {"apiVersion": "aegis/v1", "kind": "ApprovalPolicy", "metadata": {"name": name}, "spec": filled}


def store_policy(document: Json) -> ApprovalPolicy:
    """A policy row as change control leaves it."""
    body = canonical.dump(document)
    row, _ = ApprovalPolicy.objects.update_or_create(
        name=document["metadata"]["name"],
        defaults={"document": body.decode(), "digest": canonical.digest(body), "updated_at": clock.now()},
    )
    row.groups.set([Group.objects.get_or_create(name=name)[0] for name in policies.load(document).groups])
    return row


def new_record(bound: dict[str, str] | None = None) -> Record:
    body = {"status": "open", "bound": bound or {}, "outcomes": []}
    text = canonical.dump(body).decode()
    return Record.objects.create(type="case", key=f"C-{uuid.uuid4().hex[:6]}", version=1, body=text, updated_at=clock.now())


def change_record(request: ApprovalRequest) -> None:
    record = Record.objects.get(pk=request.subject)
    record.version += 1
    record.save(update_fields=["version"])


def outcomes(request: ApprovalRequest) -> list[str]:
    found: list[str] = canonical.parse(Record.objects.get(pk=request.subject).body)["outcomes"]
    return found


def ask(policy: ApprovalPolicy, *, requester: User | None = None, bound: dict[str, str] | None = None) -> ApprovalRequest:
    record = new_record(bound)

    def work() -> ApprovalRequest:
        return gates.open_request(
            request_id=uuid.uuid4(),
            question="record",
            subject=str(record.pk),
            policy=policy,
            digest=digest_of(record),
            risk="medium",
            requester_id=requester.pk if requester else None,
            run_id=None,
            context_scope="policy",
            scope_id=str(policy.pk),
            evidence={"record": canonical.dump({"key": record.key})},
            at=clock.db_now(),
            actor=SYSTEM,
        )

    return in_transaction(work)


def decide_as(
    person: User, request: ApprovalRequest, verdict: str = "approve", *, reason: str = "looks right", digest: str | None = None
) -> ApprovalRequest:
    seen = request.digest if digest is None else digest
    return gates.decide(
        request.pk, person=person, auth="session", verdict=verdict, reason=reason, seen_digest=seen, proved_at=clock.now()
    )


def events_of(request: ApprovalRequest) -> list[str]:
    return [event.type for event in journal.read(request.stream)]


def line_of(request: ApprovalRequest, index: int = -1) -> Json:
    return canonical.parse(journal.read(request.stream)[index].line)


def reload(request: ApprovalRequest) -> ApprovalRequest:
    return ApprovalRequest.objects.get(pk=request.pk)
