"""The samples that content-pipeline stores: they walk through its blocks, are what its agents answer, and hold it to that."""

from __future__ import annotations

import copy

import pytest

from aegis.core.actors import user_actor
from aegis.core.kinds import Key, get_kind
from approvals import changes
from approvals.errors import ChangeInvalid
from orchestration.engine import rehearsals
from tests.examples import house

pytestmark = pytest.mark.django_db

WHERE = "Workflow/content-pipeline/spec/samples"


@pytest.fixture
def mina(person, ada):
    person("hugo", "Health reviewers")
    mina = person("mina", "Content editors")
    house.found("content_pipeline")
    return mina


def stored():
    return copy.deepcopy(get_kind("Workflow").dump("content-pipeline"))


def test_the_stored_answers_are_those_of_the_agents(mina):
    assert rehearsals.capture_samples("content-pipeline", person=mina) == stored()["spec"]["samples"]


def test_a_sample_that_fails_inside_a_block_refuses_the_workflow(mina):
    """First an item nobody answers for, then one that says the claim is wrong: the article takes another way."""
    actor = user_actor(mina.pk, auth="test")
    silent, wrong = stored(), stored()
    place = [one["name"] for one in silent["spec"]["samples"]].index("news with two claims that hold is edited and published")
    del silent["spec"]["samples"][place]["answers"]["checks.claims#2.verify"]
    wrong["spec"]["samples"][place]["answers"]["lint"] = {"findings": "none"}

    def refusal(document):
        with pytest.raises(ChangeInvalid) as refused:
            changes.propose([(Key("Workflow", "content-pipeline"), document)], author=mina, actor=actor, reason="Try it")
        return refused.value.faults

    (unanswered,) = refusal(silent)
    broken = refusal(wrong)

    assert unanswered.where == f"{WHERE}/{place}/answers"
    assert "step 'verify' (checks: branch facts, claims: item 2) asks the agent fact-checker" in unanswered.what
    assert [fault.where.rpartition("/")[2] for fault in broken] == ["outcome", "path", "status"]
    assert "waiting_children at lint (checks: branch style): review of content-desk, because of contract" in broken[0].what
