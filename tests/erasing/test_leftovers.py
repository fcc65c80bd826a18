"""Everything that a run leaves in the database, erased: no table holds a word of it, but where the page says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from aegis.portal.saved import verbs as saved
from approvals import handling
from audit import journal, keeping, search
from audit.asking import Search
from orchestration.agents.protocol import Done
from orchestration.engine import reviews
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house as engine
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)

INDEX = {"audit_indexed", "audit_words"}  # of the payloads that stay
#: Conditions whose error quotes what they were asked about.
LOOKUP = "{'known': 1}[text] > 0"
TABLE = {
    "inputs": {"text": "string"},
    "outputs": {"case": "string"},
    "rules": [{"id": "known", "when": LOOKUP, "then": {"case": "go"}}],
    "default": {"case": "go"},
    "tests": [{"name": "known", "given": {"text": "known"}, "expect": {"case": "go"}}],
}
STEPS = [
    {"id": "pick", "route": "where", "facts": {"text": "input.text"}, "cases": {"go": "write"}},
    {"id": "write", "agent": "clerk", "output": "anything@1"},
    {"id": "check", "review": "people", "output": "anything@1"},
    {"id": "keep", "act": "steps.write.output.note"},
]


@pytest.fixture
def people(person: Any, ada: Any, sam: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    plain = engine.documents
    cell = {"capability": "note.write", "effect": "allow", "when": LOOKUP.replace("text", "parameters.text")}

    def documents(**_: Any) -> list[dict[str, Any]]:
        docs = plain(effect="gate", steps=STEPS)
        at = next(index for index, one in enumerate(docs) if one["kind"] == "Agent")
        docs[at]["spec"]["roles"] = ["clerk", "helper"]
        helper = engine.document("Role", "helper", {"people": False, "grants": [cell]})
        return [engine.document("RoutingTable", "where", TABLE), *docs[:at], helper, *docs[at:]]

    monkeypatch.setattr(engine, "documents", documents)
    return {**house.furnished(person), "sam": sam, "ada": ada, "lia": person("lia", "Support leads")}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    """Routed with an error, reviewed by a person, gated by a verdict with an error, commented, approved, carried out."""
    key, sam = house.KEY, people["sam"]
    engine.answers["write"] = Done({"note": house.note(key)}, confidence=0.9, rationale=f"{key} asked for it")
    run = engine.submit(people["zoe"], {"id": key, "text": f"{key} is me"}, key=f"order-{key}")
    engine.drive(run)
    item = ReviewItem.objects.get(run=run)
    reviews.complete(item.pk, person=sam, auth="test", reason=f"{key} called", output={"said": key})
    engine.drive(run)
    request = engine.request_of(run)
    handling.comment(request.pk, actor=house.actor(sam), text=f"{key} is a friend")
    house.vote(request, people["lia"], reason=f"{key} may have it")
    engine.drive(run)
    assert run.status == "completed", run.status
    keeping.keep()
    return run


def test_what_conditions_said_of_it_goes_too(people: dict[str, Any], run: Run) -> None:
    errors = {row.name: row.body for row in house.payloads_holding(house.CANARY)}
    assert {"errors", "why"} <= errors.keys(), "the errors of both conditions quote it"

    house.erased(people, key=house.KEY)
    keeping.keep()

    assert house.tables_holding(house.CANARY) == {}
    report = journal.verify()
    assert report.is_good, report.problems


def test_what_people_of_the_portal_wrote_about_it_is_what_the_page_names(
    people: dict[str, Any], run: Run, browser_of: Any
) -> None:
    """Searches that were made and views that were saved are other people's own: told on the page, not emptied."""
    saved.save("runs", "mine", f"q={house.KEY}", actor=house.actor(people["pia"]))
    search.record_search(Search(text=house.KEY), user_id=people["pia"].pk, auth="test")
    house.erased(people, key=house.KEY)
    keeping.keep()

    left = house.tables_holding(house.CANARY).keys() - INDEX

    assert left == {"portal_savedview", "audit_payload"}
    assert {row.stream.partition(":")[0] for row in house.payloads_holding(house.CANARY)} == {"access"}
    page = browser_of(people["pia"]).get("/erasures/").content.decode()
    for named in ("searched for", "saved views", "mail that was sent", "bundles", "batch", "never became a run"):
        assert named in page


@pytest.mark.sqlite
def test_the_index_keeps_no_word_in_what_it_has_not_yet_merged(people: dict[str, Any], run: Run) -> None:
    """FTS5 marks a word as deleted and forgets it when it merges, unless it is told to forget at once."""
    assert in_the_files_of_the_index("7canary")

    house.erased(people, key=house.KEY)
    keeping.keep()

    assert not in_the_files_of_the_index("7canary")


def in_the_files_of_the_index(word: str) -> bool:
    """Terms stand there without what they share with the one before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_words_data WHERE instr(block, CAST(%s AS blob)) > 0", [word])
        return bool(cursor.fetchone()[0])
