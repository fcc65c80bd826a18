"""Reviews of access: who may review a role, what his word does, and what becomes of one that nobody did (docs/adr/0041)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import Actor, user_actor
from aegis.core.db import in_transaction
from aegis.core.errors import Forbidden, Invalid, NotFound, Stale
from aegis.core.kinds import Key
from aegis.identity import people
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from approvals import changes, gates, handling
from approvals.errors import ChangeInvalid, NobodyEligible, NotEligible
from approvals.models import ApprovalRequest, ChangeSet
from audit import journal
from audit.models import Event
from orchestration.authority import confirming, lapsing, live, role_reviews
from orchestration.authority.confirming import DropWaits
from orchestration.authority.models import Role, RoleReview
from orchestration.authority.reviewers import OwnRole
from orchestration.authority.role_reviews import Standing
from tests.support import configuration as config
from tests.support.configuration import agent, capability, grant, policy, role

pytestmark = pytest.mark.django_db
CLOSE, PAY = "ticket.close", "ticket.pay"
DECIDERS = policy("config-change", ("Deciders", 2))
BOT = role("support-bot", grant("allow"), grant("allow", CLOSE), grant("deny", PAY))
Move = Callable[..., datetime]


def reviewed(document: Any, **review: Any) -> Any:
    return {**document, "spec": {**document["spec"], "review": review}}


@pytest.fixture
def house(person: Callable[..., User], olivia: User, sam: User, ada: User, quinn: User) -> Callable[..., None]:
    """Applies a configuration in which olivia owns the agent with `support-bot`, and lee and mia decide changes."""
    for name in ("lee", "mia", "kim"):
        person(name, "Deciders")
    person("ben", "Support leads")

    def apply(*documents: Any) -> None:
        standing_ = _by_name((DECIDERS, BOT, capability(CLOSE), capability(PAY)))
        config.bootstrap(*(standing_ | _by_name(documents)).values())

    return apply


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Sets the clock on by so many days."""
    at, now = [timedelta()], clock.now
    for name in ("now", "db_now"):
        monkeypatch.setattr(clock, name, lambda: now() + at[0])

    def by(days: float) -> datetime:
        at[0] += timedelta(days=days)
        return clock.now()

    return by


def _by_name(documents: Any) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in documents}


def standing(name: str = "support-bot") -> Standing:
    found = role_reviews.of_role(name)
    assert found is not None
    return found


