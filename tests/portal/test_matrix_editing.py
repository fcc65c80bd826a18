"""Cells are changed on the matrix page: kept until applied, reviewed in words, applied through change control."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aegis.core import canonical
from aegis.core.kinds import Key, get_kind
from aegis.identity.models import User
from approvals import changes
from approvals.models import ApprovalRequest, ChangeSet
from orchestration.authority.models import Role

pytestmark = pytest.mark.django_db

FETCH = {"X-Requested-With": "fetch"}
READ = {"role": "support-desk", "capability": "ticket.read"}


@pytest.fixture
def browser(configured: object, ada: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(ada)


def change(browser: Client, do: str = "keep", **typed: Any) -> Any:
    return browser.post("/matrix/cell/", {"do": do, **READ, **typed}, headers=FETCH)


def standing(role: str = "support-desk") -> dict[str, Any]:
    document = canonical.parse(Role.objects.get(name=role).document)
    return {grant["capability"]: grant for grant in document["spec"]["grants"]}


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def test_space_goes_through_the_states_and_back_and_changes_nothing(browser: Client) -> None:
    before = standing()
    seen = [change(browser, "next").json() for _ in range(4)]

    assert [one["word"] for one in seen] == ["gate", "deny", "empty", "allow"]
    assert [one["unsaved"] for one in seen] == [1, 1, 1, 0]
    assert standing() == before


def test_what_was_typed_for_a_state_comes_back_with_it(browser: Client) -> None:
    change(browser, effect="allow", when="record.open == true")
    seen = [change(browser, "next").json() for _ in range(5)]

    assert [one["label"] for one in seen] == ["gate", "deny", "empty", "allow", "allow_if"]
    assert seen[-1]["detail"] == "record.open == true"
    assert seen[0]["detail"] == "lead"  # never the policy of configuration itself


def test_unsaved_cells_survive_a_reload_and_say_so_in_words(browser: Client) -> None:
    change(browser, effect="deny")
    page = browser.get("/matrix/").content.decode()

    cell = page.split('data-capability="ticket.read"')[1].split("</td>")[0]
    assert "is-unsaved" in cell
    assert "changed, not applied" in cell
    assert "was allow" in cell
    assert "1 change</strong> not applied" in page
    browser.post("/matrix/discard/")
    assert "is-unsaved" not in browser.get("/matrix/").content.decode()


def test_the_form_names_the_part_that_is_wrong_and_keeps_what_was_typed(browser: Client) -> None:
    answer = change(browser, effect="allow", when="parameters.amount <=", rate_count="many", rate_per="1d")
    said = answer.content.decode()

    assert answer.status_code == 422
    assert "limits rate count" in words(answer)
    assert "parameters.amount &lt;=" in said
    assert 'value="many"' in said
    assert "0 changes" in browser.get("/matrix/").content.decode()
    assert "<code>when 1:" in change(browser, "check", effect="allow", when="parameters.amount <=").content.decode()
    assert "gate names its approval policy" in words(change(browser, "check", effect="gate"))


def test_the_form_lists_the_facts_a_condition_may_read(browser: Client) -> None:
    shown = words(browser.get("/matrix/cell/?role=support-desk&capability=ticket.refund", headers=FETCH))
    assert "parameters.amount_cents integer" in shown
    assert "requester map" in shown
    assert "Finance" not in shown or "refund-floor" in shown


def test_limits_and_the_reason_become_the_cell_of_the_document(browser: Client) -> None:
    typed = {
        "effect": "allow", "rate_count": "1,000", "rate_per": "1d", "rate_by": "requester", "zone": "Europe/Vienna",
        "from": "08:00", "to": "18:00", "days": ["mon", "tue"], "beyond": "lead", "reason": "Asked for in ticket 12",
    }  # fmt: skip
    assert change(browser, **typed).status_code == 200
    browser.post("/matrix/review/", {"do": "apply", "reason": "Quarter end"})

    assert standing()["ticket.read"] == {
        "capability": "ticket.read",
        "effect": "allow",
        "reason": "Asked for in ticket 12",
        "limits": {"rate": {"count": 1000, "per": "1d", "by": "requester"}},
        "during": {"zone": "Europe/Vienna", "from": "08:00", "to": "18:00", "days": ["mon", "tue"]},
        "beyond": "lead",
    }
    form = browser.get("/matrix/cell/?role=support-desk&capability=ticket.read", headers=FETCH).content.decode()
    assert 'value="1000"' in form
    assert 'value="mon" checked' in form
    assert "Asked for in ticket 12" in words(browser.get("/matrix/why/?role=support-desk&capability=ticket.read"))


def test_review_tells_the_change_and_who_loses_and_apply_applies(browser: Client) -> None:
    change(browser, effect="deny")
    review = words(browser.get("/matrix/review/"))

    assert "support-desk may not ticket.read" in review
    assert "reply-writer loses ticket.read allow → deny" in review
    assert "Apply 1 change" in review
    done = browser.post("/matrix/review/", {"do": "apply", "reason": "No longer its work"})
    assert done["Location"] == "/matrix/"
    assert standing()["ticket.read"]["effect"] == "deny"
    assert "No cell is changed" in words(browser.get("/matrix/review/"))


def test_who_gains_is_told_of_agents_and_people(browser: Client, configured: object, sam: User) -> None:
    change(browser, role="Support leads", effect="allow")
    change(browser, capability="ticket.reply", effect="allow")
    review = words(browser.get("/matrix/review/"))

    assert "reply-writer gains ticket.reply gate lead → allow" in review
    assert f"{sam.display_name} gains ticket.read deny → allow" in review


def test_a_condition_added_takes_from_those_who_needed_none(browser: Client) -> None:
    change(browser, effect="allow", when="record.open == true")
    assert "reply-writer loses ticket.read allow → allow or deny, as the facts are" in words(browser.get("/matrix/review/"))
    change(browser, capability="ticket.refund", effect="allow", when="parameters.amount_cents <= 9000")
    assert "differs ticket.refund" in words(browser.get("/matrix/review/"))


def test_without_a_reason_nothing_is_applied_and_nothing_is_lost(browser: Client) -> None:
    change(browser, effect="deny")
    answer = browser.post("/matrix/review/", {"do": "apply", "reason": "  "})

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert standing()["ticket.read"]["effect"] == "allow"
    assert "1 change</strong>" in browser.get("/matrix/").content.decode()


def test_a_cell_under_a_floor_lock_asks_for_approval(browser: Client, person: Callable[..., User]) -> None:
    person("tara", "Support leads")
    change(browser, capability="ticket.refund", effect="gate", policy="lead")
    review = words(browser.get("/matrix/review/"))
    assert "Two others must approve this" in review
    assert "Ask for approval" in review

    browser.post("/matrix/review/", {"do": "apply", "reason": "Refunds are asked"})
    assert ChangeSet.objects.latest("created_at").status == ChangeSet.Status.PROPOSED
    assert ApprovalRequest.objects.count() == 1
    assert standing()["ticket.refund"]["effect"] == "allow"


def test_a_role_changed_by_somebody_else_is_told_and_not_overwritten(browser: Client, ada: User) -> None:
    from aegis.core.actors import user_actor

    change(browser, effect="deny")
    key = Key("Role", "support-desk")
    theirs = get_kind("Role").dump("support-desk")
    assert theirs is not None
    theirs["metadata"]["title"] = "Desk"
    changes.propose([(key, theirs)], author=ada, actor=user_actor(ada.pk, auth="session"), reason="Title")

    answer = browser.post("/matrix/review/", {"do": "apply", "reason": "Mine"})
    assert "Somebody changed support-desk" in words(answer)
    assert standing()["ticket.read"]["effect"] == "allow"
    assert "Mine" in answer.content.decode()
    browser.post("/matrix/review/", {"do": "rebase"})
    browser.post("/matrix/review/", {"do": "apply", "reason": "Mine"})
    assert standing()["ticket.read"]["effect"] == "deny"
    assert get_kind("Role").dump("support-desk")["metadata"]["title"] == "Desk"  # type: ignore[index]


def test_who_may_not_edit_a_role_is_told_so_and_what_is_hidden_is_unknown(
    configured: object, quinn: User, olivia: User, browser_of: Callable[..., Client]
) -> None:
    reader = browser_of(quinn)
    assert change(reader, "next").status_code == 403
    assert "data-editable" not in reader.get("/matrix/").content.decode()
    assert change(reader, role="nobody").status_code == 404
    assert change(browser_of(olivia), "next").status_code in (403, 404)


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "-1", "<script>", "9" * 400, "1\x002"])
def test_no_number_typed_breaks_the_form(browser: Client, value: str) -> None:
    answer = change(browser, effect="allow", rate_count=value, rate_per="1d")
    assert answer.status_code == 422
    assert "limits rate count" in words(answer)
    assert "<script>" not in answer.content.decode()


def test_who_could_approve_is_told_before_anything_is_sent(browser: Client, person: Callable[..., User]) -> None:
    change(browser, capability="ticket.refund", effect="gate", policy="lead")
    alone = words(browser.get("/matrix/review/"))
    assert "Asked: two of Admins or Support leads, other than you." in alone
    assert "Nobody can approve it as things are: two of Admins or Support leads must approve, and too few there could." in alone

    person("tara", "Support leads")
    assert "Nobody can approve it" not in words(browser.get("/matrix/review/"))
    change(browser, "revert", capability="ticket.refund")
    change(browser, effect="deny")
    assert "Asked:" not in words(browser.get("/matrix/review/"))
