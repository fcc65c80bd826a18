"""The grid of a routing table: every button works without JavaScript, nothing is applied but through change control."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from aegis.core import canonical
from aegis.identity.models import User
from aegis.portal.governed import grids
from approvals.models import ChangeSet
from orchestration.routing.models import RoutingTable

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(configured: object) -> RoutingTable:
    return RoutingTable.objects.get(name="desk")


@pytest.fixture
def browser(ada: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(ada)


def url(row: RoutingTable, page: str = "grid/") -> str:
    return f"/orchestration/routingtable/{row.pk}/{page}"


def fields(page: str) -> dict[str, str]:
    """What a browser would post of the form: hidden, text and chosen fields."""
    found: dict[str, str] = {}
    form = page[page.index('id="grid-form"') : page.index("</form>", page.index('id="grid-form"'))]
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="file"' not in tag:
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, body in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', body) or re.search(r"<option>([^<]*)", body)
        assert chosen
        found[name] = html.unescape(chosen[1])
    return found


def press(browser: Client, row: RoutingTable, do: str, page: str = "", **typed: Any) -> Any:
    posted = fields(page or browser.get(url(row)).content.decode())
    return browser.post(
        url(row), {**posted, "reason": "Because", "do": do, **{k.replace("__", "."): v for k, v in typed.items()}}
    )


def draft_of(answer: Any) -> Any:
    return json.loads(fields(answer.content.decode())["document"])


def test_posting_the_grid_as_it_was_drawn_changes_nothing(desk: RoutingTable, browser: Client) -> None:
    answer = press(browser, desk, "check")

    assert draft_of(answer) == canonical.parse(desk.document)
    assert "Nothing: this is what stands already." in answer.content.decode()


def test_rows_are_added_moved_and_removed_and_nothing_stands_before_apply(desk: RoutingTable, browser: Client) -> None:
    ids = [rule["id"] for rule in canonical.parse(desk.document)["spec"]["rules"]]

    added = press(browser, desk, "add:0")
    moved = press(browser, desk, "up:1", added.content.decode())
    removed = press(browser, desk, "remove:0", moved.content.decode())

    assert [rule["id"] for rule in draft_of(added)["spec"]["rules"]] == [ids[0], "rule-1", *ids[1:]]
    assert [rule["id"] for rule in draft_of(moved)["spec"]["rules"]] == ["rule-1", ids[0], *ids[1:]]
    assert [rule["id"] for rule in draft_of(removed)["spec"]["rules"]] == ids
    assert RoutingTable.objects.get(pk=desk.pk).digest == desk.digest


def test_a_cell_that_cannot_be_read_is_marked_where_it_stands_and_keeps_its_text(desk: RoutingTable, browser: Client) -> None:
    page = press(browser, desk, "cells:0").content.decode()
    name = next(iter(canonical.parse(desk.document)["spec"]["inputs"]))

    answer = press(browser, desk, "check", page, **{f"r0.in.{name}": "<script>"})

    shown = answer.content.decode()
    field = re.search(rf'<input[^>]*name="r0.in.{name}"[^>]*>', shown)
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert "&lt;script&gt;" in field[0]
    assert '<script>"' not in shown
    assert f"/spec/rules/0/when/{name}" in shown
    assert RoutingTable.objects.get(pk=desk.pk).digest == desk.digest


def test_applying_goes_through_change_control(desk: RoutingTable, browser: Client) -> None:
    answer = press(browser, desk, "apply", **{"r0.tier": "7"})

    assert answer.status_code == 302
    standing = canonical.parse(RoutingTable.objects.get(pk=desk.pk).document)
    assert standing["spec"]["rules"][0]["tier"] == 7
    assert ChangeSet.objects.latest("created_at").author_id is not None


def test_applying_without_a_reason_or_over_a_newer_version_is_refused_and_keeps_the_rows(
    desk: RoutingTable, browser: Client
) -> None:
    page = browser.get(url(desk)).content.decode()

    silent = press(browser, desk, "apply", page, reason="", **{"r0.tier": "5"})
    assert silent.status_code == 422
    assert 'id="grid-reason-e"' in silent.content.decode()
    press(browser, desk, "apply", page, **{"r0.tier": "6"})
    late = press(browser, desk, "apply", page, **{"r0.tier": "7"})

    assert late.status_code == 409
    assert draft_of(late)["spec"]["rules"][0]["tier"] == 7
    assert canonical.parse(RoutingTable.objects.get(pk=desk.pk).document)["spec"]["rules"][0]["tier"] == 6
    again = press(browser, desk, "rebase", late.content.decode())
    assert press(browser, desk, "apply", again.content.decode()).status_code == 302


def test_without_a_default_a_gap_is_shown_and_applying_refused(desk: RoutingTable, browser: Client) -> None:
    page = press(browser, desk, "no-default").content.decode()

    answer = press(browser, desk, "apply", page)

    assert "/spec/" in page
    assert "add a default" in page or "add a rule for it" in page
    assert answer.status_code == 422


def test_findings_come_alone_while_one_types(desk: RoutingTable, browser: Client) -> None:
    posted = {**fields(browser.get(url(desk)).content.decode()), "do": "findings", "r0.out.case": ""}

    answer = browser.post(url(desk), posted, headers={"X-Requested-With": "fetch"})

    page = answer.content.decode()
    assert "<html" not in page
    assert "/spec/rules/0/then/case" in page


def test_replay_says_what_there_is_on_record(desk: RoutingTable, browser: Client) -> None:
    assert "There is no recorded input of this table that you may see." in press(browser, desk, "replay").content.decode()


def test_rows_go_out_as_csv_and_come_in_again(desk: RoutingTable, browser: Client) -> None:
    sheet = browser.get(url(desk, "rows.csv"))
    assert sheet["Content-Type"].startswith("text/csv")

    answer = press(browser, desk, "import", sheet=SimpleUploadedFile("rows.csv", sheet.content))

    assert draft_of(answer) == canonical.parse(desk.document)


def test_a_sheet_with_faults_is_refused_by_line_and_column(desk: RoutingTable, browser: Client) -> None:
    answer = press(browser, desk, "import", sheet=SimpleUploadedFile("rows.csv", b"rule,nope\na,b\n"))

    assert answer.status_code == 422
    assert "line 1, column nope" in answer.content.decode()
    assert draft_of(answer) == canonical.parse(desk.document)
    assert press(browser, desk, "import").status_code == 422


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"spec": {"rules": 5}}', "{" * 100, '{"apiVersion":"aegis/v1"}'])
def test_an_altered_draft_is_refused_and_what_stands_is_shown(desk: RoutingTable, browser: Client, document: str) -> None:
    answer = press(browser, desk, "check", document=document)

    assert answer.status_code in (400, 422)
    assert draft_of(answer) == canonical.parse(desk.document)


def test_who_may_not_edit_is_told_so_and_who_may_not_see_finds_nothing(
    desk: RoutingTable, person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    stranger = browser_of(person("eve"))

    for page in ("grid/", "rows.csv"):
        assert stranger.get(url(desk, page)).status_code == 404
    assert stranger.post(url(desk), {"do": "apply"}).status_code == 404


def test_a_table_too_large_for_a_form_is_left_to_the_text(
    desk: RoutingTable, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grids, "MAX_FIELDS", 1)

    answer = browser.get(url(desk))

    assert answer.status_code == 409
    assert "edit it as text" in answer.content.decode()
