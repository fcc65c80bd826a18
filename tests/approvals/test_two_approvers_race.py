"""Two people decide the same request at the same moment, on PostgreSQL: one outcome, and the loser is told who and when.

Each racer is a thread with a connection of its own; a barrier lets them go at once, and a second one inside the transaction
makes sure that two of them really meet. With the lock taken out the same race must fail.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import close_old_connections, connection, connections

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.errors import AegisError
from aegis.identity import people
from aegis.identity.models import User
from approvals import gates, holding, judging
from approvals.errors import NotEligible, RequestExpired, RequestSettled
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from audit import journal
from audit.models import Event
from tests.approvals.house import ask, events_of, outcomes, policy_document, reload, store_policy

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer; the race is proved on PostgreSQL"),
]

ROUNDS = int(os.environ.get("AEGIS_RACE_ROUNDS", "25"))
Move = Callable[[], Any]
Answer = tuple[str, Any]  # "won" and the result, or the name of the refusal and the error


def race(*moves: Move) -> list[Answer]:
    """Run the moves at once, each in its own thread and connection."""
    start = threading.Barrier(len(moves))
    answers: list[Answer] = [("lost in the thread", None)] * len(moves)

    def run(index: int, move: Move) -> None:
        try:
            connection.ensure_connection()
            start.wait(10)
            answers[index] = ("won", move())
        except AegisError as error:
            answers[index] = (type(error).__name__, error)
        except Exception as error:  # whatever the planted bug lets through
            answers[index] = (f"unhandled {type(error).__name__}", error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index, move)) for index, move in enumerate(moves)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    close_old_connections()
    return answers


def voting(person: User, request: ApprovalRequest, verdict: str) -> Move:
    return lambda: gates.decide(
        request.pk, person=person, auth="session", verdict=verdict, reason="now", seen_digest=request.digest
    )


def has_one_outcome(request: ApprovalRequest, answers: list[Answer]) -> bool:
    """One winner, one settlement, and a loser who knows who and when."""
    kinds = Counter(kind for kind, _ in answers)
    if kinds != Counter({"won": 1, "RequestSettled": 1}) or len(outcomes(request)) != 1:
        return False
    winner = Decision.objects.get(request=request)
    (loser,) = [error for kind, error in answers if kind == "RequestSettled"]
    is_told = loser.decided_by == winner.person.display_name and loser.decided_at == winner.at
    return is_told and loser.detail.startswith(winner.person.display_name) and events_of(request).count("request.settled") == 1


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make two racers meet between judging and voting, as far as the lock lets them.

    Who waits alone goes on after a moment: with the lock, that is the winner, whom the loser cannot meet.
    """
    judge = judging.judge
    doors: defaultdict[UUID, threading.Barrier] = defaultdict(lambda: threading.Barrier(2))

    def judged(request: ApprovalRequest, *others: Any) -> Any:
        found = judge(request, *others)
        with suppress(threading.BrokenBarrierError):
            doors[request.pk].wait(0.05)
        return found

    monkeypatch.setattr(judging, "judge", judged)


def _unlocked(request_id: UUID) -> ApprovalRequest:
    """The planted bug: the row as it is, without its lock."""
    return ApprovalRequest.objects.select_related("policy").get(pk=request_id)


def test_two_approvers_one_outcome(lead: User, second_lead: User, policy: ApprovalPolicy, meeting: None) -> None:
    for round_number in range(ROUNDS):
        request = ask(policy)
        verdict = "reject" if round_number % 2 else "approve"

        answers = race(voting(lead, request, "approve"), voting(second_lead, request, verdict))

        assert has_one_outcome(request, answers), (round_number, answers)
    assert journal.verify().is_good


def test_the_race_sees_the_lock_when_it_is_taken_out(
    lead: User, second_lead: User, policy: ApprovalPolicy, meeting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "lock_request", _unlocked)
    good = 0
    for _ in range(ROUNDS):
        request = ask(policy)
        answers = race(voting(lead, request, "approve"), voting(second_lead, request, "reject"))
        good += has_one_outcome(request, answers)

    assert good < ROUNDS / 2, "the race cannot see a missing lock"


def test_the_same_person_in_two_tabs_counts_once(lead: User, second_lead: User) -> None:
    two = store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))
    for _ in range(ROUNDS):
        request = ask(two)

        kinds = Counter(kind for kind, _ in race(*[voting(lead, request, "approve")] * 2))

        assert kinds == Counter({"won": 1, "NotEligible": 1})
        assert reload(request).status == ApprovalRequest.Status.OPEN
        assert Decision.objects.filter(request=request).count() == 1


def test_three_people_for_a_quorum_of_two_settle_it_once(lead: User, second_lead: User, person: Callable[..., User]) -> None:
    third = person("liv", "Leads")
    two = store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))
    for _ in range(ROUNDS):
        request = ask(two)

        kinds = Counter(kind for kind, _ in race(*[voting(one, request, "approve") for one in (lead, second_lead, third)]))

        assert kinds == Counter({"won": 2, "RequestSettled": 1})
        assert outcomes(request) == ["approved"]


def test_decided_or_expired_never_both(lead: User, policy: ApprovalPolicy) -> None:
    """Around the deadline a decision and the sweep meet; whoever is first has it, and the deadline itself is too late."""
    for round_number in range(ROUNDS):
        request = ask(policy)
        deadline = clock.db_now() + timedelta(milliseconds=round_number % 11)
        ApprovalRequest.objects.filter(pk=request.pk).update(deadline=deadline)

        answers = race(voting(lead, request, "approve"), lambda request=request: gates.expire(request.pk))  # type: ignore[misc]
        gates.expire(request.pk)

        while not outcomes(request):
            gates.expire(request.pk)
        (outcome,) = outcomes(request)
        if outcome == "approved":
            assert answers[0][0] == "won"
            assert Decision.objects.get(request=request).at < deadline
        else:
            assert answers[0][0] in {RequestExpired.__name__, RequestSettled.__name__}
            assert not Decision.objects.filter(request=request).exists()


def test_no_vote_is_accepted_after_the_group_was_taken_away(
    lead: User, second_lead: User, policy: ApprovalPolicy, ada: User
) -> None:
    """Leaving the group and voting race: the vote counts only if it was committed before."""
    group = Group.objects.get(name="Leads")
    for _ in range(ROUNDS):
        request = ask(policy)
        leave: Move = lambda: people.remove_from_group(second_lead.pk, "Leads", actor=SYSTEM, reason="moved")  # noqa: E731

        votes, _ = race(voting(second_lead, request, "approve"), leave)

        if votes[0] == "won":
            vote = Decision.objects.get(request=request)
            assert vote.at <= Event.objects.filter(type="access.group_left").latest("id").at
        else:
            assert votes[0] in {"NotFound", NotEligible.__name__}
            assert outcomes(request) == []
        assert not second_lead.groups.filter(pk=group.pk).exists()
        people.add_to_group(second_lead.pk, "Leads", actor=SYSTEM, reason="back")
