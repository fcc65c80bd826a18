"""The question whether what was recorded of some runs may be erased. Its request carries the erasure's own id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from approvals import gates
from approvals.models import ApprovalRequest
from approvals.questions import Evidence, Live, Outcome, Question
from audit.models import Erasure
from orchestration.engine.erasing import applying, subjects
from orchestration.engine.erasing.verbs import digest_of
from orchestration.engine.models import Run


class ErasureQuestion(Question):
    """May this be emptied? Whoever asks does not decide."""

    kind: ClassVar[str] = "erasure"

    def lock(self, subject: str) -> None:
        ids = Erasure.objects.filter(pk=subject).values_list("runs", flat=True).first() or []
        list(Run.objects.select_for_update().filter(pk__in=[UUID(text) for text in ids]).order_by("pk").values_list("pk"))

    def live(self, subject: str) -> Live:
        erasure = Erasure.objects.get(pk=subject)
        request = ApprovalRequest.objects.select_related("policy").get(pk=erasure.pk)
        return Live(
            title=_title(erasure),
            digest=digest_of(erasure.pk, erasure.runs, request.policy.digest),
            bound=frozenset({erasure.asked_by}),
            bound_because={erasure.asked_by: "asked for this erasure"},
            record_label=erasure.label,
            is_current=erasure.status == Erasure.Status.ASKED,
            evidence=_evidence(request),
            aftermath=_aftermath(erasure),
        )

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """One query for all."""
        found = Erasure.objects.in_bulk([UUID(request.subject) for request in requests])
        return {request.pk: _title(found[UUID(request.subject)]) for request in requests}

    def is_locked(self, request: ApprovalRequest) -> bool:
        return True  # looked at by itself: it cannot be taken back

    def settled(self, request: ApprovalRequest, outcome: Outcome, actor: Actor, reason: str = "") -> None:
        erasure = Erasure.objects.select_for_update().get(pk=request.subject)
        applying.settle(erasure, outcome, request.label, f"{request.stream}/{request.seq}", clock.db_now())


def _title(erasure: Erasure) -> str:
    """Without the business key: what a vote signs is kept for good."""
    many = len(erasure.runs)
    return f"Erase what was recorded of {many} {'run' if many == 1 else 'runs'} ({erasure.label})?"


def _aftermath(erasure: Erasure) -> str:
    if erasure.status != Erasure.Status.BLOCKED:
        return ""
    return f"It was approved, but not applied; nothing was erased: {subjects.OBSTACLES.get(erasure.code, erasure.code)}."


def _evidence(request: ApprovalRequest) -> tuple[Evidence, ...]:
    titles = {"diff": "What is emptied", "reason": "Reason given"}
    return tuple(
        Evidence(name, titles.get(name, name), canonical.digest(body), f"{request.stream}/1", canonical.parse(body))
        for name, body in gates.evidence_of(request).items()
    )
