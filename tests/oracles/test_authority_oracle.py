"""What is permitted, worked by hand from DESIGN 2 and 6, the guide to capabilities and ADR 0009."""

from pathlib import Path

import pytest
import yaml

from tests.oracles.authority_oracle import covers, permitted
from tests.oracles.cel import CannotJudge
from tests.oracles.hand import CONTROLLERS, PEOPLE, TREASURY, attempt, capability, document, grant, manifests, policy
from tests.oracles.worlds import beginning

EXAMPLES = Path(__file__).parents[2] / "examples"
LOCK = {"kind": "law", "basis": "a law", "owner": TREASURY}


def answer(made, *more):
    found = permitted(beginning(manifests(*more), PEOPLE), made)
    return found.kind, [name for name, _ in found.policies]


def role(name, *grants, **more):
    return document("Role", name, grants=list(grants), **more)


def agent(*roles, **more):
    return document("Agent", "clerk", owner="rita", roles=list(roles), connector={"python": "x"}, **more)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(500, ("free", [])), (501, ("gated", ["one"])), (5001, ("gated", ["two"])), (90001, ("never", []))],
)
def test_deny_over_gate_over_allow_and_of_two_gates_the_one_that_covers_the_other(amount, expected):
    assert answer(attempt(amount)) == expected


def test_empty_is_deny():
    assert answer(attempt(), role("payer"))[0] == "never"
    assert answer(attempt(), agent())[0] == "never"


def test_unknown_capability_agent_and_person_are_denied():
    assert answer(attempt(capability="payment.burn"))[0] == "never"
    assert answer(attempt(principal={"kind": "agent", "name": "ghost"}))[0] == "never"
    assert answer(attempt(principal={"kind": "person", "name": "ghost"}))[0] == "never"


def test_a_disabled_agent_is_denied():
    world = beginning(manifests(), PEOPLE)
    disabled = world.after({"kind": "agent", "name": "clerk", "enabled": False})
    applied_again = disabled.after({"kind": "apply", "document": agent("payer")})

    assert [permitted(one, attempt()).kind for one in (world, disabled, applied_again)] == ["free", "never", "never"]


@pytest.mark.parametrize("parameters", [{}, {"amount": -1}, {"amount": "5"}, {"amount": True}, {"amount": 5, "more": 1}])
def test_parameters_that_break_their_contract_are_denied(parameters):
    assert answer(attempt(parameters=parameters))[0] == "never"


def test_another_type_of_resource_is_denied():
    assert answer(attempt(resource={"type": "invoice", "id": "P-1"}))[0] == "never"


@pytest.mark.parametrize(("effect", "expected"), [("allow", "never"), ("gate", "gated"), ("deny", "never")])
def test_a_condition_that_ends_in_an_error_never_widens(effect, expected):
    more = {"policy": "one"} if effect == "gate" else {}
    assert answer(attempt(), role("payer", grant("payment.make", effect, when="parameters.to == 'x'", **more)))[0] == expected


def test_an_error_under_deny_denies_what_is_allowed_otherwise():
    broken = role("payer", grant("payment.make", "allow"), grant("payment.make", "deny", when="record.frozen"))
    assert answer(attempt(record={"frozen": False}), broken)[0] == "free"
    assert answer(attempt(record={}), broken)[0] == "never"
    assert answer(attempt(record=None), broken)[0] == "never"


def test_people_wear_the_roles_of_their_groups_and_no_others():
    people = role(CONTROLLERS, grant("payment.make", "allow"), people=True)
    assert answer(attempt(principal={"kind": "person", "name": "cara"}), people)[0] == "free"
    assert answer(attempt(principal={"kind": "person", "name": "tess"}), people)[0] == "never"
    not_of_people = role(CONTROLLERS, grant("payment.make", "allow"))
    assert answer(attempt(principal={"kind": "person", "name": "cara"}), not_of_people)[0] == "never"


def test_requester_too_takes_the_stricter_answer():
    also = capability("payment.make", requester_too=True)
    clerks = role("Clerks", grant("payment.make", "gate", policy="two"), people=True)
    assert answer(attempt(), also)[0] == "never"
    assert answer(attempt(), also, clerks) == ("gated", ["two"])
    assert answer(attempt(501), also, clerks) == ("gated", ["two"])
    assert answer(attempt(requester=None), also, clerks)[0] == "never"
    assert answer(attempt(90001), also, clerks)[0] == "never"


def test_a_lock_raises_allow_and_weaker_gates_and_leaves_stricter_ones_and_denials():
    lock = document("FloorLock", "law", capability="payment.make", policy="floor", **LOCK)
    floor = policy("floor", ([TREASURY], 1))
    world = beginning(manifests(floor, lock), PEOPLE)

    raised, weaker, stricter = (permitted(world, attempt(amount)) for amount in (100, 501, 5001))

    assert (raised.kind, weaker.kind, stricter.kind) == ("gated", "gated", "gated")
    assert not raised.met_by("one", world.spec("ApprovalPolicy", "one"))
    assert not weaker.met_by("one", world.spec("ApprovalPolicy", "one"))
    assert raised.met_by("floor", floor["spec"])
    assert stricter.met_by("two", world.spec("ApprovalPolicy", "two"))
    assert not stricter.met_by("floor", floor["spec"])
    assert permitted(world, attempt(90001)).kind == "never"


