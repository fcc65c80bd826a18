"""An edit and a last vote, or two edits, at the same moment on PostgreSQL: one comes first, and the other is told."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from django.db import connection  # noqa: F401

from aegis.identity.models import User
from approvals import holding, judging
from approvals.models import ApprovalRequest, Decision
from audit import journal
from orchestration.engine.revising import RevisableEffect
from orchestration.records import store
from tests.approvals.test_two_approvers_race import Answer, _unlocked, race
from tests.engine import house
from tests.engine.test_edit_and_resubmit import approve, documents, edit, written  # noqa: F401

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer; the race is proved on PostgreSQL"),
]

ROUNDS = int(os.environ.get("AEGIS_RACE_ROUNDS", "6"))


@pytest.fixture
def leads(person: Callable[..., User], ada: User, sam: User) -> list[User]:
    """Who starts, who edits, who approves; one approval is enough."""
    docs = documents()
    next(one for one in docs if one["kind"] == "ApprovalPolicy")["spec"]["stages"][0]["quorum"] = 1
    house.bootstrap(docs)
    return [person("zoe", "Support leads"), sam, person("mia", "Support leads")]


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both meet between judging and writing, as far as the locks let them."""
    judge = judging.judge
    doors: defaultdict[UUID, threading.Barrier] = defaultdict(lambda: threading.Barrier(2))

    def judged(request: ApprovalRequest, *others: Any) -> Any:
        found = judge(request, *others)
        with suppress(threading.BrokenBarrierError):
            doors[request.pk].wait(0.1)
        return found

    monkeypatch.setattr(judging, "judge", judged)


def asked(starter: User, number: int) -> tuple[Any, ApprovalRequest]:
    run = house.submit(starter, {"id": f"n-{number}"})
    house.drive(run)
    return run, house.request_of(run)


def one_came_first(request: ApprovalRequest, answers: list[Answer]) -> bool:
    """Approved as it was and not edited, or edited with no vote that counts."""
    (vote, _), (edited, _) = answers
    row = ApprovalRequest.objects.get(pk=request.pk)
    votes = Decision.objects.filter(request=request, is_void=False).count()
    if (vote, edited) == ("won", "RequestSettled"):
        return (row.status, row.revision, votes) == ("approved", 0, 1)
    return (vote, edited, row.status, votes) == ("Stale", "won", "open", 0) and row.revision > 0


def test_a_last_vote_and_an_edit_one_comes_first(leads: list[User], meeting: None) -> None:
    starter, editor, approver = leads
    for number in range(ROUNDS):
        store_before = store.read("note", "N-1")
        run, request = asked(starter, number)

        answers = race(
            lambda request=request: approve(approver, request, digest=request.digest),  # type: ignore[misc]
            lambda request=request: edit(editor, request, {"text": "edited"}, digest=request.digest),  # type: ignore[misc]
        )

        assert one_came_first(request, answers), (number, answers)
        house.drive(run)
        done = store.read("note", "N-1")
        assert done == store_before or done[1] == {"text": "hello"}  # never the edit that nobody approved
    assert journal.verify().is_good


def test_the_race_sees_the_locks_when_they_are_taken_out(
    leads: list[User], meeting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "lock_request", _unlocked)
    monkeypatch.setattr(RevisableEffect, "lock", lambda self, subject: None)
    starter, editor, approver = leads
    good = 0
    for number in range(ROUNDS):
        _, request = asked(starter, number)
        answers = race(
            lambda request=request: approve(approver, request, digest=request.digest),  # type: ignore[misc]
            lambda request=request: edit(editor, request, {"text": "edited"}, digest=request.digest),  # type: ignore[misc]
        )
        good += one_came_first(request, answers)
    assert good < ROUNDS / 2, "the race cannot see missing locks"


def test_two_edits_one_stands(leads: list[User], person: Callable[..., User], meeting: None) -> None:
    starter, editor, other = leads
    person("tom", "Support leads")
    for number in range(ROUNDS):
        _, request = asked(starter, number)
        kinds = Counter(
            kind
            for kind, _ in race(
                *[
                    lambda who=who, request=request: edit(who, request, {"text": who.username}, digest=request.digest)  # type: ignore[misc]
                    for who in (editor, other)
                ]
            )
        )
        assert kinds == Counter({"won": 1, "Stale": 1})
        row = ApprovalRequest.objects.get(pk=request.pk)
        assert [event.type for event in journal.read(row.stream)].count("request.edited") == 1
