"""The permissions page: who has what and why, granting and revoking with a reason, and nobody gives himself anything."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from guardian.models import GroupObjectPermission

from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import Area, User
from audit.models import Event
from orchestration.workflows.models import Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads(configured: object) -> Group:
    return Group.objects.get(name="Support leads")


def text(answer) -> str:
    page = answer.content.decode().split("<main")[1].split("</main>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def rights() -> set[tuple[str, str, str]]:
    return {(row.group.name, row.permission.codename, row.object_pk) for row in GroupObjectPermission.objects.all()}


def post(browser: Client, path: str, **form: str) -> str:
    return text(browser.post(f"/permissions/{path}", {"reason": "because", **form}, follow=True))


def newest(kind: str) -> Event:
    return Event.objects.filter(type=kind).order_by("-pk")[0]


def test_a_right_is_granted_with_a_reason_and_the_page_says_by_whom_and_why(leads, ada, sam, browser_of):
    browser = browser_of(ada)

    post(browser, f"groups/{leads.pk}/grant/", object="workflow:intake", verb="start", reason="leads start it by hand")
    group = text(browser.get(f"/permissions/groups/{leads.pk}/"))
    person = text(browser.get(f"/permissions/people/{sam.pk}/"))

    assert Workflow.objects.visible_to(sam, "start").filter(name="intake").exists()
    for page in (group, person):
        assert "workflow intake start" in page
        assert "Ada" in page
        assert "leads start it by hand" in page
    assert "Through group" in person
    event = newest("access.granted")
    assert event.actor_ref == str(ada.pk)
    assert "leads start it" not in event.line


def test_a_right_is_revoked_with_a_reason(leads, ada, browser_of):
    browser = browser_of(ada)
    post(browser, f"groups/{leads.pk}/grant/", object="area:routing", verb="view")

    told = post(browser, f"groups/{leads.pk}/revoke/", object="area:routing", verb="view")

    assert "Support leads may no longer view area routing." in told
    assert not GroupObjectPermission.objects.filter(group=leads, permission__codename="view_area").exists()
    assert newest("access.revoked").actor_ref == str(ada.pk)


def test_a_right_that_is_revoked_leaves_the_others_on_the_same_object(leads, ada, browser_of):
    browser = browser_of(ada)
    for verb in ("view", "edit"):
        post(browser, f"groups/{leads.pk}/grant/", object="area:routing", verb=verb)
    before, routing = rights(), str(area("routing").pk)

    post(browser, f"groups/{leads.pk}/revoke/", object="area:routing", verb="edit")

    assert before - rights() == {("Support leads", "edit_area", routing)}
    assert Area.objects.visible_to(User.objects.get(username="sam")).filter(name="routing").exists()
    assert Event.objects.filter(type="access.revoked").count() == 1


def test_joining_and_leaving_a_group_is_told_on_both_pages(leads, ada, olivia, browser_of):
    browser = browser_of(ada)

    post(browser, "join/", person="olivia", group="Support leads", reason="stands in for sam")
    assert "stands in for sam" in text(browser.get(f"/permissions/people/{olivia.pk}/"))
    assert "stands in for sam" in text(browser.get(f"/permissions/groups/{leads.pk}/"))
    post(browser, "leave/", person="olivia", group="Support leads")

    assert not olivia.groups.filter(pk=leads.pk).exists()
    assert newest("access.group_left").actor_ref == str(ada.pk)


def test_without_a_reason_nothing_happens(leads, ada, browser_of):
    before = rights()

    assert "Say why" in post(browser_of(ada), f"groups/{leads.pk}/grant/", object="area:routing", verb="view", reason=" ")
    assert rights() == before


@pytest.mark.parametrize("is_superuser", [False, True])
def test_nobody_gives_himself_anything_and_every_try_is_on_record(leads, ada, browser_of, is_superuser):
    User.objects.filter(pk=ada.pk).update(is_superuser=is_superuser)
    ada.refresh_from_db()
    browser, before = browser_of(ada), rights()
    admins = Group.objects.get(name="Admins")

    by_group = post(browser, f"groups/{admins.pk}/grant/", object="area:audit", verb="edit")
    by_joining = post(browser, "join/", person="ada", group="Support leads")

    assert "somebody who is not must grant this" in by_group
    assert "Nobody adds himself to a group" in by_joining
    assert rights() == before
    assert [*ada.groups.values_list("name", flat=True)] == ["Admins"]
    refused = Event.objects.filter(type="access.denied", actor_ref=str(ada.pk))
    assert {word for event in refused for word in ("grants.grant", "people.add_to_group") if word in event.line} == {
        "grants.grant",
        "people.add_to_group",
    }
    assert "Somebody who is not in it must give it rights" in text(browser.get(f"/permissions/groups/{admins.pk}/"))


def test_nobody_widens_a_group_that_he_left_to_do_so(leads, ada, person, browser_of):
    """He may leave and grant, but coming back is for somebody else to allow."""
    person("bea", "Admins")
    desk = people.create_group("Desk", actor=SYSTEM, reason="test")
    people.add_to_group(ada.pk, "Desk", actor=SYSTEM, reason="test")
    browser = browser_of(ada)
    post(browser, "leave/", person="ada", group="Desk")
    post(browser, f"groups/{desk.pk}/grant/", object="area:routing", verb="edit")

    assert "Nobody adds himself to a group" in post(browser, "join/", person="ada", group="Desk")
    assert not ada.groups.filter(pk=desk.pk).exists()


def test_a_group_whose_role_denies_something_is_not_left_by_oneself(leads, ada, browser_of):
    people.add_to_group(ada.pk, "Support leads", actor=SYSTEM, reason="test")

    told = post(browser_of(ada), "leave/", person="ada", group="Support leads")

    assert "Leaving “Support leads” would rid you of “deny” on ticket.refund" in told
    assert ada.groups.filter(pk=leads.pk).exists()


def test_a_superuser_without_a_group_reads_and_changes_nothing(leads, root, browser_of):
    browser, before = browser_of(root), rights()

    for path in ("", f"groups/{leads.pk}/", f"people/{root.pk}/"):
        assert browser.get(f"/permissions/{path}").status_code == 403
    for path in (f"groups/{leads.pk}/grant/", f"groups/{leads.pk}/revoke/", "join/", "leave/"):
        form = {"object": "area:audit", "verb": "view", "person": "root", "group": "Admins", "reason": "x"}
        assert browser.post(f"/permissions/{path}", form).status_code == 403
    assert rights() == before


def test_an_auditor_reads_why_and_is_offered_no_form(leads, quinn, browser_of):
    answer = browser_of(quinn).get(f"/permissions/groups/{leads.pk}/")

    assert 'action="/permissions/' not in answer.content.decode()
    assert (
        browser_of(quinn).post("/permissions/join/", {"person": "quinn", "group": "Admins", "reason": "x"}).status_code == 403
    )


def test_rights_on_hidden_objects_are_a_number_and_cannot_be_granted(leads, person, browser_of):
    zoe = person("zoe", "Clerks")
    clerks = Group.objects.get(name="Clerks")
    for name, verb in (("people", "view"), ("access", "view"), ("access", "edit")):
        grants.grant(clerks, area(name), verb, actor=SYSTEM, reason="test")
    intake = Workflow.objects.get(name="intake")
    grants.grant(leads, intake, "view", actor=SYSTEM, reason="test")
    browser, before = browser_of(zoe), rights()

    page = text(browser.get(f"/permissions/groups/{leads.pk}/"))
    assert "intake" not in page
    assert "3 more on objects that you may not see" in page
    hidden = browser.post(
        f"/permissions/groups/{leads.pk}/grant/", {"object": "workflow:intake", "verb": "start", "reason": "x"}
    )
    unknown = browser.post(
        f"/permissions/groups/{leads.pk}/grant/", {"object": "workflow:nothing", "verb": "start", "reason": "x"}
    )
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert rights() == before


@pytest.mark.parametrize("page", ["", "groups/{group}/", "people/{person}/"])
def test_queries_do_not_grow_with_people_groups_and_rights(leads, ada, sam, person, browser_of: Callable[..., Client], page):
    browser = browser_of(ada)
    address = "/permissions/" + page.format(group=leads.pk, person=sam.pk)
    grants.grant(leads, area("routing"), "view", actor=user_actor(ada.pk, auth="session"), reason="first")
    person("pia", "Support leads", "Group 0")
    people.add_to_group(sam.pk, "Group 0", actor=user_actor(ada.pk, auth="session"), reason="first")
    people.remove_from_group(sam.pk, "Group 0", actor=user_actor(ada.pk, auth="session"), reason="first")
    people.create_group("Others", actor=SYSTEM, reason="first")
    people.add_to_group(sam.pk, "Others", actor=user_actor(ada.pk, auth="session"), reason="first")
    made = person("pim")
    people.add_to_group(made.pk, "Support leads", actor=user_actor(ada.pk, auth="session"), reason="first")
    browser.get(address)
    with CaptureQueriesContext(connection) as few:
        browser.get(address)
    for number in range(6):
        person(f"p{number}", "Support leads", f"Group {number}")
        people.add_to_group(sam.pk, f"Group {number}", actor=user_actor(ada.pk, auth="session"), reason="more")
    for one in Area.objects.exclude(name="routing"):
        grants.grant(leads, one, "view", actor=user_actor(ada.pk, auth="session"), reason="more")
    with CaptureQueriesContext(connection) as many:
        browser.get(address)

    assert len(many) == len(few)
