"""The reference workflow's manifests: a folder that a fresh installation can be started with."""

from __future__ import annotations

import pytest

from aegis.core import manifests
from approvals import changes
from approvals.policies import load as load_policy
from approvals.policies import passes_fast
from examples.support_intake import generate
from examples.support_intake.policy import Line, parse_policy
from examples.support_intake.routing import routing_table
from orchestration.routing import publishing, tables
from orchestration.workflows import parse, releases
from orchestration.workflows.flowmap import layout
from orchestration.workflows.models import Workflow
from tests.conftest import SHARED


def documents():
    return [(one.key, one.document) for one in manifests.read_paths([generate.FOLDER])]


def the(kind, name):
    return next(document for key, document in documents() if (key.kind, key.name) == (kind, name))


@pytest.fixture
def owner(person):
    return person("ada", "Admins")


@pytest.mark.django_db
def test_the_folder_passes_lint_as_one_set(owner):
    preview = changes.preview(documents(), None)

    assert preview.faults == []
    assert {str(item.key) for item in preview.items} >= {"Workflow/support-intake", "RoutingTable/support-routing"}


@pytest.mark.django_db
def test_the_folder_starts_a_fresh_installation_and_its_workflow_can_be_released(owner):
    changes.bootstrap(documents())

    release = releases.load(releases.release_for(Workflow.objects.get(name="support-intake")).pk)

    assert set(release.agents) == {"support-classifier", "support-compliance", "support-dispatcher", "support-writer"}
    assert release.definition.owner == "Support leads"


@pytest.mark.django_db
def test_applying_the_folder_again_changes_nothing(owner):
    changes.bootstrap(documents())

    assert changes.preview(documents(), None).is_empty


@pytest.mark.parametrize("name", sorted(generate.generated()))
def test_generated_manifests_are_those_of_their_sources(name):
    """After a change of contracts/, policy.csv or the model: python -m examples.support_intake.generate."""
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == generate.generated()[name]


def test_the_workflow_asks_for_the_confidence_its_model_suggests():
    import json

    header = json.loads((generate.HERE / "model" / "model.json").read_text(encoding="utf-8"))
    classify = parse.load(the("Workflow", "support-intake")).step("classify")

    assert classify.confidence_below == (header["suggested_threshold"], "intake-review")


def test_the_map_of_the_workflow_is_one_line_with_one_queue():
    graph = layout(parse.load(the("Workflow", "support-intake")))

    assert [node.id for node in graph.nodes if node.kind == "queue"] == ["queue:intake-review"]


# --- the routing table ---


def shared_policy():
    return parse_policy((SHARED / "support_triage" / "routing_policy.csv").read_bytes())


def route(table, intent, *, legal=False):
    return tables.choose(table, {"intent": intent, "legal_review": legal})


POLICIES = [
    pytest.param(lambda: parse_policy((generate.HERE / "policy.csv").read_bytes()), id="shipped"),
    pytest.param(shared_policy, id="shared", marks=pytest.mark.shared_data),
]


@pytest.mark.parametrize("policy_of", POLICIES)
def test_every_line_of_the_policy_is_what_the_table_answers(policy_of):
    policy = policy_of()
    document = routing_table(policy)
    assert publishing.faults_of(document) == []
    table = tables.load(document)

    for line in policy.values():
        found = route(table, line.intent)
        assert (found.output["queue"], found.output["tier"], found.output["urgency"]) == (line.queue, line.tier, line.urgency)
        assert found.output["legal_review"] == line.legal_review
        assert found.output["auto_reply_allowed"] == (line.auto_reply_allowed and not line.legal_review)
        assert found.case == {"L1": "l1", "L2": "l2", "SPECIALIST": "specialist"}[line.tier]
        assert found.rule
        assert not found.errors


@pytest.mark.parametrize("policy_of", POLICIES)
def test_a_legal_question_reaches_a_specialist_of_the_same_queue_and_is_never_answered_alone(policy_of):
    policy = policy_of()
    table = tables.load(routing_table(policy))

    for line in policy.values():
        found = route(table, line.intent, legal=True)
        assert (found.case, found.output["queue"]) == ("specialist", line.queue)
        assert found.output["auto_reply_allowed"] is False or line.tier == "SPECIALIST"


def test_an_intent_that_nobody_wrote_a_rule_for_goes_to_a_person():
    table = tables.load(the("RoutingTable", "support-routing"))

    assert route(table, "make me rich").case == "unknown"
    assert tables.choose(table, {"intent": 7, "legal_review": False}).is_fallback


def test_intents_that_look_alike_as_ids_keep_rules_of_their_own():
    lines = [Line(intent, "cards", "L1", "P3", False, True) for intent in ("why?", "why.", "why/")]
    table = tables.load(routing_table({line.intent: line for line in lines}))

    assert {route(table, line.intent).rule for line in lines} == {"why-", "why--2", "why--3"}


# --- what may go out by itself ---

TICKET = {"auto_reply_allowed": True, "legal_review": False, "personal_data": [], "status": "open"}


@pytest.mark.parametrize(
    ("ticket", "alone"),
    [
        (TICKET, True),
        ({**TICKET, "auto_reply_allowed": False}, False),
        ({**TICKET, "legal_review": True}, False),
        ({**TICKET, "personal_data": ["email"]}, False),
        ({}, None),
    ],
)
def test_a_reply_goes_out_alone_only_where_the_ticket_allows_it(ticket, alone):
    policy = load_policy(the("ApprovalPolicy", "reply-check"))
    facts = {"capability": "ticket.reply", "parameters": {}, "record": ticket, "requester": {}, "risk": "medium"}

    passed = passes_fast(policy, facts)

    assert passed is alone if alone is not None else passed is not True
