"""Changes of approval policies, proposed and decided; what stands afterwards."""

from __future__ import annotations

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.kinds import Key
from aegis.identity.models import User
from approvals import changes, gates
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet
from audit import journal
from tests.approvals.house import policy_document

Document = tuple[Key, Json | None]

CONFIG = {"stages": [{"groups": ["Admins"], "quorum": 2}], "deadline": "1d"}


def key(name: str) -> Key:
    return Key("ApprovalPolicy", name)


def doc(name: str = "closing", *, dual_control: bool = False, **spec: Json) -> Document:
    document = policy_document(name, **spec)
    if dual_control:
        document["metadata"]["dual_control"] = True
    return key(name), document


def propose(author: User, *documents: Document, reason: str = "needed", **more: object) -> ChangeSet:
    actor = user_actor(author.pk, auth="session")
    return changes.propose(documents, author=author, actor=actor, reason=reason, **more)  # type: ignore[arg-type]


def decide(person: User, change_set: ChangeSet, verdict: str = "approve") -> ApprovalRequest:
    request = ApprovalRequest.objects.get(pk=change_set.pk)
    return gates.decide(
        request.pk,
        person=person,
        auth="session",
        verdict=verdict,
        reason="judged",
        seen_digest=request.digest,
        proved_at=clock.now(),
    )


def events(kind: str = "ApprovalPolicy") -> list[str]:
    return [event.type for event in journal.read(f"config:{kind}")]


def stands(name: str = "closing") -> Json | None:
    row = ApprovalPolicy.objects.filter(name=name).first()
    return canonical.parse(row.document) if row else None
