"""Break-glass: a right for a time, in the open. It ends by itself, passes no lock, gives no vote; somebody else reviews it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.errors import Conflict, Forbidden, NotAuthenticated, NotFound
from aegis.identity import emergency, grants, people
from aegis.identity.models import Area, TakenRight, User
from approvals.models import ApprovalPolicy
from audit import journal
from audit.models import Event, Payload
from orchestration.engine.guards import verbs as guards
from orchestration.engine.guards.models import Halt
from orchestration.workflows.models import Workflow
from tests.identity.breaking import HOUR, WHY, later, may, of, take, types
from tests.support import configuration as config
from tests.support.api import client_of

pytestmark = pytest.mark.django_db


def test_what_is_taken_counts_from_that_commit_on_for_this_person_and_this_right_alone(nora: User, sam: User):
    assert not may(nora, "operate")
    take(nora)

    assert may(nora, "operate")
    assert not may(nora, "edit")
    assert not may(nora, "operate", "approvals")
    assert not may(sam, "operate")


def test_it_is_on_record_with_person_right_end_and_reason(nora: User):
    row = take(nora)

    event = Event.objects.get(type="access.right_taken")
    data = json.loads(event.line)["data"]
    assert (event.actor_ref, data["taken"], data["area"], data["right"]) == (str(nora.pk), str(row.pk), "workflows", "operate")
    assert Payload.objects.get(stream=event.stream, seq=event.seq, name="reason").body == json.dumps(WHY)


def test_it_ends_by_itself_though_nobody_wrote_that_down(nora: User, monkeypatch: pytest.MonkeyPatch):
    take(nora)
    later(monkeypatch, HOUR - timedelta(seconds=1))
    assert may(nora, "operate")
    later(monkeypatch, timedelta(seconds=2))

    assert not may(nora, "operate")
    assert TakenRight.objects.get().ended_at is None, "the sweep has not been here"
    assert emergency.end_due() == 1
    assert emergency.end_due() == 0
    assert types() == ["access.right_taken", "access.taken_right_ended"]
    assert User.objects.get(pk=nora.pk).taken_until is None


def test_who_came_in_time_and_acts_too_late_is_refused(nora: User, monkeypatch: pytest.MonkeyPatch):
    """The page was built while it stood; the verb asks again, under the lock."""
    take(nora)
    loaded = User.objects.get(pk=nora.pk)
    assert Area.objects.visible_to(loaded, "operate").filter(name="workflows").exists()
    later(monkeypatch, HOUR)

    with pytest.raises(Forbidden):
        guards.halt("everything", "", actor=of(loaded), reason=WHY)
    assert not Halt.objects.exists()
    assert Event.objects.filter(type="access.denied").exists()


def test_while_it_stands_the_verb_goes_through(nora: User):
    take(nora)
    guards.halt("everything", "", actor=of(nora), reason=WHY)
    assert Halt.objects.get().scope == "everything"


@pytest.mark.parametrize(("verb", "seen"), [("view", False), ("edit", True)])
def test_a_right_on_an_area_reaches_its_rows(
    nora: User, ada: User, sam: User, person: Callable[..., User], verb: str, seen: bool
):
    person("olivia", "Support operators")
    person("lee", "Support leads")
    config.bootstrap()
    assert not ApprovalPolicy.objects.visible_to(User.objects.get(pk=nora.pk)).exists()
    take(nora, "approvals", verb)
    fresh = User.objects.get(pk=nora.pk)
    assert ApprovalPolicy.objects.visible_to(fresh).exists()
    assert ApprovalPolicy.objects.visible_to(fresh, "edit").exists() is seen
    assert not Workflow.objects.visible_to(fresh, "edit").exists()


def test_who_gives_it_back_has_it_no_more_and_an_admin_may_take_it_away(nora: User, ada: User, sam: User):
    row = take(nora)
    with pytest.raises(NotFound):
        emergency.end(row.pk, actor=of(sam), reason=WHY)
    assert emergency.end(row.pk, actor=of(nora), reason="done")
    assert not emergency.end(row.pk, actor=of(nora), reason="done")
    assert not may(nora, "operate")

    again = take(nora)
    assert emergency.end(again.pk, actor=of(ada), reason="enough")
    assert not may(nora, "operate")
    how = [
        json.loads(event.line)["data"]["how"] for event in Event.objects.filter(type="access.taken_right_ended").order_by("id")
    ]
    assert how == ["given_back", "taken_away"]


def test_an_account_that_is_closed_has_nothing(nora: User):
    take(nora)
    people.disable_person(nora.pk, actor=SYSTEM, reason="left")
    assert not may(nora, "operate")
    with pytest.raises(NotAuthenticated):
        take(nora, verb="edit")


def test_it_ends_with_the_account_and_does_not_come_back_with_it(nora: User, ada: User):
    take(nora)
    people.disable_person(nora.pk, actor=of(ada), reason="lost her phone")

    assert [ends()[0]["how"], len(ends())] == ["disabled", 1]
    assert Event.objects.get(type="access.taken_right_ended").actor_ref == str(ada.pk)
    people.enable_person(nora.pk, actor=of(ada), reason="found it")
    assert not may(nora, "operate")
    assert User.objects.get(pk=nora.pk).taken_until is None
    assert journal.verify().is_good


@pytest.mark.parametrize("way", ["group left", "break revoked"])
def test_it_ends_when_one_may_no_longer_break_into_the_area(nora: User, ada: User, way: str):
    take(nora)
    kept = take(nora, "approvals", "view")
    other = Group.objects.create(name="Approvals on call")
    grants.grant(other, Area.objects.get(name="approvals"), "break", actor=SYSTEM, reason="test")
    people.add_to_group(nora.pk, other.name, actor=SYSTEM, reason="test")

    if way == "group left":
        people.remove_from_group(nora.pk, "On call", actor=of(ada), reason="moved")
    else:
        group = Group.objects.get(name="On call")
        grants.revoke(group, Area.objects.get(name="workflows"), "break", actor=of(ada), reason="enough")

    assert not may(nora, "operate")
    assert [(one["area"], one["how"]) for one in ends()] == [("workflows", "break_gone")]
    assert may(nora, "view", "approvals")
    assert [*emergency.standing(clock.db_now())] == [kept]


def test_what_was_taken_does_not_count_without_break_whoever_took_that_away(nora: User, django_assert_max_num_queries: Any):
    """Past the verbs, so that nobody wrote the end down."""
    take(nora)
    take(nora, "approvals", "edit")
    loaded = User.objects.get(pk=nora.pk)
    assert Area.objects.visible_to(loaded).exists()  # content types are read once per process
    asked = 4 + (connection.vendor == "postgresql")  # two more than for who took nothing; that one asks its clock
    with django_assert_max_num_queries(asked):
        assert Area.objects.visible_to(loaded, "operate").filter(name="workflows").exists()
    nora.groups.clear()

    assert not may(nora, "operate")
    assert not may(nora, "view")
    assert not may(nora, "edit", "approvals")


def test_with_three_not_reviewed_nobody_takes_a_fourth(nora: User, ada: User):
    rows = [take(nora, area, verb) for area, verb in (("workflows", "operate"), ("workflows", "edit"), ("approvals", "view"))]
    for row in rows:
        emergency.end(row.pk, actor=of(nora), reason="done")
    with pytest.raises(Conflict) as caught:
        take(nora)
    assert "review" in caught.value.detail
    assert not may(nora, "operate")

    emergency.review(rows[0].pk, verdict="justified", actor=of(ada), reason="I looked")
    take(nora)
    assert may(nora, "operate")


def ends() -> list[dict[str, Any]]:
    events = Event.objects.filter(type="access.taken_right_ended").order_by("id")
    return [json.loads(event.line)["data"] for event in events]


# --- review ---


def test_somebody_else_reviews_it_once_and_only_when_it_is_over(nora: User, ada: User, quinn: User):
    row = take(nora)
    with pytest.raises(Conflict):
        emergency.review(row.pk, verdict="justified", actor=of(ada), reason="I looked")
    emergency.end(row.pk, actor=of(nora), reason="done")
    with pytest.raises(emergency.OwnReview):
        emergency.review(row.pk, verdict="justified", actor=of(nora), reason="I was right")
    with pytest.raises(Forbidden):
        emergency.review(row.pk, verdict="justified", actor=of(quinn), reason="I looked")

    assert emergency.review(row.pk, verdict="unjustified", actor=of(ada), reason="nothing was wrong")
    assert not emergency.review(row.pk, verdict="justified", actor=of(ada), reason="on second thought")
    row.refresh_from_db()
    assert (row.verdict, row.reviewed_by) == ("unjustified", ada)
    assert types()[-1] == "access.taken_right_reviewed"


def test_an_admin_does_not_review_what_he_took_himself(nora: User, ada: User):
    admins = Group.objects.get(name="Admins")
    grants.grant(admins, Area.objects.get(name="audit"), "break", actor=SYSTEM, reason="test")
    row = take(ada, "audit", "operate")
    emergency.end(row.pk, actor=of(ada), reason="done")
    with pytest.raises(emergency.OwnReview):
        emergency.review(row.pk, verdict="justified", actor=of(ada), reason="I was right")


# --- those who must know ---


def test_the_verifier_finds_a_right_that_nobody_took_and_one_whose_end_was_moved(nora: User):
    row = take(nora)
    assert journal.verify().is_good
    TakenRight.objects.filter(pk=row.pk).update(ends_at=row.ends_at + HOUR)
    assert {problem.check for problem in journal.verify().problems} == {"taken"}
    TakenRight.objects.filter(pk=row.pk).update(ends_at=row.ends_at)
    assert journal.verify().is_good
    now = clock.db_now()
    TakenRight.objects.create(person=nora, area=row.area, verb="edit", taken_at=now, ends_at=now + HOUR)
    assert [problem.check for problem in journal.verify().problems] == ["taken"]


def test_home_tells_everybody_who_sees_access_and_whoever_took_it(nora: User, quinn: User, sam: User, browser_of: Any):
    take(nora)
    for person, is_told in ((quinn, True), (nora, True), (sam, False)):
        shown = browser_of(person).get("/").content.decode()
        assert (WHY in shown) is is_told, person
    emergency.end(TakenRight.objects.get().pk, actor=of(nora), reason="done")
    assert WHY not in browser_of(quinn).get("/").content.decode()


def test_it_waits_for_a_review_on_the_home_of_whoever_may(nora: User, ada: User, quinn: User, browser_of: Any):
    emergency.end(take(nora).pk, actor=of(nora), reason="done")
    assert "waits for your review" in browser_of(ada).get("/").content.decode()
    assert "waits for your review" not in browser_of(quinn).get("/").content.decode()


def test_explainer_and_permissions_page_show_it_while_it_stands(nora: User, quinn: User, browser_of: Any):
    take(nora)
    for page in ("/matrix/what/?who=person:nora", f"/permissions/people/{nora.pk}/"):
        answer = browser_of(quinn).get(page)
        assert answer.status_code == 200, page
        assert "in an emergency" in answer.content.decode(), page


def test_who_took_nothing_pays_no_query_for_it(nora: User, quinn: User, django_assert_num_queries: Any):
    Area.objects.visible_to(quinn).exists()  # content types are read once per process
    with django_assert_num_queries(2):
        assert list(Area.objects.visible_to(quinn))


# --- doors ---


def test_page_takes_gives_back_and_reviews(nora: User, ada: User, sam: User, browser_of: Any):
    desk = browser_of(nora)
    assert desk.get("/emergency/").status_code == 200
    desk.post("/emergency/take/", {"area": "workflows", "right": "operate", "minutes": "30", "reason": WHY})
    row = TakenRight.objects.get()
    assert may(nora, "operate")
    assert WHY in desk.get("/emergency/").content.decode()
    desk.post(f"/emergency/{row.pk}/end/", {"reason": "done"})
    assert not may(nora, "operate")
    browser_of(ada).post(f"/emergency/{row.pk}/review/", {"verdict": "justified", "reason": "I looked"})
    row.refresh_from_db()
    assert row.verdict == "justified"
    assert browser_of(sam).get("/emergency/").status_code == 403
    assert desk.get("/emergency/take/").status_code == 405


def test_the_api_takes_lists_ends_and_reviews(nora: User, ada: User, sam: User):
    body: dict[str, Any] = {"area": "workflows", "right": "operate", "minutes": 30, "reason": WHY}

    def post(person: User, path: str, body: Any) -> Any:
        return client_of(person).post(f"/api/v1/emergency{path}", json.dumps(body), content_type="application/json")

    assert post(sam, "", body).status_code == 404
    assert post(nora, "", {**body, "minutes": 10**9}).status_code == 422
    assert post(nora, "", body).status_code == 201
    row = TakenRight.objects.get()
    listed = client_of(ada).get("/api/v1/emergency").json()["taken_rights"]
    assert [(one["person"], one["right"], one["is_standing"]) for one in listed] == [("nora", "operate", True)]
    assert client_of(sam).get("/api/v1/emergency").json()["taken_rights"] == []
    assert post(sam, f"/{row.pk}/end", {"reason": WHY}).status_code == 404
    assert post(nora, f"/{row.pk}/end", {"reason": "done"}).json()["is_new"]
    assert post(nora, f"/{row.pk}/review", {"verdict": "justified", "reason": "mine"}).status_code == 403
    assert post(ada, f"/{row.pk}/review", {"verdict": "justified", "reason": "I looked"}).json()["is_new"]


def test_the_command_takes_ends_reviews_and_lists(nora: User, ada: User):
    def aegis(*words: str) -> str:
        out = StringIO()
        call_command("aegis", "emergency", *words, stdout=out, stderr=StringIO())
        return out.getvalue().strip()

    taken = UUID(aegis("take", "operate", "workflows", "--minutes", "5", "--as", "nora", "--reason", WHY))
    assert may(nora, "operate")
    assert "stands until" in aegis("list")
    assert aegis("end", str(taken), "--as", "nora", "--reason", "done") == "It is over."
    assert aegis("review", "justified", str(taken), "--as", "ada", "--reason", "I looked") == "Reviewed."
    assert "justified, says ada" in aegis("list")
