"""The question whether a guarded change set may be applied. Its request carries the change set's own id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.kinds import get_kind
from approvals import changes, gates, previews, trail
from approvals.models import ApprovalRequest, ChangeSet
from approvals.questions import Evidence, Live, Outcome, Question


class ChangeQuestion(Question):
    """May this change set be applied?"""

    kind: ClassVar[str] = "change"
    changes_rights: ClassVar[bool] = True

    def lock(self, subject: str) -> None:
        ChangeSet.objects.select_for_update().filter(pk=subject).first()

    def live(self, subject: str) -> Live:
        change_set = ChangeSet.objects.select_related("author").get(pk=subject)
        request = ApprovalRequest.objects.select_related("policy").get(pk=change_set.pk)
        documents = trail.documents_of(change_set)
        names = _names(change_set)
        author = str(change_set.author_id) if change_set.author_id else ""
        bound = {author: "proposed this change"} if author else dict(changes.bound_by_asking(change_set))
        return Live(
            title=_title(names),
            digest=changes.request_digest(change_set, request.policy),
            bound=frozenset(bound),
            bound_because=bound,
            before={str(key): get_kind(key.kind).dump(key.name) for key, _, _ in documents},
            after={str(key): new for key, _, new in documents},
            record_label=names,
            is_current=change_set.status == ChangeSet.Status.PROPOSED
            and all(previews.base_digest(key) == base for key, base, _ in documents),
            evidence=_evidence(request),
            aftermath=_aftermath(change_set, request),
        )

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """One query for all."""
        sets = ChangeSet.objects.in_bulk([UUID(request.subject) for request in requests])
        return {request.pk: _title(_names(sets[UUID(request.subject)])) for request in requests}

    def is_locked(self, request: ApprovalRequest) -> bool:
        return True  # a guarded change is looked at by itself

    def settled(self, request: ApprovalRequest, outcome: Outcome, actor: Actor, reason: str = "") -> None:
        change_set = ChangeSet.objects.select_related("author").get(pk=request.subject)
        cause = f"{request.stream}/{request.seq}"
        if outcome == "approved":
            why = gates.evidence_of(request).get("reason")
            changes.apply_approved(change_set, reason=canonical.parse(why) if why else "", cause=cause)
        elif outcome == "withdrawn":
            changes.take_back(change_set, actor, reason)
        else:
            changes.reject(change_set, outcome, cause)


def _names(change_set: ChangeSet) -> str:
    documents = trail.documents_of(change_set)
    more = f" and {len(documents) - 3} more" if len(documents) > 3 else ""
    return ", ".join(str(key) for key, _, _ in documents[:3]) + more


def _title(names: str) -> str:
    return f"Apply the change of {names}?"


def _aftermath(change_set: ChangeSet, request: ApprovalRequest) -> str:
    """Why an approved change set was not applied: read from the event that says so."""
    if change_set.status != ChangeSet.Status.STALE or request.status != ApprovalRequest.Status.APPROVED:
        return ""
    why = " ".join(f"{fault.rstrip('.')}." for fault in trail.stale_because(change_set))
    return f"It was approved, but not applied; nothing changed. {why}".strip()


def _evidence(request: ApprovalRequest) -> tuple[Evidence, ...]:
    titles = {"diff": "The change in words", "reason": "Reason given"}
    return tuple(
        Evidence(name, titles.get(name, name), canonical.digest(body), f"{request.stream}/1", canonical.parse(body))
        for name, body in gates.evidence_of(request).items()
    )
