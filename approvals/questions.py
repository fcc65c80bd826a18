"""The port through which a request asks about something that lives in another room (DESIGN section 3).

An effect, a step's output and a change set are questions. Whoever owns them registers one `Question` each at start-up; the
verbs in `gates` know nothing else of what is being asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.canonical import Json

if TYPE_CHECKING:
    from aegis.identity.models import User
    from approvals.models import ApprovalRequest

Outcome = Literal["approved", "rejected", "changes_requested", "expired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing shown beside the question, frozen when the request opened.

    Attributes:
        name: the payload's name in the event `request.opened`.
        digest: hex sha256 of its bytes; part of what a decision signs.
        pointer: "<stream>/<seq>" of the event it came from.
    """

    name: str
    title: str
    digest: str
    pointer: str = ""
    body: Json = None


@dataclass(frozen=True, slots=True)
class Live:
    """The question as it stands now.

    Attributes:
        title: the question in one sentence.
        digest: hex sha256 over capability and version, resource, parameters, version of the base record, version of the policy
            and digests of the evidence (DESIGN promise 7). Another value than the request's voids the votes given so far.
        bound: ids of people who cannot decide: they started it, edited it, own the proposing agent, or act for such a person.
        bound_because: id -> how the person is bound, to follow "You ..." ("started the run").
        before, after: the record as it is and as it would be.
        aftermath: what came of it once it was approved, if not what was asked: "" if it did, or is not decided.
        is_current: False when it can no longer come true in any form (its base is gone); it may then only be rejected.
    """

    title: str
    digest: str
    bound: frozenset[str] = frozenset()
    bound_because: Mapping[str, str] = field(default_factory=dict)
    before: Json | None = None
    after: Json | None = None
    record_label: str = ""
    is_current: bool = True
    evidence: tuple[Evidence, ...] = ()
    aftermath: str = ""


@dataclass(frozen=True, slots=True)
class Editable:
    """What of a question an approver may write otherwise.

    Attributes:
        schema: the contract of the parameters, as it stands now.
        parameters: as they stand now.
    """

    schema: Mapping[str, Json]
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Revision:
    """What an edit makes of a question, checked against contract and authority.

    Attributes:
        digest: what `Live.digest` will be.
        payloads: name -> canonical bytes, kept by the event `request.edited`: "proposal", "evidence", perhaps "provenance", and
            "output", what takes the place of the agent's.
        step: whose output that is, so that it stands under the same contract.
        risk: as the live rules have it; raises the request's, never lowers it.
    """

    digest: str
    payloads: Mapping[str, bytes]
    step: str
    risk: str


@dataclass(frozen=True, slots=True)
class Halted:
    """A halt stands over a question: it is neither decided nor expires.

    Attributes:
        halt: its id.
        since: from when the question's clock stands.
    """

    halt: str
    since: datetime


class Question(ABC):
    """One sort of thing that people are asked about.

    Attributes:
        kind: stored on the request ("effect", "step", "change").
        changes_rights: settling it changes rights (a change set), so the authority lock is taken exclusively first.
        looks_at_fast_paths: before it is asked, the policy's fast path is looked at.
    """

    kind: ClassVar[str]
    looks_at_fast_paths: ClassVar[bool] = False
    changes_rights: ClassVar[bool] = False

    @abstractmethod
    def lock(self, subject: str) -> None:
        """Lock what stands before requests in the lock order (the run's row): no deadlock, no lost wake-up."""

    @abstractmethod
    def live(self, subject: str) -> Live:
        """Read the question now. Called inside the deciding transaction, after `lock`, and by pages without it."""

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """The sentence of each request of a list. Owners override it: queries must not grow with the rows."""
        return {request.pk: self.live(request.subject).title for request in requests}

    def halted(self, request: ApprovalRequest) -> Halted | None:
        """The halt that stands over it now. Called inside the deciding transaction, which holds the authority lock."""
        return None

    def is_operated_by(self, person: User, request: ApprovalRequest) -> bool:
        """May the person operate what the request belongs to (its run)? He may then escalate it; he decides no more."""
        return False

    def takes_changes(self, request: ApprovalRequest) -> bool:
        """May people ask for changes instead of rejecting: is there somebody who would do it again?"""
        return False

    def editable(self, request: ApprovalRequest) -> Editable | None:
        """What may be edited of it before it is approved; None if nothing."""
        return None

    def revise(self, request: ApprovalRequest, parameters: Json, editor: User) -> Revision:
        """Check other parameters against contract and live authority. Called inside the deciding transaction, for what is
        `editable`.

        Raises:
            Invalid: they break a contract; the faults' places start with /parameters.
            Forbidden: the matrix denies it to the agent, or to `editor`, who answers for it with the agent.
        """
        raise LookupError(f"{self.kind} cannot be edited")

    def is_locked(self, request: ApprovalRequest) -> bool:
        """Does a floor lock stand over what is asked? Such a request is never decided together with others."""
        return False

    def locked(self, requests: Sequence[ApprovalRequest]) -> set[UUID]:
        """Those of a list over which a floor lock stands. Owners override it: queries must not grow with the rows."""
        return {request.pk for request in requests if self.is_locked(request)}

    @abstractmethod
    def settled(self, request: ApprovalRequest, outcome: Outcome, actor: Actor, reason: str = "") -> None:
        """Called once, inside the deciding transaction, when the request has its outcome. Writes what the owner must learn.

        Args:
            reason: with `changes_requested`: what people want otherwise.
        """


_questions: dict[str, Question] = {}


def register(question: Question) -> None:
    """Called at start-up by the room that owns the question."""
    _questions[question.kind] = question


def get(kind: str) -> Question:
    """The registered question.

    Raises:
        LookupError: nobody registered it; a fault of the installation, not of a person.
    """
    try:
        return _questions[kind]
    except KeyError:
        raise LookupError(f"no Question is registered for {kind!r}") from None


def registered() -> frozenset[str]:
    """Kinds with an owner; read by the system check of start-up."""
    return frozenset(_questions)