def test_weakening_the_policy_of_a_lock_or_removing_its_document_refuses_instead_of_letting_through():
    lock = document("FloorLock", "law", capability="payment.make", policy="floor", **LOCK)
    world = beginning(manifests(policy("floor", ([TREASURY], 2)), lock), PEOPLE)
    weakened = world.after({"kind": "apply", "document": policy("floor", ([TREASURY], 1))})
    removed = world.after({"kind": "remove", "of": "FloorLock", "name": "law"})
    ended = world.after({"kind": "apply", "document": document("FloorLock", "end", ends="law", basis="b", owner=TREASURY)})

    assert [permitted(one, attempt()).kind for one in (world, weakened, removed, ended)] == ["gated", "never", "gated", "free"]


def test_a_fast_path_passes_low_risk_but_never_under_a_lock_and_never_in_error():
    fast = policy("one", ([CONTROLLERS], 1), fast_path="parameters.amount < 1000 && risk == 'low'")
    lock = document("FloorLock", "law", capability="payment.make", policy="one", **LOCK)
    broken = policy("one", ([CONTROLLERS], 1), fast_path="parameters.missing == 1")

    assert answer(attempt(501), fast)[0] == "free"
    assert answer(attempt(1001), fast)[0] == "gated"
    assert answer(attempt(501), fast, lock)[0] == "gated"
    assert answer(attempt(501), broken)[0] == "gated"


def test_a_second_gate_never_makes_passing_easier():
    fast_two = policy("two", ([CONTROLLERS], 1), ([TREASURY], 1), fast_path="true")
    assert answer(attempt(5001), fast_two) == ("gated", ["one"])


def test_conditions_see_where_a_value_is_from():
    named = role(
        "payer",
        grant("payment.make", "allow", when="'requester' in provenance['/to']"),
        grant("payment.make", "gate", policy="one"),
    )
    only = role(
        "payer",
        grant("payment.make", "gate", policy="one", when="!('requester' in provenance['/to'])"),
        grant("payment.make", "allow"),
    )
    paid = {"parameters": {"amount": 5, "to": "DE1"}}

    assert answer(attempt(**paid, provenance={"/to": ["requester", "outside"]}), named)[0] == "gated"
    assert answer(attempt(**paid, provenance={"/to": ["requester", "outside"]}), only)[0] == "free"
    assert answer(attempt(**paid, provenance={"/to": ["outside"]}), only)[0] == "gated"
    assert answer(attempt(**paid, provenance={}), only)[0] == "gated"


@pytest.mark.parametrize(
    ("stages", "reason", "expected"),
    [
        ([(["A"], 1), (["B"], 1)], "always", True),
        ([(["A"], 2), (["C"], 1), (["B"], 1)], "always", True),
        ([(["A"], 1), (["B"], 1)], "on_reject", False),
        ([(["B"], 1), (["A"], 1)], "always", False),
        ([(["A"], 2)], "always", False),
        ([(["A", "C"], 1), (["B"], 1)], "always", False),
    ],
)
def test_at_least_as_strict(stages, reason, expected):
    floor = policy("floor", (["A"], 1), (["B"], 1), reason="always")["spec"]
    assert covers(policy("p", *stages, reason=reason)["spec"], floor) is expected


def test_what_no_document_fixes_is_not_judged():
    with pytest.raises(CannotJudge):
        answer(attempt(), role("payer", grant("payment.make", "allow", when="principal.team == 'x'")))
    with pytest.raises(CannotJudge):
        answer(attempt(), capability("payment.make", parameters={"type": "object", "oneOf": []}))


def test_every_condition_and_contract_that_ships_is_judged():
    documents = [
        found
        for path in sorted(EXAMPLES.glob("*/manifests/*.yaml"))
        for found in yaml.safe_load_all(path.read_text())
        if found["kind"] in ("Role", "Capability", "ApprovalPolicy", "FloorLock", "Agent")
    ]
    judged = 0
    world = beginning(documents, {})
    capabilities = {
        name: spec for kind, name in world.documents if kind == "Capability" for spec in [world.spec("Capability", name)]
    }
    for (kind, name), spec in world.documents.items():
        for given in spec["roles"] if kind == "Agent" else ():
            for one in world.spec("Role", given)["grants"]:
                found = capabilities[one["capability"]]
                resource = {"type": found["resource"], "id": "staging:x"}
                sample = {key: _sample(rule) for key, rule in found["parameters"]["properties"].items()}
                made = attempt(
                    principal={"kind": "agent", "name": name},
                    capability=one["capability"],
                    resource=resource,
                    parameters=sample,
                )
                assert permitted(world, {**made, "record": {}}).kind in ("free", "gated", "never")
                judged += 1
    assert judged > 20


def _sample(rule):
    if "const" in rule or "enum" in rule:
        return rule.get("const", rule.get("enum", [None])[0])
    return {"string": "2026-11", "integer": 1, "boolean": False, "array": [], "object": {}}[rule["type"]]


def test_the_shipped_rule_for_invoices_is_read_as_its_guide_says():
    """docs/guide/invoice-change.md: up to 500 EUR nobody, above 500 a controller, above 5,000 controller, then treasury."""
    documents = [
        d
        for name in ("access", "people", "capabilities")
        for d in yaml.safe_load_all((EXAMPLES / f"invoice_change/manifests/{name}.yaml").read_text())
    ]
    world = beginning(documents, {})

    def size(cents):
        parameters = {"from_cents": 0, "to_cents": cents, "supplier": "s", "reason": "r", "differences": []}
        made = attempt(principal={"kind": "agent", "name": "invoice-clerk"}, capability="invoice.amend", parameters=parameters)
        found = permitted(world, {**made, "resource": {"type": "invoice", "id": "1"}})
        return found.kind, [name for name, _ in found.policies]

    assert size(50000) == ("free", [])
    assert size(50001) == ("gated", ["invoice-one"])
    assert size(500001) == ("gated", ["invoice-two"])
