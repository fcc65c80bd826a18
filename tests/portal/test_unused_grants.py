"""Grants that nobody used: told from the verdicts on record, and dropped through the draft."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.kinds import document_key
from aegis.identity.models import User
from approvals import changes
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.authority import live, reviewing
from orchestration.authority.models import Role
from orchestration.authority.revealing import HANDLER
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notes(ada: User, sam: User) -> User:
    """The clerk writes notes; it may also shred and read them, and never burn one."""
    house.answers.clear()
    documents = house.documents()
    shred, read, burn = (dict(capability(documents), metadata={"name": f"note.{verb}"}) for verb in ("shred", "reveal", "burn"))
    read = dict(read, spec={**read["spec"], "handler": HANDLER, "safety": "idempotent"})
    role = next(
        one
        for one in documents
        if one["kind"] == "Role" and any(cell["capability"] == "note.write" for cell in one["spec"]["grants"])
    )
    role["spec"]["grants"] += [
        {"capability": "note.shred", "effect": "allow"},
        {"capability": "note.reveal", "effect": "allow"},
        {"capability": "note.burn", "effect": "deny"},
    ]
    house.bootstrap([*documents, shred, read, burn])
    return sam


def capability(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in documents if one["kind"] == "Capability")


def write(person: User) -> None:
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    run = house.submit(person)
    house.drive(run)


def told(now: Any) -> reviewing.Report:
    return reviewing.report(live.current().matrix, 30, now=now)


def after(days: int) -> Any:
    return clock.db_now() + timedelta(days=days)


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def test_a_cell_that_a_verdict_rested_on_is_used_and_the_others_are_not(notes: User) -> None:
    before = clock.db_now()
    write(notes)
    assert Event.objects.filter(type="verdict.given").exists()

    found = told(before + timedelta(days=30))

    assert [(one.role, one.capability, one.label) for one in found.unused] == [("clerk", "note.shred", "allow")]
    assert (found.judged, found.silent, found.young) == (2, 1, 0)


def test_a_use_before_those_days_is_none(notes: User) -> None:
    write(notes)

    assert {one.capability for one in told(after(31)).unused} == {"note.write", "note.shred"}


def test_what_is_younger_than_the_days_is_not_judged(notes: User) -> None:
    found = told(after(29))

    assert found.unused == ()
    assert found.young == 2


def test_a_cell_given_anew_is_young_again(notes: User, ada: User) -> None:
    document = canonical.parse(Role.objects.get(name="clerk").document)
    cells = document["spec"]["grants"]
    without = {**document, "spec": {"grants": [cell for cell in cells if cell["capability"] != "note.shred"]}}
    actor = user_actor(ada.pk, auth="session")
    changes.propose([(document_key(without), without)], author=ada, actor=actor, reason="away")
    between = clock.db_now()
    changes.propose([(document_key(document), document)], author=ada, actor=actor, reason="and back")

    found = told(between + timedelta(days=30))
    assert [one.capability for one in found.unused] == ["note.write"]
    assert found.young == 1


def test_one_click_takes_the_cell_into_the_draft_and_changes_nothing(
    notes: User, ada: User, browser_of: Any, monkeypatch: Any
) -> None:
    later = after(91)
    monkeypatch.setattr(reviewing.clock, "db_now", lambda: later)
    browser, before = browser_of(ada), live.current().matrix.number
    page = browser.get("/matrix/unused/")
    assert "2 of 2 unused" in text(page)
    assert "Propose to drop : clerk, note.shred" in text(page)

    answer = browser.post("/matrix/unused/drop/", {"cell": "note.shred clerk"}, follow=True)

    assert answer.redirect_chain[-1][0] == "/matrix/review/"
    assert "clerk no longer has a say on note.shred" in text(answer)
    assert live.current().matrix.number == before


def test_who_may_not_edit_the_role_is_offered_nothing_and_drops_nothing(notes: User, quinn: User, browser_of: Any) -> None:
    browser = browser_of(quinn)

    assert "Propose to drop" not in text(browser.get("/matrix/unused/"))
    assert "No cell was chosen" in text(browser.post("/matrix/unused/drop/", {"cell": "note.shred clerk"}, follow=True))
    assert browser.get("/matrix/review/").status_code == 200


def test_the_report_asks_two_questions_however_many_verdicts(notes: User) -> None:
    matrix = live.current().matrix
    counts = []
    for _ in range(2):
        write(notes)
        with CaptureQueriesContext(connection) as asked:
            reviewing.report(matrix, 90, now=clock.now())
        counts.append(len(asked))

    assert counts == [2, 2]
