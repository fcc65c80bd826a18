"""Who may publish what, as the shipped matrix has it: asked of the matrix alone, for the agent that puts articles forward."""

from __future__ import annotations

import copy

import pytest

from orchestration.agents.models import Agent
from orchestration.authority import live
from orchestration.authority.verdicts import Principal, Resource, decide, load
from tests.examples import house

pytestmark = pytest.mark.django_db

PUBLISH, HEALTH = "article.publish", "article.publish-health"


@pytest.fixture
def matrix(person, ada):
    person("mina", "Content editors")
    person("hugo", "Health reviewers")
    house.found("content_pipeline")
    return live.compile_document()


def ask(document, capability, *, category="how-to", risk="low", regulated=False, personal=0):
    """(answer, policy) for content-publisher."""
    publisher = Principal("agent", str(Agent.objects.get(name="content-publisher").pk))
    parameters = {
        "status": "published", "text": "Tea.", "risk": risk, "regulated": regulated, "personal_data": personal, "claims": 0,
    }  # fmt: skip
    facts = {"parameters": parameters, "record": {"category": category, "status": "draft"}, "requester": {}}
    verdict = decide(load(document), publisher, capability, Resource("article", "A-1"), facts)
    return verdict.answer, verdict.policy


def test_guides_and_news_of_low_risk_go_out_alone_and_the_rest_is_gated(matrix):
    assert ask(matrix, PUBLISH) == ("allow", "")
    assert ask(matrix, PUBLISH, category="product-news") == ("allow", "")
    assert ask(matrix, PUBLISH, category="offer") == ("gate", "editor-sign-off")
    assert ask(matrix, PUBLISH, category="something-new") == ("gate", "editor-sign-off")
    assert ask(matrix, PUBLISH, risk="medium") == ("gate", "editor-sign-off")


def test_personal_data_and_health_claims_never_go_out_as_ordinary_articles(matrix):
    assert ask(matrix, PUBLISH, personal=1) == ("deny", "")
    assert ask(matrix, PUBLISH, regulated=True) == ("deny", "")
    assert ask(matrix, PUBLISH, category="health") == ("deny", "")  # whatever the proposal says of itself
    assert ask(matrix, HEALTH, personal=1) == ("deny", "")


def test_health_claims_are_gated_whatever_the_risk(matrix):
    assert ask(matrix, HEALTH, category="health", regulated=True) == ("gate", "health-sign-off")


def test_the_floor_holds_where_a_role_would_let_health_claims_pass(matrix):
    widened = copy.deepcopy(matrix)
    [cell] = [one for one in widened["roles"]["content-sign-off"]["grants"] if one["capability"] == HEALTH]
    cell.clear()
    cell.update({"capability": HEALTH, "effect": "allow"})

    assert ask(widened, HEALTH, category="health", regulated=True) == ("gate", "health-sign-off")

    widened["locks"] = {}
    assert ask(widened, HEALTH, category="health", regulated=True) == ("allow", "")  # so it was the lock


def test_a_record_that_says_no_category_is_not_published_by_anybody_alone(matrix):
    document = copy.deepcopy(matrix)
    publisher = Principal("agent", str(Agent.objects.get(name="content-publisher").pk))

    verdict = decide(load(document), publisher, PUBLISH, Resource("article", "A-1"), {"parameters": {}, "record": {}})

    assert verdict.answer == "deny"
