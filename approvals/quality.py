"""How people decide: signs that a vote was not weighed. Signs to look at, never a judgement: easy cases are decided fast and
rightly, and a person who approves everything may be asked good questions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Length

from aegis.core.visibility import Viewer
from approvals.events import EVIDENCE
from approvals.models import ApprovalRequest, Decision
from audit.models import Payload

MOST: Final = 5_000  # votes looked at, the newest
#: Faster than anybody reads: forty characters a second are nearly five hundred words a minute.
CHARS_PER_SECOND: Final = 40
LONGEST_SECONDS: Final = 60  # nobody has to read all of a long text to know
ENOUGH: Final = 10  # votes before anything is said about all of them


@dataclass(frozen=True, slots=True)
class Vote:
    """
    Attributes:
        seconds_open: how long the page had been open; None: not decided on a page.
        digest: of what was shown and signed; an edited request has another one.
        chars: length of what was shown with the request, as far as it is still kept.
    """

    person: str
    person_name: str
    policy: str
    request: UUID
    digest: str
    verdict: str
    seconds_open: int | None
    chars: int

    @property
    def question(self) -> tuple[UUID, str]:
        """What was voted on: two who saw different revisions of a request did not answer the same."""
        return self.request, self.digest

    @property
    def is_fast(self) -> bool:
        return self.seconds_open is not None and self.seconds_open < min(self.chars / CHARS_PER_SECOND, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Quality:
    """Votes of one person, or under one policy.

    Attributes:
        timed: votes made on a page, whose time is known; `fast` of them took less than reading does.
        shared: revisions of requests on which somebody else voted too; `split`: those where they did not all say the same.
    """

    key: str
    name: str
    votes: int
    approved: int
    rejected: int
    timed: int
    fast: int
    median_seconds: float | None
    shared: int
    split: int

    @property
    def is_often_fast(self) -> bool:
        """A quarter or more of the timed votes took less than reading does."""
        return self.timed >= ENOUGH and self.fast * 4 >= self.timed

    @property
    def always_approves(self) -> bool:
        return self.votes >= ENOUGH and self.approved == self.votes

    @property
    def never_rejects(self) -> bool:
        return self.votes >= ENOUGH and not self.rejected and not self.always_approves


def read(user: Viewer, since: datetime) -> list[Vote]:
    """The newest votes on requests that `user` may see, voided ones too: they were cast. Two queries."""
    rows = Decision.objects.filter(request__in=ApprovalRequest.objects.visible_to(user), at__gte=since)
    return told(list(rows.select_related("person", "request__policy").order_by("-at")[:MOST]))


def told(newest: Sequence[Decision]) -> list[Vote]:
    """Decisions, with their person, request and policy, as votes, in the same order. One query."""
    streams = {one.request.stream for one in newest}
    shown = Payload.objects.filter(stream__in=streams, seq=1, name__in=EVIDENCE, erased_at__isnull=True)
    lengths = dict(shown.order_by().values_list("stream").annotate(n=Sum(Length("body"))).values_list("stream", "n"))
    return [
        Vote(
            str(one.person_id), one.person.display_name, one.request.policy.name, one.request_id, one.digest, one.verdict,
            one.seconds_open, lengths.get(one.request.stream, 0),
        )
        for one in newest
    ]  # fmt: skip


def approving_everything(user: Viewer, since: datetime) -> frozenset[UUID]:
    """Ids of the people who cast enough votes since then, on whatever `user` may see, and approved each time. One query."""
    rows = Decision.objects.filter(request__in=ApprovalRequest.objects.visible_to(user), at__gte=since).order_by()
    yes = Count("pk", filter=Q(verdict=Decision.Verdict.APPROVE))
    counted = rows.values("person").annotate(votes=Count("pk"), yes=yes)
    return frozenset(counted.filter(votes__gte=ENOUGH, yes=F("votes")).values_list("person", flat=True))


def by_person(votes: Iterable[Vote]) -> list[Quality]:
    return _grouped(list(votes), lambda vote: (vote.person, vote.person_name))


def by_policy(votes: Iterable[Vote]) -> list[Quality]:
    return _grouped(list(votes), lambda vote: (vote.policy, vote.policy))


def _grouped(votes: list[Vote], key: Callable[[Vote], tuple[str, str]]) -> list[Quality]:
    verdicts: dict[tuple[UUID, str], set[str]] = {}
    voters: dict[tuple[UUID, str], set[str]] = {}
    for vote in votes:
        verdicts.setdefault(vote.question, set()).add(vote.verdict)
        voters.setdefault(vote.question, set()).add(vote.person)
    groups: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        groups.setdefault(key(vote), []).append(vote)
    found = []
    for (ref, name), mine in groups.items():
        timed = [vote.seconds_open for vote in mine if vote.seconds_open is not None]
        shared = {vote.question for vote in mine if len(voters[vote.question]) > 1}
        found.append(
            Quality(
                key=ref,
                name=name,
                votes=len(mine),
                approved=sum(vote.verdict == Decision.Verdict.APPROVE for vote in mine),
                rejected=sum(vote.verdict == Decision.Verdict.REJECT for vote in mine),
                timed=len(timed),
                fast=sum(vote.is_fast for vote in mine),
                median_seconds=median(timed) if timed else None,
                shared=len(shared),
                split=sum(len(verdicts[one]) > 1 for one in shared),
            )
        )
    return sorted(found, key=lambda one: (-one.votes, one.name))
