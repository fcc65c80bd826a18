"""What advice is made of: settled requests as one reader may see them, and what it says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Final, Literal
from uuid import UUID

from aegis.core.canonical import Json

Weakness = Literal["", "hurried", "approves_all"]
Topic = Literal["fast_path", "quorum", "deadline"]

#: Outcomes by which somebody said something; the others leave a request unanswered.
DECIDED: Final = frozenset({"approved", "rejected", "changes_requested"})


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote, in the order in which they were cast.

    Attributes:
        digest: of what was shown; an edited request has another one.
        weakness: why it says little: the page was open for less than reading takes, or the person approves everything.
    """

    person: str
    verdict: str
    stage: int
    digest: str
    weakness: Weakness = ""

    @property
    def approves(self) -> bool:
        return self.verdict == "approve"


@dataclass(frozen=True, slots=True)
class Case:
    """One settled request.

    Attributes:
        seconds: from its opening to its end, halts included.
        may_pass_fast: what it asks about looks at fast paths (effects and gates of runs).
        parameters: as the reader may see them; None: erased, or hidden from him.
        was_undone: what was approved was rolled back later.
        is_followed: the reader may see what became of it.
        votes: those voided by an edit among them.
    """

    id: UUID
    capability: str
    risk: str
    outcome: str
    seconds: float
    votes: tuple[Vote, ...] = ()
    may_pass_fast: bool = True
    parameters: Mapping[str, Json] | None = None
    record: Mapping[str, Json] | None = None
    was_edited: bool = False
    was_undone: bool = False
    is_followed: bool = True

    @property
    def is_against(self) -> bool:
        """Somebody wanted it otherwise, then or later. Hurried or not: a no counts."""
        is_refused = self.outcome in DECIDED and self.outcome != "approved"
        return is_refused or self.was_edited or self.was_undone or not all(vote.approves for vote in self.votes)

    @property
    def is_weighed(self) -> bool:
        """It says something: somebody was against it, or somebody who read it approved it."""
        return self.is_against or (self.outcome == "approved" and any(not vote.weakness for vote in self.votes))

    @property
    def is_weak(self) -> bool:
        """Decided, yet nobody who voted for it can be said to have weighed it."""
        return self.outcome in DECIDED and not self.is_weighed

    @property
    def facts(self) -> dict[str, Json]:
        """What a fast path would have looked at; of the requester nothing is kept."""
        return {
            "capability": self.capability,
            "parameters": dict(self.parameters or {}),
            "record": dict(self.record or {}),
            "requester": {},
            "risk": self.risk,
        }


@dataclass(frozen=True, slots=True)
class Passage:
    """One passing on a fast path, in a run."""

    run: UUID
    capability: str
    parameters: Mapping[str, Json] | None
    was_undone: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands over a policy as things are.

    Attributes:
        is_locked: a floor lock names it.
        locked: capabilities under a floor lock.
        is_high: an effect of high risk may rest on it.
    """

    is_locked: bool = False
    locked: frozenset[str] = frozenset()
    is_high: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """
    Attributes:
        cases: settled within the days, the newest first.
        is_cut: there were more; the newest are looked at.
        is_own: the policy decides about changes of the house itself (guarded changes, erasures).
    """

    days: int
    cases: tuple[Case, ...] = ()
    passages: tuple[Passage, ...] = ()
    standing: Standing = Standing()
    is_cut: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and what it counts, one by one.

    Attributes:
        key: its name in the address of the list.
        refs: ids of requests, or of runs where `is_of_runs`.
    """

    key: str
    label: str
    refs: tuple[UUID, ...]
    is_of_runs: bool = False

    @property
    def count(self) -> int:
        return len(self.refs)


@dataclass(frozen=True, slots=True)
class Advice:
    """What history says about one threshold.

    Attributes:
        says: the advice, or why there is none, in one sentence.
        because: the statistic in words, a sentence each.
        spec: the policy's spec as advised; None: nothing is advised.
    """

    topic: Topic
    says: str
    because: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    spec: Mapping[str, Json] | None = None

    @property
    def is_proposal(self) -> bool:
        return self.spec is not None


def figure(key: str, label: str, cases: Iterable[Case]) -> Figure:
    return Figure(key, label, tuple(one.id for one in cases))


def percent(share: float, *, is_least: bool = False) -> str:
    """ "4.9 %"; rounded up, or down where it is a lower bound, so that none reads better than it is."""
    tenths = floor(share * 1000) if is_least else ceil(round(share * 1000, 6))
    return f"{tenths / 10:g} %"
