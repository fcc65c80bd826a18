"""Who can do Y, and what can X do: each line says what the verdict says, and names what decides it. Pure."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestration.authority.explainer import Held, as_role, what_can, who_can
from orchestration.authority.verdicts import Principal, decide
from tests.authority.conftest import BOT, FACTS, TICKET, grant, lock, make_matrix

CLOCK = {"now": "2026-11-23T12:00:00Z", "zones": {}}
FREE = Held()


def decided(line) -> list[tuple[str, str]]:
    return [(one.what, one.name) for one in line.deciders]


def one(matrix, principal=BOT, held=FREE):
    (line,) = who_can(matrix, "ticket.reply", [("x", principal)], held, CLOCK).lines
    return line


def test_the_deciding_cell_is_named_and_the_weaker_one_told_apart():
    line = one(make_matrix({"clerk": [grant("allow")], "guard": [grant("deny")]}))

    assert (line.label, line.answer) == ("deny", "deny")
    assert decided(line) == [("cell", "guard"), ("cell", "clerk")]
    assert "a stricter cell decides" in line.deciders[1].says


def test_a_condition_is_answered_both_ways():
    line = one(make_matrix({"clerk": [grant("allow", when="parameters.amount < 5")]}))

    assert line.label == "allow_if"
    assert line.answer == "allow or deny, as the facts are"
    assert line.deciders[0].says == "allows it if parameters.amount < 5"


def test_a_lock_that_raises_is_named_first():
    line = one(make_matrix({"clerk": [grant("allow")]}, locks={"law": lock("two")}))

    assert line.answer == "gate two"
    assert decided(line) == [("lock", "law"), ("cell", "clerk")]


def test_a_halt_stops_what_the_matrix_allows_and_only_that_agent():
    matrix = make_matrix({"clerk": [grant("allow")], "Desk": [grant("allow")]}, agent_roles=["clerk"], people=("Desk",))
    held = Held(agents={"a1": "responder is halted"})

    assert one(matrix, held=held).is_held
    assert decided(one(matrix, held=held))[0] == ("halt", "responder")
    assert not one(matrix, Principal("user", "u1", ("Desk",)), held).is_held
    assert one(matrix, Principal("user", "u1", ("Desk",)), Held(everything="everything is halted")).is_held
    assert one(matrix, held=Held(breakers={"capability:ticket.reply": "open"})).is_held
    assert not one(matrix, held=Held(breakers={"capability:ticket.close": "open"})).is_held


def test_who_has_no_cell_is_counted_and_roles_of_agents_give_people_nothing():
    matrix = make_matrix({"clerk": [grant("allow")]})
    found = who_can(matrix, "ticket.reply", [("bot", BOT), ("person", Principal("user", "u", ("clerk",)))], FREE, CLOCK)

    assert [line.who for line in found.lines] == ["bot"]
    assert found.silent == 1


def test_those_who_may_most_come_first():
    matrix = make_matrix({"A": [grant("deny")], "B": [grant("gate")], "C": [grant("allow")]}, people=("A", "B", "C"))
    people = [(name, Principal("user", name, (name,))) for name in "ABC"]

    assert [line.who for line in who_can(matrix, "ticket.reply", people, FREE, CLOCK).lines] == ["C", "B", "A"]


def test_what_a_principal_can_do_counts_the_capabilities_without_a_cell():
    found = what_can(make_matrix({"clerk": [grant("allow")]}), "bot", BOT, FREE, CLOCK)

    assert [(line.capability, line.answer) for line in found.lines] == [("ticket.reply", "allow")]
    assert found.silent == 1


def test_a_role_alone_is_asked_as_somebody_who_has_it_and_no_other():
    matrix = make_matrix({"clerk": [grant("allow")], "guard": [grant("deny")]})

    assert what_can(*_swap(as_role(matrix, "clerk")), FREE, CLOCK).lines[0].answer == "allow"
    assert (
        what_can(make_matrix({"clerk": [grant("allow")], "guard": [grant("deny")]}), "bot", BOT, FREE, CLOCK).lines[0].answer
        == "deny"
    )


def _swap(found):
    matrix, principal = found
    return matrix, "role", principal


def test_a_matrix_that_is_not_on_record_decides_and_no_cell():
    line = one(replace(make_matrix({"clerk": [grant("allow")]}), is_on_record=False))

    assert decided(line) == [("nothing", "")]
    assert "not the one on record" in line.deciders[0].says


def test_a_disabled_agent_says_so():
    line = one(make_matrix({"clerk": [grant("allow")]}, enabled=False))

    assert (line.answer, decided(line)) == ("deny", [("agent", "responder")])


EFFECT = st.sampled_from(["allow", "gate", "deny", "allow-true", "allow-false"])


@given(st.lists(EFFECT, min_size=1, max_size=4), st.booleans())
def test_a_line_brackets_the_verdict_of_every_effect(effects, is_locked):
    """No proposal is answered wider than the most, nor stricter than the least."""
    rank = {"deny": 0, "gate": 1, "allow": 2}
    when = {"allow-true": "parameters.text == 'hello'", "allow-false": "parameters.text == 'x'"}
    roles = {f"r{at}": [grant(name.partition("-")[0], when=when.get(name, ""))] for at, name in enumerate(effects)}
    matrix = make_matrix(roles, locks={"law": lock("two")} if is_locked else {})

    line = one(matrix)
    answer = decide(matrix, BOT, "ticket.reply", TICKET, FACTS).answer

    assert rank[line.least.answer] <= rank[answer] <= rank[line.most.answer]
    assert line.deciders
