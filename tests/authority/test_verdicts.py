"""Promise 1, 9, 10: default deny, floor locks hold, an error never widens."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.authority import explain as explainer
from orchestration.authority.explain import explain
from orchestration.authority.matrix import PolicyRules, at_least_as_strict
from orchestration.authority.verdicts import EMPTY, Principal, Resource, decide
from tests.authority.conftest import BOT, FACTS, POLICIES, TICKET, grant, lock, make_matrix


def ask(
    matrix: Any, *, principal: Principal = BOT, capability: str = "ticket.reply", resource: Resource = TICKET, **facts: Any
) -> Any:
    return decide(matrix, principal, capability, resource, {**FACTS, **facts})


def test_an_empty_matrix_denies_everything():
    assert ask(EMPTY).answer == "deny"
    assert ask(make_matrix({"bot": []})).code == "no_grant"


def test_a_grant_allows_and_says_which_cell_did():
    verdict = ask(make_matrix({"bot": [grant("allow")]}))

    assert (verdict.answer, verdict.code, verdict.grants, verdict.matrix) == ("allow", "granted", ("bot/ticket.reply",), 7)
    assert (verdict.handler, verdict.safety, verdict.risk) == ("record.patch", "keyed", "medium")
    assert verdict.capability_digest == "d" * 64
    assert verdict.reason == "Role bot allows ticket.reply."


def test_deny_wins_over_gate_and_gate_over_allow():
    roles = {"a": [grant("allow")], "b": [grant("gate")], "c": [grant("deny")]}

    assert ask(make_matrix(roles)).answer == "deny"
    assert ask(make_matrix(roles, agent_roles=["a", "b"])).answer == "gate"
    assert ask(make_matrix(roles, agent_roles=["a"])).answer == "allow"


def test_cells_are_named_in_one_order_whatever_order_roles_come_in():
    verdict = ask(make_matrix({name: [grant("allow")] for name in "hbgcfdea"}))

    assert [cell[0] for cell in verdict.grants] == list("abcdefgh")
    assert [one.grant.role for one in verdict.considered] == list("abcdefgh")


def test_a_grant_on_another_capability_grants_nothing():
    assert ask(make_matrix({"bot": [grant("allow", capability="ticket.close")]})).answer == "deny"


@pytest.mark.parametrize(
    ("options", "change", "code"),
    [
        ({}, {"capability": "ticket.burn"}, "unknown_capability"),
        ({}, {"resource": Resource("invoice", "T-1")}, "resource_type"),
        ({}, {"principal": Principal("agent", "a2", ("bot",))}, "unknown_principal"),
        ({}, {"principal": Principal("system", "", ("bot",))}, "unknown_principal"),  # type: ignore[arg-type]
        ({"enabled": False}, {}, "agent_disabled"),
        ({}, {"parameters": {"text": "x", "extra": 1}}, "parameters"),
        ({}, {"parameters": None}, "parameters"),
    ],
)
def test_what_does_not_fit_is_denied_with_its_code(options: Any, change: Any, code: str):
    verdict = ask(make_matrix({"bot": [grant("allow")]}, **options), **change)

    assert (verdict.answer, verdict.code) == ("deny", code)


def test_parameter_faults_name_places_and_never_values():
    verdict = ask(make_matrix({"bot": [grant("allow")]}), parameters={"text": "s3cret" * 100})

    assert [fault.where for fault in verdict.faults] == ["/text"]
    assert "s3cret" not in str(verdict)


def test_an_unknown_capability_name_is_not_quoted_anywhere():
    verdict = ask(make_matrix({"bot": [grant("allow")]}), capability="<script>alert(1)</script>")

    assert "script" not in str(verdict.line_data()) + verdict.reason + verdict.capability


def test_a_condition_decides_over_recorded_facts():
    matrix = make_matrix({"bot": [grant("allow", when="record.status == 'open' && parameters.text.size() < 10")]})

    assert ask(matrix).answer == "allow"
    assert ask(matrix, record={"status": "closed"}).answer == "deny"


def test_a_condition_cannot_be_fed_another_principal_or_capability():
    matrix = make_matrix({"bot": [grant("allow", when="principal.name == 'responder' && capability == 'ticket.reply'")]})
    spoofed = {"principal": {"name": "boss"}, "capability": "ticket.close", "resource": {"type": "x"}}

    assert decide(matrix, BOT, "ticket.reply", TICKET, {**FACTS, **spoofed}).answer == "allow"


@pytest.mark.parametrize(("effect", "answer"), [("allow", "deny"), ("gate", "gate"), ("deny", "deny")])
def test_an_error_is_no_grant_under_allow_and_a_match_under_gate_and_deny(effect: str, answer: str):
    verdict = ask(
        make_matrix({"bot": [grant(effect, when="record.missing == 1")], "z": [grant("allow")] if effect != "allow" else []})
    )

    assert verdict.answer == answer
    assert len(verdict.errors) == 1
    assert verdict.errors[0].startswith("bot/ticket.reply: ")


def test_a_condition_that_no_longer_compiles_is_an_error_not_an_exception():
    assert ask(make_matrix({"bot": [grant("allow", when="nonsense(")]})).errors
    assert ask(make_matrix({"bot": [grant("deny", when="nonsense(")], "z": [grant("allow")]})).answer == "deny"


def test_roles_of_agents_give_people_nothing():
    matrix = make_matrix({"bot": [grant("allow")], "desk": [grant("allow", capability="ticket.close")]}, people=("desk",))
    person = Principal("user", "u1", ("bot", "desk"))

    assert ask(matrix, principal=person).answer == "deny"
    assert ask(matrix, principal=person, capability="ticket.close").answer == "allow"


def test_an_agent_cannot_bring_its_own_roles():
    matrix = make_matrix({"bot": [], "boss": [grant("allow")]}, agent_roles=["bot"])

    assert ask(matrix, principal=Principal("agent", "a1", ("boss",))).answer == "deny"


# --- the requester must hold it too ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requester", "answer", "code"),
    [
        ({}, "deny", "requester"),
        ({"id": "u1", "roles": []}, "deny", "requester"),
        ({"id": "u1", "roles": ["bot"]}, "deny", "requester"),  # a role of agents
        ({"id": "u1", "roles": ["desk"]}, "allow", "granted"),
        ({"id": "u1", "roles": ["careful"]}, "gate", "gated"),
        ({"id": "u1", "roles": ["desk", "barred"]}, "deny", "denied"),
    ],
)
def test_delegation_adds_nothing(requester: Any, answer: str, code: str):
    roles = {"bot": [grant("allow")], "desk": [grant("allow")], "careful": [grant("gate")], "barred": [grant("deny")]}
    matrix = make_matrix(roles, agent_roles=["bot"], people=("desk", "careful", "barred"), requester_too=True)

    verdict = ask(matrix, requester=requester)

    assert (verdict.answer, verdict.code) == (answer, code)


def test_two_gates_of_agent_and_requester_become_the_stricter_one():
    roles = {"bot": [grant("gate", policy="one")], "desk": [grant("gate", policy="two")]}
    matrix = make_matrix(roles, agent_roles=["bot"], people=("desk",), requester_too=True)

    assert ask(matrix, requester={"id": "u1", "roles": ["desk"]}).policy == "two"


# --- gates and locks ------------------------------------------------------------------------------------------------------


def test_of_two_gates_the_stricter_policy_counts():
    assert ask(make_matrix({"a": [grant("gate", policy="two")], "b": [grant("gate", policy="one")]})).policy == "two"


def test_a_gate_whose_policy_is_gone_denies():
    verdict = ask(make_matrix({"a": [grant("gate", policy="gone")]}))

    assert (verdict.answer, verdict.code) == ("deny", "policy_missing")


def test_a_lock_raises_an_allow_to_its_gate():
    verdict = ask(make_matrix({"bot": [grant("allow")]}, locks={"law-1": lock("legal")}))

    assert (verdict.answer, verdict.code, verdict.policy) == ("gate", "locked", "legal")
    assert (verdict.locks, verdict.raised_by) == (("law-1",), ("law-1",))


def test_a_lock_raises_a_weaker_policy_to_its_floor_and_lets_a_stricter_one_stand():
    weaker = ask(make_matrix({"bot": [grant("gate", policy="one")]}, locks={"law-1": lock("two")}))
    stricter = ask(make_matrix({"bot": [grant("gate", policy="two")]}, locks={"law-1": lock("legal")}))

    assert (weaker.policy, weaker.raised_by) == ("two", ("law-1",))
    assert (stricter.policy, stricter.code, stricter.raised_by, stricter.locks) == ("two", "gated", (), ("law-1",))


def rules(*stages: tuple[str, int], reason: str = "on_reject") -> PolicyRules:
    """Stages of (groups, quorum)."""
    asked = [{"groups": groups.split(), "quorum": quorum} for groups, quorum in stages]
    return PolicyRules.read("p", {"stages": asked, "reason": reason})


def test_a_policy_that_asks_for_fewer_reasons_is_weaker():
    strict = rules(("legal", 1), reason="always")
    silent = rules(("legal", 1))

    assert at_least_as_strict(strict, silent)
    assert not at_least_as_strict(silent, strict)


def test_a_stage_with_fewer_people_is_weaker():
    one = rules(("legal", 1))
    two = rules(("legal", 2))

    assert at_least_as_strict(two, one)
    assert not at_least_as_strict(one, two)


def test_stages_of_the_floor_need_stages_of_their_own_in_their_order():
    legal, support = ("legal", 1), ("support", 1)

    assert at_least_as_strict(rules(support, legal, support), rules(support, legal))
    assert not at_least_as_strict(rules(legal, support), rules(support, legal))
    assert not at_least_as_strict(rules(legal), rules(legal, legal))
    assert not at_least_as_strict(rules(("legal interns", 2)), rules(legal))


def test_a_lock_does_not_soften_a_deny():
    assert ask(make_matrix({"bot": [grant("deny")]}, locks={"law-1": lock("legal")})).answer == "deny"
    assert ask(make_matrix({"bot": []}, locks={"law-1": lock("legal")})).answer == "deny"


def test_of_two_locks_the_one_as_strict_as_both_is_taken():
    verdict = ask(make_matrix({"bot": [grant("allow")]}, locks={"a": lock("one"), "b": lock("two")}))

    assert verdict.policy == "two"


def test_two_locks_that_no_single_policy_meets_deny():
    verdict = ask(make_matrix({"bot": [grant("allow")]}, locks={"a": lock("one"), "b": lock("legal")}))

    assert (verdict.answer, verdict.code) == ("deny", "floor_unmet")


def test_weakening_the_policy_behind_a_lock_denies_instead_of_lowering_the_floor():
    # The lock was set when its policy asked what "two" asks; since then somebody made that policy ask less.
    verdict = ask(make_matrix({"bot": [grant("allow")]}, locks={"law-1": lock("one", floor="two")}))

    assert (verdict.answer, verdict.code) == ("deny", "floor_unmet")


def test_the_policy_of_a_lock_that_is_gone_denies():
    entry = {"capability": "ticket.reply", "policy": "gone", "kind": "law", "floor": POLICIES["one"]}

    assert ask(make_matrix({"bot": [grant("allow")]}, locks={"law-1": entry})).code == "floor_unmet"


def test_an_explanation_names_every_cell_asked_and_the_answer():
    matrix = make_matrix(
        {"a": [grant("allow", when="record.status == 'open'")], "b": [grant("gate", when="record.nope")]},
        locks={"law-1": lock("legal")},
    )

    sentences = explain(ask(matrix))

    assert sentences[0] == "Role a allows it if record.status == 'open': true."
    assert "could not be judged" in sentences[1]
    assert sentences[1].endswith("so it counts as met.")
    assert sentences[2] == "Floor lock law-1 raised the answer."
    assert sentences[-1].startswith("Needs an approval under policy legal.")
    assert sentences[-1].endswith("(matrix version 7)")


def test_a_question_without_parameters_is_answered_by_grants_and_a_proposal_without_them_is_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(POLICIES, "reply-check", POLICIES["one"])
    matrix = make_matrix({"bot": [grant("gate", policy="reply-check")]})
    facts = {**FACTS, "parameters": {}}

    asked = explainer.ask(matrix, BOT, "ticket.reply", TICKET, facts)
    assert (asked.answer, asked.policy, asked.faults) == ("gate", "reply-check", ())
    assert decide(matrix, BOT, "ticket.reply", TICKET, facts).code == "parameters"


def test_a_question_without_parameters_widens_nothing():
    matrix = make_matrix({"bot": [grant("allow", when="parameters.amount <= 5")]})

    assert explainer.ask(matrix, BOT, "ticket.reply", TICKET, FACTS).answer == "deny"
    assert explainer.ask(EMPTY, BOT, "ticket.reply", TICKET, FACTS).code == "unknown_capability"