def as_(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


def settle(person: User, name: str = "support-bot", **word: Any) -> confirming.Said:
    given = {"reason": "looked at it", "seen": Role.objects.get(name=name).digest, **word}
    return confirming.settle(name, actor=as_(person), **given)


def events(kind: str = "role.reviewed") -> list[dict[str, Any]]:
    return [
        canonical.parse(line)["data"] for line in Event.objects.filter(type=kind).order_by("id").values_list("line", flat=True)
    ]


def decide(request: Any, *persons: User, verdict: str = "approve") -> ApprovalRequest:
    for person in persons:
        row = ApprovalRequest.objects.get(pk=request)
        word = {"verdict": verdict, "reason": "so be it", "seen_digest": row.digest, "proved_at": clock.db_now()}
        gates.decide(row.pk, person=person, auth="session", **word)
    return ApprovalRequest.objects.get(pk=request)


def away(ada: User) -> None:
    """One of three who decide is left."""
    for name in ("mia", "kim"):
        people.disable_person(person_(name).pk, actor=as_(ada), reason="away")


def person_(name: str) -> User:
    return User.objects.get(username=name)


# ---- who may ---------------------------------------------------------------------------------------------------------------


def test_without_a_reviewer_named_it_is_whoever_may_edit_access(house: Any, ada: User, sam: User) -> None:
    house()

    assert standing().seats.eligible == {str(ada.pk)}
    settle(ada, confirm=["ticket.reply"])
    with pytest.raises(NotFound):
        settle(sam, confirm=["ticket.reply"])


def test_a_group_that_is_named_reviews_and_who_edits_access_does_not(house: Any, ada: User, sam: User) -> None:
    house(reviewed(BOT, group="Support leads"))

    settle(sam, confirm=["ticket.reply"])
    with pytest.raises(Forbidden) as refused:
        settle(ada, confirm=["ticket.reply"])

    assert refused.value.granted_by == "the group Support leads"
    assert Event.objects.filter(type="access.denied", actor_ref=str(ada.pk), line__contains="role.review").exists()


def test_a_person_who_is_named_reviews_alone(house: Any, quinn: User, ada: User) -> None:
    house(reviewed(BOT, person="quinn"))

    assert standing().seats.eligible == {str(quinn.pk)}
    with pytest.raises(Forbidden):
        settle(ada, confirm=["ticket.reply"])


def test_nobody_reviews_a_role_of_an_agent_he_owns(house: Any, olivia: User) -> None:
    house(reviewed(BOT, person="olivia"))
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
    house(reviewed(BOT, person="quinn"))
    people.disable_person(quinn.pk, actor=as_(ada), reason="left")

    assert not standing().has_reviewer


# ---- the word --------------------------------------------------------------------------------------------------------------


def test_a_review_of_everything_is_an_event_and_moves_the_date(house: Any, ada: User, move: Move) -> None:
    house(reviewed(BOT, every_days=30))
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


def test_a_reviewer_who_may_not_edit_access_proposes_all_the_same(house: Any, sam: User) -> None:
    house(reviewed(BOT, person="sam"))
    said = settle(sam, confirm=["ticket.reply"], drop=[CLOSE])

    decide(said.request, person_("lee"), person_("mia"))

    assert CLOSE not in live.current().matrix.roles["support-bot"].grants


def test_who_asked_and_who_holds_the_role_cannot_decide(house: Any, ada: User) -> None:
    house(reviewed(BOT, person="lee"), agent(owner="kim"))
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
    house({**BOT, "spec": {**BOT["spec"], "tests": [test]}})

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


# ---- not done in time ------------------------------------------------------------------------------------------------------


def lapsed() -> int:
    return lapsing.Watch().look()


def test_an_overdue_review_becomes_one_proposal_to_drop_what_nobody_used(house: Any, move: Move) -> None:
    house(reviewed(BOT, every_days=30))
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


def test_what_a_process_could_not_do_it_tries_again_only_when_rights_change(
    house: Any, ada: User, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    house()
    away(ada)
    move(91)
    monkeypatch.setattr(lapsing, "PAUSE", 0.0)
    watch, tried = lapsing.Watch(), []
    watch.look()
    monkeypatch.setattr(lapsing, "lapse", lambda name: bool(tried.append(name)))

    watch.look()
    assert tried == []
    people.enable_person(person_("kim").pk, actor=as_(ada), reason="back")
    watch.look()
    assert tried == ["support-bot"]


def test_a_look_asks_as_many_questions_for_many_roles_as_for_one(house: Any, ada: User) -> None:
    house(reviewed(BOT, person="quinn"))
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

    assert any(place.startswith(f"Role/support-bot{where}") for place in config.faults(reviewed(BOT, **review)))


def test_a_role_of_people_cannot_review_itself(house: Any) -> None:
    house()

    found = config.faults(reviewed(role("Support leads", grant("allow", CLOSE), people=True), group="Support leads"))
    assert found == {"Role/Support leads/spec/review/group": "who holds the role cannot review it"}


def test_a_review_is_told_in_words_and_loosened_by_two(house: Any, ada: User) -> None:
    house(reviewed(BOT, person="quinn", every_days=30))

    assert "support-bot is reviewed by quinn, every 14 days." in config.sentences(reviewed(BOT, person="quinn", every_days=14))
    assert config.propose(ada, reviewed(BOT, person="quinn", every_days=60)).status == "proposed"
    assert config.propose(ada, reviewed(BOT, person="ada", every_days=30)).status == "proposed"
    assert config.propose(ada, BOT).status == "proposed"
    assert config.propose(ada, reviewed(BOT, person="quinn", every_days=14)).status == "applied"


def test_the_terms_of_a_review_make_no_new_matrix(house: Any, ada: User) -> None:
    house()
    before = live.current().matrix.number

    config.propose(ada, reviewed(BOT, person="quinn"))

    assert live.current().matrix.number == before
    assert standing().terms.person == "quinn"


# ---- at once ---------------------------------------------------------------------------------------------------------------


def at_once(*works: Callable[[], Any]) -> list[Any]:
    def alone(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [one.result() for one in [pool.submit(alone, work) for work in works]]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_sweeps_at_once_one_opens_the_proposal(house: Any, move: Move) -> None:
    house()
    RoleReview.objects.create(role="support-bot")  # else its making alone would put them in a row
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


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_reviewers_at_once_open_one_proposal(house: Any, ada: User, person: Any) -> None:
    house()
    eve = person("eve", "Admins")
    RoleReview.objects.create(role="support-bot")

    found = at_once(lambda: settle(ada, drop=[CLOSE]), lambda: settle(eve, drop=["ticket.reply"]))

    assert sorted(type(one).__name__ for one in found) == ["DropWaits", "Said"]
    assert ChangeSet.objects.filter(status="proposed").count() == 1
