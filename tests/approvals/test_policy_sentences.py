"""A policy is read by people: what it says, and what it can never mean."""

from __future__ import annotations

import pytest
from jsonschema_rs import validator_for

from aegis.core.errors import Invalid
from aegis.core.expressions import Failed
from approvals import policies, policy_schema, policy_words
from tests.approvals.house import policy_document

FACTS = {"capability": "ticket.reply", "parameters": {"amount": 10}, "record": {}, "requester": {}, "risk": "low"}


def load(**spec: object) -> policies.Policy:
    return policies.load(policy_document(**spec))


def test_one_stage_reads_as_one_sentence_about_people() -> None:
    assert policy_words.describe(load())[0] == "One person: one of Leads."


def test_stages_read_in_their_order_with_the_number_of_different_people() -> None:
    policy = load(stages=[{"groups": ["Leads", "Duty"]}, {"groups": ["Finance", "Legal", "Risk"], "quorum": 2}])

    assert policy_words.describe(policy)[0] == (
        "Three different people: first one of Leads or Duty, then two of Finance, Legal or Risk."
    )


def test_every_policy_ends_with_never_approves_by_itself() -> None:
    for spec in ({}, {"reason": "always"}, {"fast_path": "risk == 'low'"}, {"deadline": "7d"}):
        assert policy_words.describe(load(**spec))[-1] == "It never approves by itself."


def test_the_fast_path_is_said_with_its_limit() -> None:
    said = " ".join(policy_words.describe(load(fast_path="risk == 'low'")))

    assert "No vote is asked where risk == 'low' holds; this is recorded, and impossible under a floor lock." in said


@pytest.mark.parametrize(
    ("deadline", "words"),
    [("24h", "24 hours"), ("1d", "24 hours"), ("2d", "2 days"), ("1h30m", "90 minutes"), ("45s", "45 seconds")],
)
def test_the_deadline_is_said_in_the_largest_whole_unit(deadline: str, words: str) -> None:
    assert f"Undecided after {words}, it expires." in policy_words.describe(load(deadline=deadline))


def test_fast_path_passes_where_it_holds() -> None:
    assert policies.passes_fast(load(fast_path="risk == 'low' && parameters.amount < 50"), FACTS) is True


def test_fast_path_never_passes_under_a_lock() -> None:
    assert policies.passes_fast(load(fast_path="true"), FACTS, locked=True) is False


def test_an_error_in_a_fast_path_is_no_yes() -> None:
    result = policies.passes_fast(load(fast_path="parameters.absent < 50"), FACTS)

    assert isinstance(result, Failed)
    assert result is not True


def test_without_a_fast_path_nothing_passes_without_a_vote() -> None:
    assert policies.passes_fast(load(), FACTS) is False


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": []},
        {"stages": [{"groups": []}]},
        {"stages": [{"groups": ["Leads"], "quorum": 0}]},
        {"stages": [{"groups": ["Leads"], "quorum": -1}]},
        {"stages": [{"groups": ["Leads"], "quorum": True}]},
        {"stages": [{"groups": ["Leads"], "quorum": 1.5}]},
        {"stages": "Leads"},
        {"deadline": "never"},
        {"deadline": "0s"},
        {"deadline": "91d"},
        {"reason": "seldom"},
        {"risk": "none"},
        {"stages": [{"groups": ["G"]}] * 6},
    ],
)
def test_a_policy_that_could_approve_by_itself_or_never_ends_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        load(**spec)


def test_the_schema_agrees_with_the_loader_about_good_and_bad() -> None:
    schema = validator_for(policy_schema.SCHEMA)

    assert schema.is_valid(policy_document())
    assert schema.is_valid(policy_document(reason="always", risk="high", fast_path="true"))
    assert not schema.is_valid(policy_document(stages=[{"groups": ["Leads"], "quorum": 0}]))
    assert not schema.is_valid(policy_document(approve_after="1h"))


def test_risk_is_raised_to_the_policys_and_an_unknown_word_is_high() -> None:
    medium = load(risk="medium")

    assert policies.raised_risk(medium, "low") == "medium"
    assert policies.raised_risk(medium, "high") == "high"
    assert policies.raised_risk(medium, "harmless") == "high"


def test_the_digest_is_the_documents_version() -> None:
    assert load().digest == load().digest
    assert load().digest != load(deadline="2h").digest
