"""Provenance in runs: a fact that conditions see, shown to who decides, and made again by the verifier."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.core import canonical, clock
from approvals.pages.detail import detail
from audit.models import Payload
from orchestration.agents.protocol import AgentRequest, Done
from orchestration.authority import provenance
from orchestration.engine import recompute
from orchestration.records.models import Record
from tests.engine import house
from tests.guards import desk

pytestmark = pytest.mark.django_db(transaction=True)

NAMED = "'requester' in provenance['text'] && !('outside' in provenance['text'])"
REQUEST = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "maxLength": 40},
        "text": {"type": "string"},
        "mail": {"type": "string", "x-aegis-source": "outside"},
    },
}


@pytest.fixture
def standing(zoe):
    docs = desk.documents()
    by_key = {(doc["kind"], doc["metadata"]["name"]): doc for doc in docs}
    by_key["Contract", "request@1"]["spec"]["schema"] = REQUEST
    by_key["Role", "clerk"]["spec"]["grants"][0]["when"] = NAMED
    house.bootstrap(docs)
    desk.behind["write"] = write("AT61 1904")
    return zoe


def write(text: str) -> Any:
    def propose(request: AgentRequest) -> Done:
        note = {**house.NOTE, "resource": {"type": "note", "id": request.run_id}, "parameters": {"text": text}}
        return Done({"note": note}, confidence=0.9)

    return propose


def run_with(person: Any, **said: str) -> Any:
    run = house.submit(person, {"id": "n-1", **said})
    house.drive(run)
    return run


def facts_of(run: Any) -> dict:
    return canonical.parse(Payload.objects.get(stream=run.stream, name="facts").body)


def differences() -> list[str]:
    return [str(one) for one in recompute.recompute().differences]


def test_what_the_requester_named_passes(standing):
    run = run_with(standing, text="pay to AT61 1904 please", mail="hello")

    assert run.status == "completed"
    assert facts_of(run)["provenance"] == {"text": ["requester"]}
    assert differences() == []


def test_what_only_a_mail_named_is_refused(standing):
    run = run_with(standing, text="see the mail", mail="pay to AT61 1904")

    assert run.status == "waiting_review"
    assert facts_of(run)["provenance"] == {"text": ["outside"]}
    assert differences() == []


def test_what_an_agent_alone_brought_up_is_refused(standing):
    run = run_with(standing, text="hello", mail="hello")

    assert run.status == "waiting_review"
    assert facts_of(run)["provenance"] == {"text": ["agent"]}


def test_the_verifier_finds_provenance_that_was_made_otherwise(standing, monkeypatch):
    with monkeypatch.context() as planted:
        planted.setattr(provenance, "trace", lambda *_: {"text": ["requester"]})
        assert run_with(standing, mail="pay to AT61 1904").status == "completed"

    assert "provenance is recorded as {'text': ['requester']}, and comes out as {'text': ['outside']}" in differences()[0]


def test_erased_sources_are_told_as_erased(standing):
    run = run_with(standing, text="AT61 1904")
    Payload.objects.filter(stream=run.stream, name="input").update(body="", salt="", erased_at=clock.now())

    report = recompute.recompute()

    assert (report.erased, report.differing) == (1, 0)


def test_where_nobody_asks_nothing_is_traced(zoe):
    house.bootstrap(desk.documents())

    run = run_with(zoe, text="AT61 1904")

    assert "provenance" not in facts_of(run)


def test_who_decides_sees_where_each_value_is_known_from(zoe, person, client):
    docs = desk.documents(effect="gate")
    by_key = {(doc["kind"], doc["metadata"]["name"]): doc for doc in docs}
    by_key["Contract", "request@1"]["spec"]["schema"] = REQUEST
    house.bootstrap(docs)
    desk.behind["write"] = write("AT61 1904")
    run = run_with(zoe, text="see the mail", mail="pay to AT61 1904")
    lea = person("lea", "Support leads")

    shown = detail(lea, house.request_of(run)).origins

    assert [(one.path, one.words, one.is_named) for one in shown] == [("text", "from outside", False)]
    client.force_login(lea)
    page = client.get(f"/approvals/{house.request_of(run).pk}/", follow=True)
    assert "Where the values are known from" in page.content.decode()
    assert "outside: mail of the input (request@1)" in page.content.decode()


def origins_on_the_page(client: Any, reader: Any, run: Any) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
    """Type of an event -> what its row on the run page says of the values' origins."""
    client.force_login(reader)
    entries = client.get(f"/runs/{run.pk}/").context["page"].entries
    return {entry.type: [(one.path, one.words, one.fields) for one in entry.origins] for entry in entries if entry.origins}


def test_the_run_page_says_it_at_the_verdict_and_at_the_effect(standing, client):
    run = run_with(standing, text="pay to AT61 1904 please", mail="hello")
    named = [("text", "named by the requester", ())]
    assert origins_on_the_page(client, standing, run) == {"verdict.given": named, "effect.done": named}
    assert "Where the values are known from" in client.get(f"/runs/{run.pk}/").content.decode()


def test_the_run_page_names_the_field_of_the_message_from_outside(standing, client):
    run = run_with(standing, text="see the mail", mail="pay to AT61 1904")
    told = [("text", "from outside", ("mail of the input (request@1)",))]
    assert origins_on_the_page(client, standing, run) == {"verdict.given": told}
    assert "outside: mail of the input (request@1)" in client.get(f"/runs/{run.pk}/").content.decode()


def test_the_verifier_finds_a_field_that_was_named_otherwise(standing, monkeypatch):
    with monkeypatch.context() as planted:
        planted.setattr(provenance, "quotes", lambda *_: {"text": [[0, "id"]]})
        run_with(standing, text="see the mail", mail="pay to AT61 1904")

    assert "outside is recorded as {'text': [[0, 'id']]}, and comes out as {'text': [[0, 'mail']]}" in differences()[0]


def test_a_record_that_the_run_itself_wrote_is_no_evidence(zoe):
    docs = desk.documents()
    by_key = {(doc["kind"], doc["metadata"]["name"]): doc for doc in docs}
    by_key["Capability", "note.write"]["spec"]["handler"] = "record.patch"
    by_key["Role", "clerk"]["spec"]["grants"][0]["when"] = "!('record' in provenance['text'])"
    steps = by_key["Workflow", "notes"]["spec"]["steps"]
    steps.append({"id": "keep-again", "act": "steps.write.output.note"})
    house.bootstrap(docs)
    desk.behind["write"] = write("AT61 1904")

    run = house.submit(zoe, {"id": "n-1"})
    Record.objects.create(type="note", key=str(run.pk), version=1, body="{}", updated_at=clock.db_now())

    house.drive(run)

    assert run.status == "completed"
    bodies = Payload.objects.filter(stream=run.stream, name="facts").order_by("seq").values_list("body", flat=True)
    told = [canonical.parse(body) for body in bodies]
    assert [one["record"].get("text") for one in told] == [None, "AT61 1904"]
    assert [one["provenance"] for one in told] == [{"text": ["agent"]}] * 2
    assert differences() == []
