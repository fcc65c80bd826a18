"""Limits of grants in the pure verdict: what is reached denies or gates, never widens, and an error counts as reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.authority.explain import explain
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.verdicts import Principal, decide, readings
from tests.authority.conftest import BOT, FACTS, TICKET, grant, lock, make_matrix

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
AMOUNT = {"of": "parameters.amount", "most": 2000, "per": "1d"}
UNIT = 1_000_000


def limited(effect: str = "allow", *, policy: str = "", **limits: Any) -> dict[str, Any]:
    return {**grant(effect, policy=policy), **limits}


def ask(matrix: Any, *, used: int | None = 0, at: datetime = MONDAY, principal: Principal = BOT, **facts: Any) -> Any:
    known = {**FACTS, **facts, "clock": clock_fact(at, matrix.zones)}
    if used is not None:
        known["limits"] = {one.key: used for one in readings(matrix, principal, "ticket.reply", TICKET, known)}
    return decide(matrix, principal, "ticket.reply", TICKET, known)


def paying(amount: Any) -> dict[str, Any]:
    return {"text": "hello", "amount": amount}


def test_up_to_the_amount_it_is_allowed_and_counts_what_it_will_use():
    matrix = make_matrix({"bot": [limited(limits={"amount": AMOUNT})]})

    verdict = ask(matrix, used=1500 * UNIT, parameters=paying(500))

    assert (verdict.answer, verdict.code) == ("allow", "granted")
    assert [count.amount for count in verdict.counts] == [500 * UNIT]
    assert "reached" not in verdict.line_data()


def test_one_more_than_the_amount_is_denied_and_the_line_names_no_number():
    matrix = make_matrix({"bot": [limited(limits={"amount": AMOUNT})]})

    verdict = ask(matrix, used=1500 * UNIT, parameters=paying(501))

    assert (verdict.answer, verdict.code, verdict.policy) == ("deny", "limit_reached", "")
    assert verdict.line_data()["reached"] == ["bot/ticket.reply: amount"]
    assert "501" not in str(verdict.line_data()) + verdict.reason
    assert "1,500 of 2,000 a day used, 501 more wanted" in " ".join(explain(verdict))


def test_beyond_the_limit_the_named_policy_is_asked():
    matrix = make_matrix({"bot": [limited(limits={"rate": {"count": 3, "per": "1h"}}, beyond="two")]})

    assert ask(matrix, used=2).answer == "allow"
    assert (ask(matrix, used=3).answer, ask(matrix, used=3).policy) == ("gate", "two")


def test_a_gate_beyond_its_limit_asks_the_stricter_of_both_policies():
    weaker = make_matrix({"bot": [limited("gate", policy="two", limits={"rate": {"count": 3, "per": "1h"}}, beyond="one")]})

    assert ask(weaker, used=3).policy == "two"


def test_a_reached_limit_denies_although_another_role_allows():
    matrix = make_matrix({"bot": [limited(limits={"rate": {"count": 1, "per": "1d"}})], "other": [grant("allow")]})

    assert ask(matrix, used=0).answer == "allow"
    assert ask(matrix, used=1).answer == "deny"


def test_a_cell_whose_condition_is_false_reaches_no_limit():
    cell = {**grant("allow", when="record.status == 'closed'"), "limits": {"rate": {"count": 1, "per": "1d"}}}
    matrix = make_matrix({"bot": [cell], "other": [grant("allow")]})

    assert ask(matrix, used=5).answer == "allow"


def test_a_floor_lock_is_applied_to_what_limits_leave():
    matrix = make_matrix(
        {"bot": [limited(limits={"rate": {"count": 1, "per": "1d"}}, beyond="one")]}, locks={"law": lock("two")}
    )

    assert ask(matrix, used=0).policy == ask(matrix, used=1).policy == "two"


@pytest.mark.parametrize("amount", [-1, None, 10**12])
def test_what_is_no_amount_counts_as_reached(amount: Any):
    parameters = {"text": "x"} if amount is None else paying(amount)
    matrix = make_matrix({"bot": [limited(limits={"amount": AMOUNT})]})

    verdict = ask(matrix, parameters=parameters)

    assert (verdict.answer, verdict.code) == ("deny", "limit_reached")
    assert [count.amount for count in verdict.counts] == [0]


@pytest.mark.parametrize("used", [None, "many", True, 1.5])
def test_without_a_fact_of_what_was_used_a_limit_is_reached(used: Any):
    matrix = make_matrix({"bot": [limited(limits={"rate": {"count": 9, "per": "1d"}})]})

    assert ask(matrix, used=used).code == "limit_reached"


def test_parts_of_a_cent_are_rounded_up_so_that_they_add_up():
    number = {"type": "object", "properties": {"amount": {"type": "number"}}}
    matrix = make_matrix({"bot": [limited(limits={"amount": AMOUNT})]}, parameters=number)

    assert [count.amount for count in ask(matrix, parameters={"amount": 0.0000001}).counts] == [1]
    assert [count.amount for count in ask(matrix, parameters={"amount": 0.1}).counts] == [100_000]


def test_counters_are_by_principal_requester_or_resource():
    def keys(by: str, *, who: str = "a1", requester: str = "r1") -> set[str]:
        matrix = make_matrix({"bot": [limited(limits={"rate": {"count": 9, "per": "1d", "by": by}})]})
        facts = {**FACTS, "requester": {"id": requester, "roles": []}}
        return {one.key for one in readings(matrix, Principal("agent", who), "ticket.reply", TICKET, facts)}

    assert keys("principal") == keys("principal", requester="r2")
    assert keys("requester") != keys("requester", requester="r2")
    assert keys("resource") == keys("resource", requester="r2")
    assert len(keys("principal") | keys("requester") | keys("resource")) == 3


def test_raising_a_limit_keeps_its_counter():
    def key(most: int) -> str:
        matrix = make_matrix({"bot": [limited(limits={"amount": {**AMOUNT, "most": most}})]})
        return readings(matrix, BOT, "ticket.reply", TICKET, FACTS)[0].key

    assert key(2000) == key(5000)


def test_the_requester_has_counters_of_his_own():
    roles = {
        "bot": [limited(limits={"rate": {"count": 5, "per": "1d"}})],
        "Desk": [limited(limits={"rate": {"count": 1, "per": "1d"}})],
    }
    matrix = make_matrix(roles, people=("Desk",), agent_roles=["bot"], requester_too=True)
    facts = {"requester": {"id": "r1", "roles": ["Desk"]}}

    assert ask(matrix, used=0, **facts).answer == "allow"
    assert len(ask(matrix, used=0, **facts).counts) == 2
    assert ask(matrix, used=1, **facts).code == "limit_reached"


def during(**hours: Any) -> Any:
    return make_matrix({"bot": [limited(during={"zone": "Europe/Vienna", **hours})]})


@pytest.mark.parametrize(
    ("hours", "at", "answer"),
    [
        ({"from": "08:00", "to": "18:00"}, MONDAY.replace(hour=7), "allow"),  # 08:00 in Vienna
        ({"from": "08:00", "to": "18:00"}, MONDAY.replace(hour=6, minute=59), "deny"),
        ({"from": "08:00", "to": "18:00"}, MONDAY.replace(hour=17), "deny"),
        ({"from": "08:00", "to": "18:00"}, datetime(2026, 7, 6, 6, 0, tzinfo=UTC), "allow"),  # summer time
        ({"days": ["mon"]}, MONDAY, "allow"),
        ({"days": ["tue"]}, MONDAY, "deny"),
        ({"days": ["tue"]}, MONDAY.replace(hour=23), "allow"),  # Tuesday in Vienna
        ({"days": ["sun"], "from": "22:00", "to": "06:00"}, MONDAY.replace(hour=4), "allow"),  # since Sunday night
        ({"days": ["mon"], "from": "22:00", "to": "06:00"}, MONDAY.replace(hour=4), "deny"),
        ({"from": "22:00", "to": "06:00"}, MONDAY.replace(hour=12), "deny"),
        ({"valid_from": "2026-11-24"}, MONDAY, "deny"),
        ({"valid_until": "2026-11-23"}, MONDAY.replace(hour=22), "allow"),
        ({"valid_until": "2026-11-23"}, MONDAY.replace(hour=23), "deny"),
    ],
)
def test_hours_are_judged_in_their_zone(hours: Any, at: datetime, answer: str):
    assert ask(during(**hours), at=at).answer == answer


def test_hours_are_judged_by_recorded_facts_alone():
    matrix = during(**{"from": "08:00", "to": "18:00"})
    moved = {"now": "2026-11-23T09:00:00.000000Z", "zones": {"Europe/Vienna": 15 * 60}}

    assert decide(matrix, BOT, "ticket.reply", TICKET, {**FACTS, "clock": moved}).code == "limit_reached"


@pytest.mark.parametrize("clock", [None, {}, {"now": "soon", "zones": {"Europe/Vienna": 0}}, {"now": None, "zones": {}}])
def test_a_time_that_is_not_known_is_outside_the_hours(clock: Any):
    assert decide(during(days=["mon"]), BOT, "ticket.reply", TICKET, {**FACTS, "clock": clock}).code == "limit_reached"


def test_a_budget_is_reached_when_nothing_is_left():
    matrix = make_matrix({"bot": [limited(limits={"tokens": {"most": 100, "per": "1d"}})]})

    assert ask(matrix, used=99).answer == "allow"
    assert ask(matrix, used=100).answer == "deny"
    assert matrix.metered == {"bot"}


def test_a_matrix_without_limits_asks_for_no_counter():
    matrix = make_matrix({"bot": [grant("allow")]})

    assert readings(matrix, BOT, "ticket.reply", TICKET, FACTS) == ()
    assert decide(matrix, BOT, "ticket.reply", TICKET, FACTS).counts == ()


def test_the_clock_leaves_out_zones_that_do_not_exist():
    assert clock_fact(MONDAY, {"Nowhere/Land", "../etc/passwd", "UTC"})["zones"] == {"UTC": 0}
    assert clock_fact(MONDAY + timedelta(0), ())["zones"] == {}
