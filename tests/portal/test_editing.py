"""The edit form goes through change control, shows what is wrong and where, and never loses a text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aegis.core import canonical
from aegis.core.errors import Fault
from aegis.identity.models import User
from aegis.portal.governed import editing, texts
from approvals.models import ApprovalRequest, ChangeSet, DocumentVersion
from audit.models import Event
from orchestration.authority.models import Capability, FloorLock, Role
from orchestration.contracts.models import Contract
from orchestration.routing.models import RoutingTable

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(configured: object) -> RoutingTable:
    return RoutingTable.objects.get(name="desk")


def url(row: Any, page: str = "edit/") -> str:
    return f"/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{page}"


def text_of(row: Any) -> str:
    return texts.to_text(canonical.parse(row.document))


def shown_text(answer: Any) -> str:
    found = re.search(r"<textarea[^>]*name=\"text\"[^>]*>(.*?)</textarea>", answer.content.decode(), re.DOTALL)
    assert found
    return html.unescape(found[1])


def post(browser: Client, row: Any, text: str, do: str, **more: str) -> Any:
    return browser.post(url(row), {"text": text, "base": row.digest, "reason": "Because", "do": do, **more})


def test_the_form_shows_the_document_as_the_manifest_git_holds(
    desk: RoutingTable, ada: User, browser_of: Callable[..., Client]
) -> None:
    assert shown_text(browser_of(ada).get(url(desk))) == text_of(desk)


def test_checking_names_the_line_of_a_fault_and_changes_nothing(
    desk: RoutingTable, ada: User, browser_of: Callable[..., Client]
) -> None:
    text = text_of(desk).replace("urgency == 'high'", "urgenci == 'high'")
    answer = post(browser_of(ada), desk, text, "check")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "urgenci" in each)

    page = answer.content.decode()
    assert f'data-goto-line="{line}"' in page
    assert "/spec/rules/0/when" in page
    assert shown_text(answer) == text
    assert RoutingTable.objects.get(name="desk").digest == desk.digest


def test_findings_stand_in_the_order_of_their_lines() -> None:
    places = ["line 12, column 3", "/spec", "line 2, column 40", "line 12, column 1"]
    found = editing.places_of([Fault(place, "wrong") for place in places], None, None)

    assert [place.fault.where for place in found] == ["/spec", "line 2, column 40", "line 12, column 1", "line 12, column 3"]


def test_a_text_that_is_no_yaml_comes_back_with_the_place(
    desk: RoutingTable, ada: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(ada)
    for broken in (
        "a: [",
        "a: &x 1",
        "\ta: 1",
        "kind: Role\nkind: Role",
        "",
        "x" * 300_000,
        "- 1",
        "<script>alert(1)</script>",
    ):
        answer = post(browser, desk, broken, "apply")
        assert answer.status_code in (400, 413, 422), broken[:20]
        assert shown_text(answer).removeprefix("\n") == broken
    assert DocumentVersion.objects.filter(name="desk").count() == 1


def test_applying_makes_a_version_with_author_and_reason(
    desk: RoutingTable, ada: User, browser_of: Callable[..., Client]
) -> None:
    text = text_of(desk).replace("case: l1", "case: l2")
    answer = post(browser_of(ada), desk, text, "apply", reason="L1 is closed on Mondays")

    assert answer.status_code == 302
    assert answer.headers["Location"] == url(desk, "")
    version = DocumentVersion.objects.get(name="desk", number=2)
    assert version.change_set.author == ada
    event = Event.objects.filter(stream="config:RoutingTable", type="config.applied").latest("seq")
    assert (event.actor_kind, event.actor_ref) == ("user", str(ada.pk))
    history = browser_of(ada).get(url(desk, "history/")).content.decode()
    assert "L1 is closed on Mondays" in history
    assert "Ada" in history


def test_nothing_is_applied_without_a_reason(desk: RoutingTable, ada: User, browser_of: Callable[..., Client]) -> None:
    text = text_of(desk).replace("case: l1", "case: l2")
    answer = post(browser_of(ada), desk, text, "apply", reason="  ")
    assert answer.status_code == 422
    assert shown_text(answer) == text
    assert RoutingTable.objects.get(name="desk").digest == desk.digest


def test_who_was_slower_is_told_and_keeps_the_text(desk: RoutingTable, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    mine = text_of(desk).replace("case: l1", "case: l3")
    assert post(browser, desk, text_of(desk).replace("case: l1", "case: l2"), "apply").status_code == 302

    answer = post(browser, desk, mine, "apply")  # made from the version that stood before
    assert answer.status_code == 409
    assert "stale" in answer.content.decode()
    assert shown_text(answer) == mine
    assert RoutingTable.objects.get(name="desk").version == 2

    rebased = post(browser, desk, mine, "rebase")
    now = RoutingTable.objects.get(name="desk")
    assert f'name="base" value="{now.digest}"' in rebased.content.decode()
    assert shown_text(rebased) == mine


def test_a_cell_under_a_floor_lock_is_asked_of_others(
    configured: object, person: Callable[..., User], ada: User, browser_of: Callable[..., Client]
) -> None:
    person("lena", "Support leads")
    role = Role.objects.get(name="support-desk")
    text = text_of(role).replace("parameters.amount_cents <= 5000", "parameters.amount_cents <= 9000")
    browser = browser_of(ada)

    checked = post(browser, role, text, "check").content.decode()
    assert "Two others must approve this" in checked
    assert "Ask for approval" in checked
    answer = post(browser, role, text, "apply")

    request = ApprovalRequest.objects.get()
    assert answer.headers["Location"] == f"/approvals/{request.pk}/"
    assert ChangeSet.objects.get(pk=request.pk).status == "proposed"
    assert Role.objects.get(name="support-desk").digest == role.digest


def test_who_may_only_read_sees_no_edit_tab_and_who_can(
    configured: object, quinn: User, browser_of: Callable[..., Client]
) -> None:
    role = Role.objects.get(name="support-desk")
    browser = browser_of(quinn)
    page = browser.get(url(role, "")).content.decode()
    assert url(role) not in page
    assert "Changes: Admins" in page
    for answer in (browser.get(url(role)), post(browser, role, text_of(role).replace("allow", "deny"), "apply")):
        assert answer.status_code == 403
        assert "Admins" in answer.content.decode()
    assert Role.objects.get(name="support-desk").digest == role.digest


def test_superusers_are_people_like_all_others(configured: object, root: User, browser_of: Callable[..., Client]) -> None:
    role = Role.objects.get(name="support-desk")
    assert post(browser_of(root), role, text_of(role), "apply").status_code == 404


def test_a_form_cannot_change_another_document_than_its_own(
    configured: object, ada: User, browser_of: Callable[..., Client]
) -> None:
    role, capability = Role.objects.get(name="support-desk"), Capability.objects.get(name="ticket.read")
    browser = browser_of(ada)
    renamed = post(browser, role, text_of(role).replace("name: support-desk", "name: other"), "apply")
    other_kind = post(browser, role, text_of(capability), "apply")
    assert (renamed.status_code, other_kind.status_code) == (422, 422)
    assert not Role.objects.filter(name="other").exists()


def test_a_new_document_is_added_and_a_taken_name_is_refused(
    configured: object, ada: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(ada)
    text = "apiVersion: aegis/v1\nkind: Role\nmetadata:\n  name: tester\nspec:\n  grants: []\n"
    first = browser.post("/orchestration/role/new/", {"text": text, "reason": "For tests", "do": "apply"})
    second = browser.post("/orchestration/role/new/", {"text": text, "reason": "For tests", "do": "apply"})
    assert first.status_code == 302
    assert second.status_code == 422
    assert shown_text(second) == text
    assert Role.objects.filter(name="tester").count() == 1


def test_adding_needs_the_right_on_the_area(
    configured: object, quinn: User, olivia: User, browser_of: Callable[..., Client]
) -> None:
    for person in (quinn, olivia):
        answer = browser_of(person).post("/orchestration/role/new/", {"text": "x", "do": "apply"})
        assert answer.status_code == 403


def test_what_never_changes_offers_a_successor_instead(
    configured: object, ada: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(ada)
    contract, lock = Contract.objects.get(name="ticket@1"), FloorLock.objects.get()
    for row in (contract, lock):
        assert browser.get(url(row)).status_code == 409
    assert "name: ticket@2" in shown_text(browser.get("/orchestration/contract/new/?copy=ticket@1"))
    assert "ends: refund-floor" in shown_text(browser.get("/orchestration/floorlock/new/?copy=refund-floor"))


def test_a_document_in_use_is_not_removed(configured: object, ada: User, browser_of: Callable[..., Client]) -> None:
    role = Role.objects.get(name="support-desk")
    answer = post(browser_of(ada), role, text_of(role), "remove")
    assert answer.status_code in (409, 422)
    assert Role.objects.filter(name="support-desk").exists()


def test_a_version_is_compared_in_words_and_as_text(desk: RoutingTable, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    post(browser, desk, text_of(desk).replace("case: l1", "case: l2"), "apply")
    page = browser.get(url(desk, "history/2/")).content.decode()
    assert "spec.default.case: was l1, now l2" in html.unescape(page)
    assert 'data-sign="-"' in page
    assert browser.get(url(desk, "history/9/")).status_code == 404
    assert browser.get(url(desk, "history/2/?with=99999999999999")).status_code == 200


@pytest.mark.parametrize("do", ["apply", "remove"])
def test_a_missing_reason_is_told_at_the_reason_and_not_in_the_text(
    desk: RoutingTable, ada: User, browser_of: Callable[..., Client], do: str
) -> None:
    page = post(browser_of(ada), desk, text_of(desk), do, reason="").content.decode()

    field = page.split('id="document-reason"')[1].split("</div>")[0]
    assert 'aria-invalid="true"' in field
    assert "Say why" in field
    assert "aria-invalid" not in page.split('id="document-text"')[1].split(">")[0]
    assert "data-goto-line" not in page
