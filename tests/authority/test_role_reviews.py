"""Reviews of access: who may review a role, what his word does, and what becomes of one that nobody did (docs/adr/0041)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.errors import Forbidden, Invalid, NotFound, Stale
from aegis.core.kinds import Key
from aegis.identity import people
from aegis.identity.models import User
from approvals import changes, gates, handling
from approvals.errors import ChangeInvalid, NobodyEligible
from approvals.models import ApprovalRequest, ChangeSet
from audit import journal
from audit.models import Event
from orchestration.authority import live, role_reviews
from orchestration.authority.confirming import DropWaits
from orchestration.authority.models import Role, RoleReview
from orchestration.authority.reviewers import OwnRole
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
from tests.support.configuration import agent, grant, role

pytestmark = pytest.mark.django_db


# ---- who may ---------------------------------------------------------------------------------------------------------------


def test_without_a_reviewer_named_it_is_whoever_may_edit_access(house: Any, ada: User, sam: User) -> None:
    house()

    assert standing().seats.eligible == {str(ada.pk)}
    settle(ada, confirm=["ticket.reply"])
    with pytest.raises(NotFound):
        settle(sam, confirm=["ticket.reply"])


def test_a_group_that_is_named_reviews_and_who_edits_access_does_not(house: Any, ada: User, sam: User) -> None:
    house(reviewed(DESK, group="Support leads"))

    settle(sam, confirm=["ticket.reply"])
    with pytest.raises(Forbidden) as refused:
        settle(ada, confirm=["ticket.reply"])

    assert refused.value.granted_by == "the group Support leads"
    assert Event.objects.filter(type="access.denied", actor_ref=str(ada.pk), line__contains="role.review").exists()


def test_a_person_who_is_named_reviews_alone(house: Any, quinn: User, ada: User) -> None:
    house(reviewed(DESK, person="quinn"))

    assert standing().seats.eligible == {str(quinn.pk)}
    with pytest.raises(Forbidden):
        settle(ada, confirm=["ticket.reply"])


def test_nobody_reviews_a_role_of_an_agent_he_owns(house: Any, olivia: User) -> None:
    house(reviewed(DESK, person="olivia"))
    User.objects.filter(pk=olivia.pk).update(is_superuser=True)

    with pytest.raises(OwnRole):
        settle(olivia, confirm=["ticket.reply"])

    assert not standing().has_reviewer
    assert not events()


def test_nobody_reviews_a_role_of_people_that_he_is_in(house: Any, sam: User, ada: User) -> None:
    house(reviewed(role("Closers", grant("allow", CLOSE), people=True), person="sam"))
    people.add_to_group(sam.pk, "Closers", actor=as_(ada), reason="closes")

    with pytest.raises(OwnRole):
        settle(sam, "Closers", confirm=[CLOSE])

    assert not standing("Closers").has_reviewer


def test_who_has_left_reviews_nothing(house: Any, quinn: User, ada: User) -> None:
    house(reviewed(DESK, person="quinn"))
    people.disable_person(quinn.pk, actor=as_(ada), reason="left")

    assert not standing().has_reviewer


# ---- the word --------------------------------------------------------------------------------------------------------------


def test_a_review_of_everything_is_an_event_and_moves_the_date(house: Any, ada: User, move: Move) -> None:
    house(reviewed(DESK, every_days=30))
    assert not standing().is_due(move(29))
    assert standing().is_due(move(2))

    said = settle(ada, confirm=["ticket.reply", CLOSE])

    assert (said.request, said.left) == (None, ())
    now = standing()
    assert (now.reviewed_by, now.is_due(clock.now()), now.left) == (ada, False, ["ticket.reply", CLOSE])
    (told,) = events()
    assert (told["confirmed"], told["dropped"], told["complete"]) == (2, 0, True)
    event = Event.objects.get(type="role.reviewed")
    assert event.actor_ref == str(ada.pk)
    assert "looked at it" not in event.line
    assert journal.payload(event.stream, event.seq, "cells") == b'{"confirmed":["ticket.close","ticket.reply"],"dropped":[]}'


def test_grants_are_confirmed_one_by_one_and_the_last_ends_the_review(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)

    assert settle(ada, confirm=[CLOSE]).left == ("ticket.reply",)
    assert (standing().left, standing().is_due(clock.now())) == (["ticket.reply"], True)
    assert settle(ada, confirm=["ticket.reply"]).left == ()

    assert not standing().is_due(clock.now())
    assert [one["complete"] for one in events()] == [False, True]


def test_a_grant_changed_after_it_was_confirmed_is_to_be_confirmed_again(house: Any, ada: User) -> None:
    house()
    settle(ada, confirm=[CLOSE])
    config.propose(ada, role("support-bot", grant("allow"), grant("gate", CLOSE, policy="reply-1"), grant("deny", PAY)))

    assert standing().confirmed == frozenset()


def test_a_deny_is_not_asked_about(house: Any, ada: User) -> None:
    house()

    assert list(standing().grants) == ["ticket.reply", CLOSE]
    with pytest.raises(Invalid):
        settle(ada, drop=[PAY])


def test_dropping_opens_one_proposal_and_changes_nothing(house: Any, ada: User) -> None:
    house()
    before = live.current().matrix.number

    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])

    assert said.left == ()
    assert live.current().matrix.number == before
    change_set = ChangeSet.objects.get(status=ChangeSet.Status.PROPOSED)
    assert change_set.pk == said.request
    request = ApprovalRequest.objects.get(pk=said.request)
    assert (request.requester, request.status) == (ada, "open")
    diff = gates.evidence_of(request)["diff"].decode()
    assert "support-bot no longer has a say on ticket.close" in diff
    assert events()[0]["request"] == str(said.request)


def test_two_others_decide_and_only_then_the_grant_is_gone(house: Any, ada: User) -> None:
    house()
    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])

    decide(said.request, person_("lee"))
    assert CLOSE in live.current().matrix.roles["support-bot"].grants
    decide(said.request, person_("mia"))

    assert sorted(live.current().matrix.roles["support-bot"].grants) == [PAY, "ticket.reply"]
    applied = Event.objects.filter(type="config.applied").order_by("-id")[0]
    assert applied.actor_kind == "system"


def test_a_review_is_whole_once_what_it_drops_is_gone_and_moves_no_date_before(house: Any, ada: User, move: Move) -> None:
    house()
    due = standing().due_at
    move(10)
    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])

    assert (standing().due_at, standing().reviewed_at, events()[0]["complete"]) == (due, None, False)
    assert not standing().is_soon(due)  # it waits for others
    decide(said.request, person_("lee"), person_("mia"))

    ended = Event.objects.get(type="role.review_ended")
    assert (standing().reviewed_at, standing().reviewed_by) == (ended.at, ada)
    assert standing().due_at == ended.at + standing().terms.every
    assert role_reviews.problems(None) == []


@pytest.mark.parametrize("end", ["withdrawn", "rejected"])
def test_what_nobody_dropped_is_to_be_reviewed_again(house: Any, ada: User, end: str) -> None:
    house()
    due = standing().due_at
    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])

    if end == "withdrawn":
        handling.withdraw(said.request, actor=as_(ada), reason="not after all")
    else:
        decide(said.request, person_("lee"), verdict="reject")

    assert (standing().left, standing().due_at, standing().reviewed_at) == ([CLOSE], due, None)
    assert standing().is_due(due)
    assert settle(ada, confirm=[CLOSE]).left == ()
    assert standing().reviewed_at is not None


def test_another_word_while_a_proposal_waits_ends_no_review_and_its_end_does(house: Any, ada: User) -> None:
    house()
    said = settle(ada, drop=[CLOSE])
    settle(ada, confirm=["ticket.reply"])

    assert standing().reviewed_at is None
    decide(said.request, person_("lee"), person_("mia"))

    assert standing().reviewed_at is not None


def test_a_proposal_applied_before_the_last_word_ends_no_review(house: Any, ada: User) -> None:
    house()
    said = settle(ada, drop=[CLOSE])
    decide(said.request, person_("lee"), person_("mia"))

    assert (standing().reviewed_at, standing().left) == (None, ["ticket.reply"])
    assert not events("role.review_ended")


def test_grants_taken_away_elsewhere_end_no_review(house: Any, ada: User) -> None:
    house()
    settle(ada, confirm=["ticket.reply"])
    config.propose(ada, role("support-bot", grant("allow"), grant("deny", PAY)))

    assert (standing().reviewed_at, events("role.review_ended")) == (None, [])


def test_another_change_while_a_proposal_waits_ends_no_review(house: Any, ada: User) -> None:
    house()
    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])
    config.propose(ada, role("support-bot", grant("allow", reason="answers"), grant("allow", CLOSE), grant("deny", PAY)))

    assert ApprovalRequest.objects.get(pk=said.request).status != "approved"
    assert (standing().reviewed_at, events("role.review_ended")) == (None, [])


def test_a_role_removed_and_added_again_sheds_no_reviewer(house: Any, ada: User) -> None:
    lonely = reviewed(role("lonely", grant("allow")), person="sam", every_days=30)
    house(lonely)
    changes.propose([(Key("Role", "lonely"), None)], author=ada, actor=as_(ada), reason="no longer needed")

    judged = changes.preview(config.keyed([role("lonely", grant("allow", CLOSE))]), None)

    assert "lonely would no longer be reviewed by sam." in judged.guards
    assert "lonely would be reviewed every 90 days, no longer every 30." in judged.guards


def test_a_role_removed_and_made_again_is_due_as_a_new_one(house: Any, ada: User, move: Move) -> None:
    lonely = role("lonely", grant("allow"), grant("allow", CLOSE))
    house(lonely)
    move(40)
    settle(ada, "lonely", confirm=["ticket.reply", CLOSE])
    move(10)
    settle(ada, "lonely", confirm=[CLOSE])
    changes.propose([(Key("Role", "lonely"), None)], author=ada, actor=as_(ada), reason="no longer needed")
    made = move(30)
    config.propose(ada, lonely)
    decided = ChangeSet.objects.order_by("-created_at")[0]
    if decided.status == "proposed":
        decide(decided.pk, person_("lee"), person_("mia"))

    now = standing("lonely")
    assert (now.reviewed_at, now.reviewed_by, now.confirmed) == (None, None, frozenset())
    assert timedelta() <= now.due_at - made - now.terms.every < timedelta(minutes=1)
    assert role_reviews.problems(None) == []

    settle(ada, "lonely", confirm=[CLOSE])

    again = standing("lonely")
    assert (again.reviewed_at, again.confirmed) == (None, {CLOSE})
    assert role_reviews.problems(None) == []
    settle(ada, "lonely", confirm=["ticket.reply"])
    assert standing("lonely").reviewed_by == ada
    assert role_reviews.problems(None) == []


def test_a_change_of_a_role_begins_no_new_life(house: Any, ada: User, move: Move) -> None:
    house()
    due = standing().due_at
    move(10)
    config.propose(ada, role("support-bot", grant("allow"), grant("deny", CLOSE), grant("deny", PAY)))

    assert standing().due_at == due


def test_a_reviewer_who_may_not_edit_access_proposes_all_the_same(house: Any, sam: User) -> None:
    house(reviewed(DESK, person="sam"))
    said = settle(sam, confirm=["ticket.reply"], drop=[CLOSE])

    decide(said.request, person_("lee"), person_("mia"))

    assert CLOSE not in live.current().matrix.roles["support-bot"].grants


def test_who_asked_and_who_holds_the_role_cannot_decide(house: Any, ada: User) -> None:
    house(reviewed(DESK, person="lee"), agent(owner="kim"))
    with pytest.raises(NobodyEligible):  # only mia is left of three
        settle(person_("lee"), confirm=["ticket.reply"], drop=[CLOSE])

    assert not ChangeSet.objects.filter(status=ChangeSet.Status.PROPOSED).exists()


def test_a_second_proposal_for_a_role_waits_for_the_first(house: Any, ada: User) -> None:
    house()
    first = settle(ada, drop=[CLOSE])
    with pytest.raises(DropWaits):
        settle(ada, drop=["ticket.reply"])
    with pytest.raises(DropWaits):
        settle(ada, confirm=[CLOSE])

    assert settle(ada, confirm=["ticket.reply"]).left == ()
    assert list(ChangeSet.objects.filter(status="proposed").values_list("pk", flat=True)) == [first.request]


def test_a_review_of_what_has_changed_since_is_refused(house: Any, ada: User) -> None:
    house()
    seen = Role.objects.get(name="support-bot").digest
    config.propose(ada, role("support-bot", grant("allow"), grant("deny", PAY)))

    with pytest.raises(Stale):
        settle(ada, seen=seen, confirm=["ticket.reply"])
    assert not events()


@pytest.mark.parametrize(
    "word", [{}, {"confirm": ["x.y"]}, {"confirm": [CLOSE], "drop": [CLOSE]}, {"reason": " ", "drop": [CLOSE]}]
)
def test_a_word_that_says_nothing_is_refused(house: Any, ada: User, word: Any) -> None:
    house()

    with pytest.raises(Invalid):
        settle(ada, **word)
    assert not events()


def test_what_a_scope_test_speaks_for_is_not_proposed(house: Any, ada: User) -> None:
    test = {"name": "it closes", "capability": CLOSE, "parameters": {}, "expect": "allow"}
    house({**DESK, "spec": {**DESK["spec"], "tests": [test]}})

    with pytest.raises(ChangeInvalid):
        settle(ada, confirm=["ticket.reply"], drop=[CLOSE])
    assert not events()
    assert RoleReview.objects.count() == 0


def test_without_two_people_who_decide_nothing_is_proposed(house: Any, ada: User) -> None:
    house()
    away(ada)

    with pytest.raises(NobodyEligible):
        settle(ada, confirm=["ticket.reply"], drop=[CLOSE])
    assert not events()


def test_a_look_asks_as_many_questions_for_many_roles_as_for_one(house: Any, ada: User) -> None:
    house(reviewed(DESK, person="quinn"))
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as asked:
            role_reviews.of_all()
        counts.append(len(asked))
        more = [role(f"bot-{number}-{index}", grant("allow")) for index in range(6)]
        config.propose(ada, *(reviewed(one, person="quinn") for one in more))

    assert counts[0] == counts[1]


def test_the_record_proves_a_review_and_finds_one_that_was_made_up(house: Any, ada: User, move: Move) -> None:
    house()
    move(91)
    lapsed()
    said = settle(ada, confirm=["ticket.reply"], drop=[CLOSE])
    decide(said.request, person_("lee"), person_("mia"))
    assert journal.verify().problems == []

    RoleReview.objects.update(reviewed_at=clock.db_now() + timedelta(days=3650))

    assert [(one.check, one.stream) for one in journal.verify().problems] == [("review", live.STREAM)]


# ---- documents -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("review", "where"),
    [
        ({"group": "Nowhere"}, "/spec/review/group"),
        ({"person": "nobody"}, "/spec/review/person"),
        ({"person": "quinn", "group": "Support leads"}, "/spec/review"),
        ({"every_days": 0}, "/spec/review/every_days"),
        ({"who": "quinn"}, "/spec/review"),
    ],
)
def test_a_review_that_cannot_be_is_a_fault(house: Any, review: Any, where: str) -> None:
    house()

    assert any(place.startswith(f"Role/support-bot{where}") for place in config.faults(reviewed(DESK, **review)))


def test_a_role_of_people_cannot_review_itself(house: Any) -> None:
    house()

    found = config.faults(reviewed(role("Support leads", grant("allow", CLOSE), people=True), group="Support leads"))
    assert found == {"Role/Support leads/spec/review/group": "who holds the role cannot review it"}


def test_a_review_is_told_in_words_and_loosened_by_two(house: Any, ada: User) -> None:
    house(reviewed(DESK, person="quinn", every_days=30))

    assert "support-bot is reviewed by quinn, every 14 days." in config.sentences(reviewed(DESK, person="quinn", every_days=14))
    assert config.propose(ada, reviewed(DESK, person="quinn", every_days=60)).status == "proposed"
    assert config.propose(ada, reviewed(DESK, person="ada", every_days=30)).status == "proposed"
    assert config.propose(ada, DESK).status == "proposed"
    assert config.propose(ada, reviewed(DESK, person="quinn", every_days=14)).status == "applied"


def test_the_terms_of_a_review_make_no_new_matrix(house: Any, ada: User) -> None:
    house()
    before = live.current().matrix.number

    config.propose(ada, reviewed(DESK, person="quinn"))

    assert live.current().matrix.number == before
    assert standing().terms.person == "quinn"


# ---- at once ---------------------------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_reviewers_at_once_open_one_proposal(house: Any, ada: User, person: Any) -> None:
    house()
    eve = person("eve", "Admins")
    row = Role.objects.get(name="support-bot")
    RoleReview.objects.create(role=row.name, life=row.pk)

    found = at_once(lambda: settle(ada, drop=[CLOSE]), lambda: settle(eve, drop=["ticket.reply"]))

    assert sorted(type(one).__name__ for one in found) == ["DropWaits", "Said"]
    assert ChangeSet.objects.filter(status="proposed").count() == 1
