"""The pure core, move by move: what each outcome of each step means in events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.agents.protocol import Abstain, CallFailed, Done
from orchestration.authority.verdicts import Principal
from orchestration.contracts.checker import compile_schema
from orchestration.engine import moves, planner
from orchestration.engine.moves import Message, Taken
from orchestration.engine.turn import Runaway
from orchestration.routing import tables
from orchestration.workflows.definition import (
    Common,
    FinishStep,
    GateStep,
    OnFailure,
    Retry,
    ReviewStep,
    RouteStep,
    SetStep,
)
from tests.engine.turns import ACT, PERSON, PROPOSAL, ask, drafted, message, workflow, world_with
from tests.engine.world import AGENT_ID, Life, MemoryWorld, policy


def test_an_agent_call_is_an_intent_before_it_is_a_call():
    life = Life(workflow(ask()), world_with())

    assert life.turn() == ["step.started"]
    assert life.last.call.attempt == 1
    assert life.last.asked_authority


def test_the_outcome_of_one_step_and_the_intent_of_the_next_share_a_turn():
    life = Life(workflow(ask("one"), ask("two")), world_with())
    life.turn()

    assert life.reply(Done({"x": 1})) == ["step.completed", "step.started"]
    assert life.state.outputs == {"one": "run:9/3"}


def test_the_last_step_completes_the_run():
    life = Life(workflow(ask()), world_with())
    life.turn()

    assert life.reply(Done({})) == ["step.completed", "run.completed"]
    assert life.state.status == "completed"


def test_an_output_that_breaks_its_contract_is_a_dead_letter_and_goes_no_further():
    strict = compile_schema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    life = Life(workflow(ask("one"), ask("two")), world_with(), contracts={"out@1": strict})
    life.turn()

    assert life.reply(Done({"n": "many"})) == ["contract.violated", "review.opened"]
    assert "one" not in life.values
    assert life.last.items[0].code == "contract"
    assert life.last.items[0].queue == "people"


def test_an_agent_that_does_not_know_goes_to_its_queue_and_is_not_retried():
    life = Life(workflow(ask(abstain_queue="experts", retry=Retry(attempts=5))), world_with())
    life.turn()

    assert life.reply(Abstain("no idea")) == ["step.abstained", "review.opened"]
    assert life.last.items[0].queue == "experts"


@pytest.mark.parametrize("confidence", [None, 0.59])
def test_low_or_unknown_confidence_goes_to_people(confidence):
    life = Life(workflow(ask(confidence_below=(0.6, "people"))), world_with())
    life.turn()

    assert life.reply(Done({}, confidence=confidence)) == ["step.unsure", "review.opened"]


def test_confidence_at_the_threshold_passes():
    life = Life(workflow(ask(confidence_below=(0.6, "people"))), world_with())
    life.turn()

    assert life.reply(Done({}, confidence=0.6)) == ["step.completed", "run.completed"]


def test_a_failed_call_is_retried_with_growing_waits_and_then_given_up():
    retry = Retry(attempts=3, backoff=timedelta(seconds=10), factor=2, cap=timedelta(minutes=1), jitter=False)
    life = Life(workflow(ask(retry=retry)), world_with())
    life.turn()
    waits = []
    for _ in range(2):
        assert life.reply(CallFailed("agent_error", "boom")) == ["step.failed"]
        assert life.turn() == []
        waits.append((life.due_at - life.world.now).total_seconds())
        life.world.now = life.due_at
        assert life.turn() == ["step.started"]

    assert life.reply(CallFailed("agent_error", "boom")) == ["step.failed", "review.opened"]
    assert waits == [10, 20]
    assert life.state.attempt == 3


def test_jitter_never_waits_longer_than_the_backoff():
    retry = Retry(attempts=50, backoff=timedelta(seconds=4), factor=2, cap=timedelta(seconds=9), jitter=True)
    life = Life(workflow(ask(retry=retry)), world_with())
    life.turn()
    for _ in range(20):
        life.reply(CallFailed("timeout", ""))
        life.turn()
        assert timedelta(0) <= life.due_at - life.world.now <= timedelta(seconds=9)
        life.world.now = life.due_at
        life.turn()


def test_on_failure_by_code_goes_to_another_step():
    step = ask("one", common=Common("one", on_failure={"abstained": OnFailure("step", "end")}))
    life = Life(workflow(step, ask("two"), FinishStep(Common("end"), "unanswered")), world_with())
    life.turn()

    assert life.reply(Abstain("?")) == ["step.abstained", "step.gave_up", "run.completed"]
    assert life.events[-1][1]["outcome"] == "unanswered"


def test_on_failure_fail_ends_the_run_and_a_retry_begins_the_step_again():
    step = ask("one", common=Common("one", on_failure={"*": OnFailure("fail")}))
    life = Life(workflow(step), world_with())
    life.turn()
    life.reply(CallFailed("agent_error", "x"))
    assert life.state.status == "failed"

    assert life.turn(message(life, "retry")) == ["run.retried", "step.started"]
    assert life.state.status == "running"


def test_a_lost_worker_costs_an_attempt_that_is_not_the_agents_fault():
    life = Life(workflow(ask(retry=Retry(attempts=1))), world_with())
    life.turn()

    assert life.turn(Taken()) == ["step.lost", "step.started"]
    assert life.state.attempt == 2
    assert life.reply(CallFailed("agent_error", "x")) == ["step.failed", "review.opened"]


def test_a_step_that_keeps_killing_workers_is_set_aside():
    life = Life(workflow(ask()), world_with())
    life.turn()
    for _ in range(planner.MAX_LOSSES - 1):
        assert life.turn(Taken()) == ["step.lost", "step.started"]

    assert life.turn(Taken()) == ["step.lost", "run.quarantined", "review.opened"]


def test_a_late_answer_of_an_earlier_attempt_falls_on_the_floor():
    life = Life(workflow(ask()), world_with())
    life.turn()
    stale = moves.Replied("ask", 1, 1, Done({"late": True}), 1)
    life.turn(Taken())

    assert life.turn(stale) == []
    assert life.state.phase == "calling"


def test_a_disabled_agent_is_not_called():
    world = world_with()
    world.matrix_document["agents"][AGENT_ID]["enabled"] = False
    life = Life(workflow(ask()), world)

    assert life.turn() == ["step.failed", "review.opened"]
    assert life.last.call is None


def test_a_mapping_without_a_value_stops_the_step():
    life = Life(workflow(ask(input={"x": "input.nothing"})), world_with())

    assert life.turn() == ["expression.failed", "review.opened"]


def table(case: str = "go", when: str = "n > 1") -> tables.RoutingTable:
    return tables.load(
        {
            "apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "t"},
            "spec": {
                "inputs": {"n": "int"}, "outputs": {"case": "string"}, "hit_policy": "First",
                "rules": [{"id": "r1", "when": when, "then": {"case": case}}], "default": {"case": "unknown"},
            },
        }
    )  # fmt: skip


ROUTE = RouteStep(
    Common("triage"), table="t", facts={"n": "input.n"}, cases={"go": "end", "unknown": OnFailure("queue", "people")}
)


def test_a_route_takes_the_case_of_its_table():
    life = Life(workflow(ROUTE, FinishStep(Common("end"), "fine")), MemoryWorld(), payload={"n": 2}, tables={"t": table()})

    assert life.turn() == ["route.chosen", "run.completed"]
    assert life.state.cases == {"triage": "go"}


def test_an_unknown_case_goes_to_people_who_may_choose():
    life = Life(workflow(ROUTE, FinishStep(Common("end"))), MemoryWorld(), payload={"n": 0}, tables={"t": table()})
    assert life.turn() == ["route.chosen", "review.opened"]
    assert life.last.items[0].choices == ("go",)

    assert life.turn(message(life, "review_settled", "completed", case="go")) == ["review.settled", "run.completed"]
    assert life.state.cases == {"triage": "go"}


def test_a_gate_step_waits_and_goes_on():
    steps = (SetStep(Common("s"), {"a": "1 + 1"}), GateStep(Common("ok"), policy="sign-off", proposal="steps.s.output"))
    life = Life(workflow(*steps), world_with())
    assert life.turn() == ["value.set", "gate.opened"]

    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "run.completed"]


def test_a_review_step_takes_the_persons_output():
    life = Life(workflow(ReviewStep(Common("look"), queue="people", output="out@1")), MemoryWorld())
    assert life.turn() == ["review.opened"]

    done = message(life, "review_settled", "completed", output="review:x/2", value={"by": "hand"})
    assert life.turn(done) == ["review.settled", "run.completed"]
    assert life.values == {"look": {"by": "hand"}}


def test_a_review_sent_back_tries_the_step_afresh():
    life = Life(workflow(ask()), world_with())
    life.turn()
    life.reply(Abstain("?"))

    assert life.turn(message(life, "review_settled", "retried")) == ["review.settled", "step.started"]
    assert life.state.attempt == 1


def test_cancel_is_taken_before_everything_else():
    life = drafted(world_with("gate", policy="sign-off"))
    approved = message(life, "gate_settled", "approved")
    cancel = Message(ordinal=3, kind="cancel", ref="", outcome="", actor=PERSON, reason="stop")

    assert life.turn(approved, cancel) == ["run.cancelled", "inbox.ignored"]
    assert life.last.closes_waits
    assert life.last.patches == []


def test_requires_holds_a_step_back_when_the_record_is_missing():
    step = ask("two", common=Common("two", requires=("one",)))
    life = Life(workflow(step), world_with())

    assert life.turn() == ["review.opened"]
    assert life.last.items[0].code == "requires"


def test_a_loop_ends_at_its_visits():
    loop = SetStep(Common("s", next="s", max_visits=3), {"a": "1"})
    life = Life(workflow(loop), MemoryWorld())

    assert life.turn() == ["value.set"] * 3 + ["review.opened"]
    assert life.last.items[0].code == "max_visits"


def test_a_definition_that_never_rests_is_stopped():
    loop = SetStep(Common("s", next="s", max_visits=10**9), {"a": "1"})

    with pytest.raises(Runaway):
        Life(workflow(loop), MemoryWorld()).turn()


def test_the_state_is_always_the_fold_of_the_events():
    life = drafted(world_with("gate", policy="sign-off"))
    assert life.refold() == life.state
    life.turn(message(life, "gate_settled", "rejected"))
    assert life.refold() == life.state
    life.turn(message(life, "review_settled", "retried"))
    assert life.refold() == life.state


def test_an_answer_to_an_earlier_step_is_not_taken_for_the_one_in_flight():
    first = ask("one", common=Common("one", on_failure={"timeout": OnFailure("step", "two")}))
    life = Life(workflow(first, ask("two")), world_with())
    life.turn()
    late = moves.Replied("one", 1, 1, Done({"late": True}), 1)
    assert life.reply(CallFailed("timeout", "")) == ["step.failed", "step.gave_up", "step.started"]

    assert life.turn(late) == []
    assert (life.state.step, life.state.phase) == ("two", "calling")


def test_without_any_queue_a_run_fails_with_a_code_instead_of_spinning():
    world = world_with()
    world.without_queues.add("people")
    life = Life(workflow(ask()), world)
    life.turn()

    assert life.reply(Abstain("?")) == ["step.abstained", "run.failed"]
    assert life.state.outcome == "no_queue"


def test_a_queue_that_is_gone_falls_back_to_the_workflows_own():
    world = world_with()
    world.without_queues.add("experts")
    life = Life(workflow(ask(abstain_queue="experts")), world)
    life.turn()
    life.reply(Abstain("?"))

    assert life.last.items[0].queue == "people"


def test_of_two_gates_the_stricter_policy_binds_what_a_person_wrote_in_an_agents_stead():
    world = world_with("gate", policy="sign-off")
    two = {"stages": [{"groups": ["Leads"], "quorum": 2}], "reason": "always"}
    world.matrix_document["policies"]["two"] = two
    cell = {"capability": "ticket.reply", "effect": "gate", "policy": "two"}
    world.matrix_document["roles"]["Leads"] = {"people": True, "grants": [cell]}
    world.policies["two"] = policy("two", stages=two["stages"])
    world.authors["review:x/2"] = Principal("user", PERSON.ref, ("Leads",))
    life = Life(workflow(*ACT), world)
    life.turn()
    life.reply(Abstain("?"))

    life.turn(message(life, "review_settled", "completed", output="review:x/2", value={"reply": PROPOSAL}))

    assert life.last.openings[0].policy == "two"
