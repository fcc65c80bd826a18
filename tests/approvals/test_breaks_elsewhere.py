"""A change that breaks a document outside it is refused, also where its author may not be told how; one that breaks nothing is
not, however different the words for him are (`previews._breaks`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from aegis.core.errors import Fault
from aegis.core.kinds import Change, Key, Overlay
from aegis.identity.models import User
from approvals import previews
from tests.approvals.house import policy_document, store_policy

pytestmark = pytest.mark.django_db

#: What speaks against the document that stands: (after the change?, does its reader see everything?) -> faults.
Says = Callable[[bool, bool], list[str]]


@dataclass
class Other:
    """A kind with one document, of which lint says what a case says."""

    says: Says
    name: str = "Other"
    order: int = 0
    asked: list[tuple[bool, bool]] = field(default_factory=list)

    def names(self) -> list[str]:
        return ["one"]

    def dump(self, name: str) -> Any:
        return {"kind": "Other"}

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        at = bool(overlay.changes), overlay.reader is None
        self.asked.append(at)
        return [Fault("/spec", what) for what in self.says(*at)]


def elsewhere(monkeypatch: pytest.MonkeyPatch, reader: User | None, says: Says) -> list[str]:
    """What the preview of a change of a policy says of the other document."""
    other = Other(says)
    real = previews.all_kinds
    monkeypatch.setattr(previews, "all_kinds", lambda: [*real(), other])
    key = Key("ApprovalPolicy", "closing")
    changed = policy_document(stages=[{"groups": ["Leads"]}], deadline="2h")
    found = previews.judge([(key, changed)], reader).elsewhere
    return [fault.what for fault in found if fault.where.startswith("Other/one")]


@pytest.fixture
def reader(lead: User) -> User:
    store_policy(policy_document())
    return lead


@pytest.mark.parametrize(
    ("says", "told"),
    [
        # It breaks now, and the reader may be told.
        (lambda after, whole: ["the agent responder"] if after else [], ["the agent responder"]),
        # It breaks now; the reader is told that, in words that keep back what.
        (lambda after, whole: (["the agent responder"] if whole else ["something"]) if after else [], ["something"]),
        # It was wrong before and is wrong now in another way: to the reader one sentence, and refused all the same.
        (lambda after, whole: ["second" if after else "first"] if whole else ["something"], ["something"]),
        # It was as wrong before.
        (lambda after, whole: ["the agent responder"], []),
        # It was as wrong before, though the words for the reader differ.
        (lambda after, whole: ["the agent responder"] if whole else ["now" if after else "then"], []),
        # One of two is mended.
        (lambda after, whole: ["first"] if after else ["first", "second"], []),
        (lambda after, whole: [], []),
    ],
)
def test_what_breaks_is_judged_with_everything_in_sight_and_told_in_the_readers_words(
    monkeypatch: pytest.MonkeyPatch, reader: User, says: Says, told: list[str]
) -> None:
    assert elsewhere(monkeypatch, reader, says) == told
