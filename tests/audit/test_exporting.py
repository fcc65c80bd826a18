"""The list as a file: what the page shows, whole or not at all, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.models import Area, User
from audit import exporting, journal, search
from audit.drafts import Context, Draft
from audit.models import Event
from tests.support.following import caught_up

Sent = Callable[..., Event]
Row = dict[str, Any]


@pytest.fixture
def sent(db: None) -> Sent:
    """Records one event of the tests' own type: `sent("because")`."""

    def record(reason: str = "", *, scope: str = "system", scope_id: str = "") -> Event:
        payloads = {"reason": json.dumps(reason).encode()} if reason else {}
        draft = Draft("probe.noted", SYSTEM, {"code": "c"}, payloads)
        journal.append(Context(stream="config:Probe", scope=scope, scope_id=scope_id), [draft], clock.now())
        return Event.objects.latest("id")

    return record


def exported(user: User, kind: str, **asked: str) -> Any:
    caught_up()
    client = Client()
    client.force_login(user)
    return client.get(reverse("audit:export"), {"format": kind, **asked})


def lines(response: Any) -> list[Row]:
    assert response.status_code == 200
    return [json.loads(line) for line in response.getvalue().decode().splitlines()]


def sheet(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.getvalue().decode(), newline="")))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """An export that holds three events at most, read two at a time."""
    monkeypatch.setattr(exporting, "MOST", 3)
    monkeypatch.setattr(exporting, "CHUNK", 2)
    return 3


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_file_holds_the_rows_of_the_list_in_its_order(sent: Sent, quinn: User, few: int, kind: str) -> None:
    for number in range(few):
        sent(f"number {number}")

    response = exported(quinn, kind, type="probe.noted")

    shown = [str(hit.position) for hit in search.find(search.Search(type=("probe.noted",)), quinn).hits]
    rows = sheet(response) if kind == "csv" else lines(response)
    assert [str(row["position"]) for row in rows] == shown
    assert len(shown) == few
    assert "number 2" in str(rows[0]["reason"])


def test_one_row_too_many_is_refused_on_record_and_nothing_is_cut(sent: Sent, quinn: User, few: int) -> None:
    for _ in range(few + 1):
        sent()

    response = exported(quinn, "csv", type="probe.noted")

    assert response.status_code == 413
    refused = Event.objects.get(type="export.refused")
    assert refused.actor_ref == str(quinn.pk)
    assert not Event.objects.filter(type="export.created").exists()


def test_an_export_is_an_event_that_says_how_much_and_what_was_asked(sent: Sent, quinn: User) -> None:
    sent()

    exported(quinn, "jsonl", type="probe.noted")

    created = Event.objects.get(type="export.created")
    assert '"rows":1' in created.line
    assert created.actor_ref == str(quinn.pk)


def test_no_such_format_is_refused_by_name(sent: Sent, quinn: User) -> None:
    assert exported(quinn, "xlsx").status_code == 422
    assert not Event.objects.filter(type__startswith="export.").exists()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "\u00a0="])
def test_a_cell_that_a_spreadsheet_would_run_begins_with_a_quote(sent: Sent, quinn: User, start: str) -> None:
    sent(f"{start}cmd|' /C calc'!A0")

    (row,) = sheet(exported(quinn, "csv", type="probe.noted"))

    assert "cmd|" in row["reason"]
    assert row["reason"].startswith("'") or not row["reason"].lstrip().startswith(("=", "+", "-", "@"))


def test_what_a_reader_may_not_see_is_in_no_file(sent: Sent, olivia: User) -> None:
    sent("hidden from operators")
    sent("hidden as well", scope="workflow", scope_id=str(UUID(int=7)))

    assert lines(exported(olivia, "jsonl", type="probe.noted")) == []


def disabled(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def without_rights(user: User) -> None:
    group, area = Group.objects.get(name="Auditors"), Area.objects.get(name="audit")
    grants.revoke(group, area, "view", actor=SYSTEM, reason="test")


@pytest.mark.parametrize("take", [disabled, without_rights])
def test_a_right_withdrawn_while_the_file_is_written_ends_it_there(
    sent: Sent, quinn: User, few: int, take: Callable[[User], None]
) -> None:
    for _ in range(few):
        sent()
    response = exported(quinn, "jsonl", type="probe.noted")
    chunks = iter(response.streaming_content)
    first = [next(chunks), next(chunks)]

    take(quinn)

    assert len(first) == 2
    assert list(chunks) == []
