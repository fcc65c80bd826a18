"""A contract's page and the API say who makes and reads its messages, how it stands to the version before, and its marks."""

from __future__ import annotations

import pytest
from django.urls import reverse

from orchestration.contracts.models import Contract
from orchestration.engine import parties
from tests.engine import house
from tests.pages.conftest import text_of
from tests.support import configuration as config
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = {"type": "string"}
NEXT = {"type": "object", "additionalProperties": False, "required": ["id", "text"],
        "properties": {"id": {**TEXT, "maxLength": 40}, "text": {**TEXT, "x-aegis-source": "outside"}}}  # fmt: skip


@pytest.fixture
def two_versions(furnish) -> None:
    furnish(extra=[house.document("Contract", "request@2", {"schema": NEXT, "compatibility": "forward"})])


def page_of(browser, name: str) -> str:
    row = Contract.objects.get(name=name)
    return text_of(browser.get(reverse("admin:orchestration_contract_change", args=[row.pk])))


def test_producers_and_consumers_are_told_with_the_version_in_force(two_versions, zoe, ada):
    (party,) = parties.parties("anything@1", zoe)

    assert (party.workflow, party.version, party.is_standing) == ("notes", 1, True)
    (handoff,) = party.handoffs
    assert (handoff.place, handoff.producer, handoff.consumers) == ("write", "agent clerk", ("the effect in keep",))


def test_the_input_is_made_by_whoever_submits_and_read_by_the_agent_that_gets_all(two_versions, zoe):
    (party,) = parties.parties("request@1", zoe)

    assert party.handoffs[0].producer == "whoever submits"
    assert party.handoffs[0].consumers == ("agent clerk in write",)


def test_runs_under_way_on_an_earlier_version_keep_their_contract_listed(two_versions, zoe, sam):
    from approvals import changes
    from tests.support.configuration import keyed

    house.drive(house.submit(zoe, {"id": "n-1"}))
    moved = next(one for one in house.documents(effect="gate") if one["kind"] == "Workflow")
    moved["spec"]["input"] = "request@2"
    changes_made = changes.propose(keyed([moved]), author=zoe, actor=house.actor_for(zoe), reason="next version")

    assert changes_made.status == "applied"
    (old,) = parties.parties("request@1", zoe)
    assert (old.version, old.is_standing, old.running) == (1, False, 1)
    (new,) = parties.parties("request@2", zoe)
    assert (new.version, new.is_standing) == (2, True)


def test_workflows_that_a_person_may_not_see_are_not_told(two_versions, mallory):
    assert parties.parties("anything@1", mallory) == []


def test_the_page_shows_parties_marks_and_what_a_version_lost(two_versions, ada, zoe, at_desk):
    page = page_of(at_desk(ada), "request@2")

    assert "Beside request@1" in page
    assert "proven: forward" in page
    assert "at /text, request@2 asks: must be there" in page
    assert "written by others, outside" in page


def test_the_api_answers_the_same(two_versions, ada):
    told = client_of(ada).get("/api/v1/contracts/request@2").json()

    assert told["marks"] == [{"place": "text", "word": "source", "value": "outside"}]
    (before,) = told["before"]
    assert (before["version"], before["proven"]) == ("request@1", "forward")
    assert before["losses"][0]["example"] == {"id": "a"}


def test_an_unseen_contract_is_unknown(two_versions, mallory):
    assert client_of(mallory).get("/api/v1/contracts/request@2").status_code == 404


@pytest.mark.parametrize(
    ("properties", "where", "what"),
    [
        ({"a": {**TEXT, "x-aegis-sensitive": True}}, "/spec/schema", "no capability mail.reveal"),
        ({"a": {**TEXT, "x-aegis-source": "web"}}, "/spec/schema/properties/a/x-aegis-source", "must be one of outside"),
    ],
)
def test_publishing_refuses_marks_that_mean_nothing(two_versions, properties, where, what):
    schema = {"type": "object", "additionalProperties": False, "properties": properties}

    found = config.faults(config.document("Contract", "mail@1", {"schema": schema}))

    assert what in found[f"Contract/mail@1{where}"]


def test_a_version_between_two_others_keeps_the_promise_of_the_one_after_it(two_versions):
    later = config.document("Contract", "request@4", {"schema": NEXT, "compatibility": "backward"})
    wide = {**NEXT, "required": []}

    found = config.faults(later, config.document("Contract", "request@3", {"schema": wide}))

    assert "request@4 stands and promised it" not in found
    assert "must be there" in found["Contract/request@3/spec/compatibility"]
