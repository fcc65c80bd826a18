"""Histories made by hand: cases and votes of a policy, as the pure advice gets them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aegis.core.canonical import Json
from approvals.advice import advising
from approvals.advice.cases import Advice, Case, History, Vote
from tests.approvals.house import policy_document


def vote(verdict: str = "approve", person: str = "lea", **given: Any) -> Vote:
    return Vote(person, verdict, given.pop("stage", 0), given.pop("digest", "a"), **given)


def case(number: int, amount: float | None = None, *, outcome: str = "approved", **given: Any) -> Case:
    """A settled request of low risk to refund, decided by one weighed vote within an hour."""
    said = {"approved": "approve", "rejected": "reject", "changes_requested": "request_changes"}.get(outcome)
    filled = {
        "capability": "refund.pay",
        "risk": "low",
        "seconds": 3_600.0,
        "votes": (vote(said),) if said else (),
        "parameters": {} if amount is None else {"amount": amount},
        **given,
    }
    return Case(UUID(int=number + 1), outcome=outcome, **filled)


def both(number: int, second: str = "approve", **given: Any) -> Case:
    """A request on which two people voted."""
    votes = (vote(), vote(second, "leo"))
    return case(number, outcome="approved" if second == "approve" else "rejected", votes=votes, **given)


def advised(cases: list[Case], *, document: Json | None = None, **given: Any) -> dict[str, Advice]:
    """Topic -> advice about a policy of one stage."""
    history = History(90, tuple(cases), **given)
    return {one.topic: one for one in advising.of_policy(document or policy_document(), history)}


def counts(advice: Advice) -> dict[str, int]:
    return {one.key: one.count for one in advice.figures}
