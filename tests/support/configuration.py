"""A small whole configuration as documents: one capability, gated and locked as a test likes, an agent, people, a queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aegis.core.actors import user_actor
from aegis.core.kinds import Key, document_key
from aegis.identity.models import User
from approvals import changes
from approvals.models import ChangeSet
from orchestration.agents.protocol import AgentRequest, Done, python_agent
from tests.support import copies

Document = dict[str, Any]


@python_agent("tests.echo")
def echo(request: AgentRequest) -> Done:
    """The agent of tests that need one: says what it was asked."""
    return Done(output={"input": request.input})


def document(kind: str, name: str, spec: Document, **metadata: Any) -> Document:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def policy(name: str, *stages: tuple[str, int], **spec: Any) -> Document:
    rows = [{"groups": [group], "quorum": quorum} for group, quorum in stages]
    return document("ApprovalPolicy", name, {"stages": rows, "deadline": "4h", "reason": "always", **spec})


def capability(name: str = "ticket.reply", **spec: Any) -> Document:
    parameters = {"type": "object", "additionalProperties": False, "properties": {"text": {"type": "string", "maxLength": 500}}}
    base = {"resource": "ticket", "risk": "medium", "safety": "keyed", "handler": "record.patch", "parameters": parameters}
    return document("Capability", name, {**base, **spec})


def role(name: str, *grants: Document, people: bool = False) -> Document:
    return document("Role", name, {"people": people, "grants": list(grants)})


def grant(effect: str, capability: str = "ticket.reply", **rest: str) -> Document:
    return {"capability": capability, "effect": effect, **rest}


def lock(name: str, *, policy: str = "reply-2", capability: str = "ticket.reply", **spec: Any) -> Document:
    base = {"capability": capability, "policy": policy, "kind": "law", "basis": "Art. 22 GDPR", "owner": "Support leads"}
    return document("FloorLock", name, {**base, **spec})


def agent(name: str = "responder", **spec: Any) -> Document:
    base = {"owner": "olivia", "roles": ["support-bot"], "connector": {"python": "tests.echo"}}
    return document("Agent", name, {**base, **spec})


def queue(name: str = "desk", *groups: str, **spec: Any) -> Document:
    base = {"groups": list(groups or ("Support operators",)), "service_time": "4h", "owner": "Support leads"}
    return document("ReviewQueue", name, {**base, **spec})


def contract(name: str = "ticket@1", **spec: Any) -> Document:
    schema = {"type": "object", "additionalProperties": False, "properties": {"id": {"type": "string"}}}
    return document("Contract", name, {"schema": schema, **spec})


def table(name: str = "desk-routing", **spec: Any) -> Document:
    base = {
        "inputs": {"intent": "string"}, "outputs": {"queue": "string"},
        "rules": [{"id": "cards", "when": "intent == 'card'", "then": {"case": "l1", "queue": "desk"}}],
        "default": {"case": "person", "queue": "desk"},
        "tests": [{"name": "cards", "given": {"intent": "card"}, "expect": {"case": "l1"}}],
    }  # fmt: skip
    return document("RoutingTable", name, {**base, **spec})


def whole(*extra: Document) -> list[Document]:
    """Everything of the above, allowed without asking; `extra` replaces or adds. Needs olivia, and people in the groups."""
    documents = [
        policy("config-change", ("Support leads", 2)),
        policy("reply-1", ("Support leads", 1)),
        policy("reply-2", ("Support leads", 2)),
        capability(),
        role("support-bot", grant("allow")),
        agent(),
        contract(),
        table(),
        queue(),
    ]
    replaced = {document_key(one) for one in extra}
    return [*(one for one in documents if document_key(one) not in replaced), *extra]


def keyed(documents: Iterable[Document]) -> list[tuple[Key, Document | None]]:
    return [(document_key(one), one) for one in documents]


def bootstrap(*extra: Document) -> ChangeSet:
    return configured(keyed(whole(*extra)))


def configured(documents: Iterable[tuple[Key, Document | None]]) -> ChangeSet:
    """The documents as the first configuration (`changes.bootstrap`), copied where an equal test began equally."""
    given = list(documents)
    told = tuple(f"{hook.__module__}.{hook.__qualname__}" for hook in changes._hooks)
    copies.made(("bootstrap", told, repr(given)), lambda: changes.bootstrap(given))
    return ChangeSet.objects.get(status=ChangeSet.Status.APPLIED)


def propose(author: User, *documents: Document) -> ChangeSet:
    actor = user_actor(author.pk, auth="session")
    return changes.propose(keyed(documents), author=author, actor=actor, reason="the test asks for it")


def faults(*documents: Document) -> dict[str, str]:
    """What speaks against documents beside what stands: place -> what."""
    return {fault.where: fault.what for fault in changes.preview(keyed(documents), None).faults}


def sentences(*documents: Document) -> list[str]:
    return changes.preview(keyed(documents), None).sentences
