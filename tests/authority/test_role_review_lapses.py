"""Reviews that nobody did in time: what a lapse proposes, what it leaves alone, and when it is tried again (docs/adr/0041)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.identity import people
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from approvals import changes
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest, ChangeSet
from orchestration.authority import lapsing, live
from orchestration.authority.models import LapseTry, Role, RoleReview
from orchestration.authority.reviewing import Report
from tests.authority.role_reviewing import (
    CLOSE,
    DESK,
    PAY,
    Move,
    as_,
    away,
    decide,
    events,
    lapsed,
    person_,
    reviewed,
    settle,
    standing,
)
from tests.faults.hands import at_once
from tests.support import configuration as config
from tests.support.configuration import agent, grant, policy, role

pytestmark = pytest.mark.django_db


def test_an_overdue_review_becomes_one_proposal_to_drop_what_nobody_used(house: Any, move: Move) -> None:
    house(reviewed(DESK, every_days=30))
    move(29)
    assert lapsed() == 0
    move(2)

    assert lapsed() == 1
    assert lapsed() == 0

    change_set = ChangeSet.objects.get(status="proposed")
    assert change_set.author is None
    now = standing()
    assert (now.request, now.asked_by, now.proposed) == (change_set.pk, None, {"ticket.reply", CLOSE})
    (told,) = events("role.review_lapsed")
    assert (told["unused"], told["days"], told["code"], told["request"]) == (2, 30, "asked", str(change_set.pk))
    assert live.current().matrix.roles["support-bot"].grants.keys() >= {"ticket.reply", CLOSE}


def test_a_lapse_never_proposes_to_drop_a_gate(house: Any, move: Move) -> None:
    gated = role("support-bot", grant("allow"), grant("gate", CLOSE, policy="reply-1"), grant("deny", PAY))
    house(reviewed(gated, every_days=30), policy("reply-1", ("Deciders", 1)))
    move(31)

    assert lapsed() == 1
    assert standing().proposed == {"ticket.reply"}


def test_what_a_person_proposed_is_not_taken_back_as_if_time_had(house: Any, ada: User) -> None:
    house()
    said = settle(ada, drop=[CLOSE])
    assert said.request is not None
    request = said.request

    def take_back() -> bool:
        raise_epoch()
        return changes.withdraw_asked(request, actor=as_(ada), reason="answered")

    assert in_transaction(take_back) is False
    assert ChangeSet.objects.get(pk=request).status == ChangeSet.Status.PROPOSED


def test_a_proposal_that_was_rejected_is_not_opened_again(house: Any, move: Move) -> None:
    house()
    move(91)
    lapsed()
    decide(standing().request, person_("lee"), verdict="reject")

    assert lapsed() == 0
    assert not ChangeSet.objects.filter(status="proposed").exists()
    move(91)
    assert lapsed() == 0  # due since the same day


def test_a_proposal_whose_base_moved_is_made_anew(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)
    lapsed()
    first = standing().request
    config.propose(ada, role("support-bot", grant("allow"), grant("allow", CLOSE, reason="kept"), grant("deny", PAY)))
    assert ChangeSet.objects.get(pk=first).status == "stale"

    assert lapsed() == 1
    assert standing().request not in (None, first)


def test_the_reviewers_word_takes_the_place_of_what_was_proposed_by_time(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)
    lapsed()
    first = standing().request

    settle(ada, confirm=["ticket.reply", CLOSE])

    assert ChangeSet.objects.get(pk=first).status == "withdrawn"
    assert ApprovalRequest.objects.get(pk=first).status == "withdrawn"
    assert lapsed() == 0


def test_what_was_confirmed_in_time_is_not_proposed(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)
    settle(ada, confirm=[CLOSE])

    lapsed()

    assert standing().proposed == {"ticket.reply"}


def test_who_comes_to_hold_the_role_later_cannot_decide_either(house: Any, ada: User, move: Move) -> None:
    house(role("Closers", grant("allow", CLOSE), people=True), role("support-bot", grant("deny")))
    move(91)
    lapsed()
    request = standing("Closers").request
    people.add_to_group(person_("lee").pk, "Closers", actor=as_(ada), reason="closes now")

    with pytest.raises(NotEligible):
        decide(request, person_("lee"))
    decide(request, person_("mia"), person_("kim"))
    assert CLOSE not in live.current().matrix.roles["Closers"].grants


def test_a_lapse_that_nobody_could_decide_is_on_record_once_and_asked_when_that_is_mended(
    house: Any, ada: User, move: Move
) -> None:
    house()
    away(ada)
    move(91)
    watch = lapsing.Watch()

    assert watch.look() == 1
    assert lapsed() == 0
    (told,) = events("role.review_lapsed")
    assert told["code"] == "nobody_eligible"
    people.enable_person(person_("mia").pk, actor=as_(ada), reason="back")
    assert lapsed() == 1
    assert [one["code"] for one in events("role.review_lapsed")] == ["nobody_eligible", "asked"]


def test_what_one_worker_could_not_do_no_other_tries_again_before_rights_change(
    house: Any, ada: User, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    house()
    away(ada)
    move(91)
    lapsed()
    tried: list[str] = []
    monkeypatch.setattr(lapsing, "lapse", lambda name: bool(tried.append(name)))

    lapsed()  # another worker, or this one started anew
    assert tried == []
    people.enable_person(person_("kim").pk, actor=as_(ada), reason="back")
    lapsed()
    assert tried == ["support-bot"]


def test_what_was_refused_is_tried_again_after_a_day(
    house: Any, ada: User, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    house()
    away(ada)
    move(91)
    lapsed()
    tried: list[str] = []
    monkeypatch.setattr(lapsing, "lapse", lambda name: bool(tried.append(name)))

    move(0.9)
    lapsed()
    assert tried == []
    move(0.2)
    lapsed()
    assert tried == ["support-bot"]


@pytest.mark.django_db(transaction=True)  # what came to nothing is rolled back, the epoch with it
@pytest.mark.parametrize("is_broken", [True, False])
def test_a_try_that_came_to_nothing_is_remembered_whatever_it_came_to(
    house: Any, ada: User, move: Move, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    house()
    away(ada)
    move(91)
    lapsed()
    LapseTry.objects.all().delete()
    tried: list[str] = []

    def ask(*_: Any) -> Any:
        tried.append("asked")
        if is_broken:
            raise KeyError("a fault of the program")
        return "nobody_eligible", None

    monkeypatch.setattr(lapsing, "_ask", ask)

    assert (lapsed(), lapsed(), lapsed()) == (0, 0, 0)
    assert tried == ["asked"]


def test_verdicts_are_read_before_authority_is_locked(house: Any, move: Move) -> None:
    house()
    move(91)

    with CaptureQueriesContext(connection) as asked:
        assert lapsing.lapse("support-bot")

    said = [one["sql"] for one in asked]
    locks = [at for at, sql in enumerate(said) if "pg_advisory_xact_lock(" in sql or _raises_epoch(sql)]
    reads = [at for at, sql in enumerate(said) if "verdict.given" in sql or "DocumentVersion" in sql]
    assert reads
    assert locks
    assert max(reads) < min(locks)


def test_a_lapse_of_which_everything_was_used_locks_nothing_the_second_time(
    house: Any, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    house()
    move(91)
    monkeypatch.setattr(lapsing, "report", lambda *_, **__: Report(90, clock.now(), (), 2, 0, 0))
    assert lapsing.lapse("support-bot")

    with CaptureQueriesContext(connection) as asked:
        assert not lapsing.lapse("support-bot")

    assert not [one for one in asked if "pg_advisory_xact_lock(" in one["sql"] or _raises_epoch(one["sql"])]
    assert [one["code"] for one in events("role.review_lapsed")] == ["all_used"]


def test_a_role_that_moved_after_it_was_judged_is_judged_again(
    house: Any, ada: User, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    house()
    move(91)
    judge = lapsing._judge

    def meanwhile(*given: Any) -> Any:
        judged = judge(*given)
        config.propose(ada, role("support-bot", grant("allow"), grant("deny", CLOSE), grant("deny", PAY)))
        return judged

    monkeypatch.setattr(lapsing, "_judge", meanwhile)
    assert lapsed() == 0
    assert not ChangeSet.objects.filter(status="proposed").exists()
    monkeypatch.setattr(lapsing, "_judge", judge)

    assert lapsed() == 1
    assert standing().proposed == {"ticket.reply"}


def _raises_epoch(sql: str) -> bool:
    return sql.startswith(("UPDATE", "INSERT")) and "identity_authorityepoch" in sql


# ---- limits ----------------------------------------------------------------------------------------------------------------

RATE = {"limits": {"rate": {"count": 5, "per": "1h"}}}


def limited(name: str = "support-bot", **more: Any) -> Any:
    return role(name, {**grant("allow"), **RATE}, grant("allow", CLOSE), **more)


def test_an_allow_whose_limits_hold_back_another_role_is_not_proposed(house: Any, move: Move) -> None:
    house(limited(), role("helper", grant("allow")), agent(roles=["support-bot", "helper"]))
    move(91)
    lapsed()

    assert standing().proposed == {CLOSE}


def test_an_allow_with_limits_that_no_other_role_lets_through_is_proposed(house: Any, move: Move) -> None:
    house(limited(), role("helper", grant("deny")), agent(roles=["support-bot"]))
    move(91)
    lapsed()

    assert standing().proposed == {"ticket.reply", CLOSE}


def test_limits_of_a_role_of_people_are_kept_where_another_role_of_people_lets_it_through(house: Any, move: Move) -> None:
    house(limited("Closers", people=True), role("Helpers", grant("allow"), people=True), role("bots", grant("allow")))
    move(91)
    lapsed()

    assert standing("Closers").proposed == {CLOSE}


def test_where_limits_are_all_that_is_unused_that_is_on_record_and_nothing_is_proposed(house: Any, move: Move) -> None:
    house(
        role("support-bot", {**grant("allow"), **RATE}),
        role("helper", grant("allow")),
        agent(roles=["support-bot", "helper"]),
    )
    move(91)
    lapsed()

    assert standing().request is None
    told = {one["role"]: one["code"] for one in events("role.review_lapsed")}
    assert told["support-bot"] == "all_guarding"


def test_dropping_limits_of_a_role_of_people_that_another_lets_through_needs_two(house: Any, ada: User) -> None:
    house(limited("Closers", people=True), role("Helpers", grant("allow"), people=True))

    emptied = role("Closers", grant("allow", CLOSE), people=True)
    judged = changes.preview(config.keyed([emptied]), None)

    assert "Whoever holds Closers and another role of people would shed the limit of Closers on ticket.reply." in judged.guards


# ---- at once ---------------------------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_sweeps_at_once_one_opens_the_proposal(house: Any, move: Move) -> None:
    house()
    row = Role.objects.get(name="support-bot")
    RoleReview.objects.create(role=row.name, life=row.pk)  # else its making alone would put them in a row
    move(91)

    found = at_once(*[lambda: lapsing.lapse("support-bot")] * 6)

    assert sorted(found) == [False] * 5 + [True]
    assert ChangeSet.objects.filter(status="proposed").count() == 1
    assert len(events("role.review_lapsed")) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_sweep_and_a_reviewer_at_once_leave_one_answer(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)

    at_once(
        lambda: lapsing.lapse("support-bot"),
        lambda: settle(ada, confirm=["ticket.reply"], drop=[CLOSE]),
        lambda: lapsing.lapse("support-bot"),
    )

    (waiting,) = ChangeSet.objects.filter(status="proposed")
    assert ApprovalRequest.objects.get(pk=waiting.pk).requester == ada
    assert not standing().is_due(clock.now())
