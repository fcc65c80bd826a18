"""What must be true of every matrix, whatever its rows say."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.authority.matrix import at_least_as_strict, load
from orchestration.authority.verdicts import Verdict, decide
from tests.authority.conftest import BOT, FACTS, POLICIES, TICKET, lock, matrix_document

HARDNESS = {"allow": 0, "gate": 1, "deny": 2}
CONDITIONS = (
    "",
    "true",
    "false",
    "record.status == 'open'",
    "record.status == 'closed'",
    "record.nope == 1",
    "principal.id == 'a1'",
)
ERRORS = ("record.nope == 1", "broken(", "parameters.text + 1 == 2")

grants = st.builds(
    lambda effect, when, policy: {
        "capability": "ticket.reply", "effect": effect, "when": when, "policy": policy if effect == "gate" else ""
    },
    st.sampled_from(("allow", "gate", "deny")),
    st.sampled_from(CONDITIONS),
    st.sampled_from((*POLICIES, "gone")),
)  # fmt: skip
role_sets = st.dictionaries(st.sampled_from("abcdef"), st.lists(grants, max_size=1), max_size=6)
some_locks = st.sampled_from(tuple(POLICIES)).map(lambda policy: {"l1": lock(policy)}) | st.builds(
    lambda first, second: {"l2": lock(first), "l1": lock(second)},
    st.sampled_from(tuple(POLICIES)),
    st.sampled_from(tuple(POLICIES)),
)
lock_sets = st.just({}) | some_locks


def ask(document: dict[str, Any]) -> Verdict:
    return decide(load(document, number=1), BOT, "ticket.reply", TICKET, FACTS)


@settings(max_examples=300, deadline=None)
@given(role_sets, lock_sets)
def test_without_a_matching_grant_the_answer_is_deny(roles: Any, locks: Any):
    verdict = ask(matrix_document(roles, locks=locks))

    matching = [
        one for one in verdict.considered if one.holds is not False and not (one.grant.effect == "allow" and one.holds is None)
    ]
    if not matching:
        assert verdict.answer == "deny"
    if verdict.answer != "deny":
        assert verdict.grants


@settings(max_examples=300, deadline=None)
@given(role_sets, lock_sets)
def test_adding_a_deny_never_widens_and_ends_in_deny(roles: Any, locks: Any):
    barred = {**roles, "z": [{"capability": "ticket.reply", "effect": "deny", "when": "", "policy": ""}]}

    assert ask(matrix_document(barred, locks=locks)).answer == "deny"


@settings(max_examples=300, deadline=None)
@given(role_sets, lock_sets, st.sampled_from(ERRORS), grants)
def test_an_error_is_as_false_under_allow_and_as_true_under_gate_and_deny(roles: Any, locks: Any, error: str, cell: Any):
    def answer(when: str) -> tuple[str, str]:
        verdict = ask(matrix_document({**roles, "z": [{**cell, "when": when}]}, locks=locks))
        return verdict.answer, verdict.policy

    assert answer(error) == answer("false" if cell["effect"] == "allow" else "true")


@settings(max_examples=300, deadline=None)
@given(role_sets, some_locks)
def test_under_a_lock_nothing_is_ever_allowed_and_every_gate_is_as_strict_as_each_floor(roles: Any, locks: Any):
    document = matrix_document(roles, locks=locks)
    matrix = load(document)

    verdict = ask(document)

    assert verdict.answer != "allow"
    assert verdict.locks == tuple(sorted(locks))
    if verdict.answer == "gate":
        for found in matrix.locks["ticket.reply"]:
            assert found.floor is not None
            assert at_least_as_strict(matrix.policies[verdict.policy], found.floor)


@settings(max_examples=200, deadline=None)
@given(role_sets, lock_sets, st.randoms(use_true_random=False))
def test_the_order_of_rows_roles_and_locks_changes_nothing(roles: Any, locks: Any, random: Any):
    names, lock_names, agent_roles = list(roles), list(locks), list(roles)
    for order in (names, lock_names, agent_roles):
        random.shuffle(order)

    shuffled = matrix_document(
        {name: roles[name] for name in names}, locks={name: locks[name] for name in lock_names}, agent_roles=agent_roles
    )

    assert ask(shuffled) == ask(matrix_document(roles, locks=locks, agent_roles=sorted(roles)))


@settings(max_examples=200, deadline=None)
@given(role_sets, role_sets)
def test_deny_over_gate_over_allow_is_the_maximum_over_roles(first: Any, second: Any):
    """More roles never soften a denial or a gate that stands."""
    base = ask(matrix_document({**second, **first}, agent_roles=sorted(first) or ["-"]))
    more = ask(matrix_document({**second, **first}))

    if base.code in ("denied", "gated"):
        assert HARDNESS[more.answer] >= HARDNESS[base.answer]
