"""The pure core, move by move: what each outcome of each step means in events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core.actors import Actor
from orchestration.agents.protocol import Abstain, Done
from orchestration.authority.verdicts import Principal
from orchestration.contracts.checker import compile_schema
from orchestration.engine import planner
from orchestration.engine.planner import CallFailed, EffectAnswered, Message, Taken
from orchestration.engine.turn import Runaway
from orchestration.routing import tables
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Common,
    Definition,
    FinishStep,
    GateStep,
    OnFailure,
    Retry,
    ReviewStep,
    RouteStep,
    SetStep,
)
from tests.engine.world import AGENT_ID, Life, MemoryWorld, policy

PERSON = Actor("user", "00000000-0000-0000-0000-0000000000aa", "session")
PROPOSAL = {
    "capability": "ticket.reply",
    "resource": {"type": "ticket", "id": "T-1"},
    "parameters": {"body": "Hello"},
    "justification": "asked",
}


def workflow(*steps: object) -> Definition:
    return Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people", steps=tuple(steps)
    )


def ask(step: str = "ask", **options: object) -> AgentStep:
    common = options.pop("common", Common(step))
    return AgentStep(common, agent="clerk", output="out@1", **options)


def world_with(
    effect: str = "allow", *, safety: str = "idempotent", handler: str = "record.patch", **grant: object
) -> MemoryWorld:
    """ticket.reply for the clerk, as `effect` says, on an existing ticket."""
    document = {
        "capabilities": {
            "ticket.reply": {
                "resource": "ticket", "risk": "low", "safety": safety, "handler": handler, "digest": "c" * 64,
                "parameters": {"type": "object"},
            }
        },
        "roles": {"desk": {"people": False, "grants": [{"capability": "ticket.reply", "effect": effect, **grant}]}},
        "locks": {},
        "policies": {"sign-off": {"stages": [{"groups": ["Leads"], "quorum": 1}], "reason": "always"}},
        "agents": {AGENT_ID: {"name": "clerk", "roles": ["desk"], "enabled": True}},
    }  # fmt: skip
    world = MemoryWorld(matrix_document=document, policies={"sign-off": policy()})
    world.records[("ticket", "T-1")] = (1, {"status": "open"})
    return world


ACT = (ask("draft"), ActStep(Common("reply"), act="steps.draft.output.reply", source="draft"))


def drafted(world: MemoryWorld, **proposal: object) -> Life:
    life = Life(workflow(*ACT), world)
    life.turn()
    life.reply(Done({"reply": {**PROPOSAL, **proposal}}))
    return life


def message(life: Life, kind: str, outcome: str = "", **fields: object) -> Message:
    ref = life.state.request if kind == "gate_settled" else life.state.item
    if kind == "gate_settled":
        fields.setdefault("digest", life.state.digest)
    return Message(ordinal=2, kind=kind, ref=fields.pop("ref", ref), outcome=outcome, actor=PERSON, reason="because", **fields)


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
    stale = planner.Replied("ask", 1, 1, Done({"late": True}), 1)
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


def test_an_allowed_effect_is_done_in_the_same_commit():
    life = drafted(world_with())

    assert [type_ for type_, _ in life.events[-3:]] == ["verdict.given", "effect.done", "run.completed"]
    assert life.world.records[("ticket", "T-1")] == (2, {"status": "open", "body": "Hello"})


def test_no_grant_means_no_effect():
    world = world_with()
    world.matrix_document["roles"]["desk"]["grants"] = []
    life = drafted(world)

    assert [type_ for type_, _ in life.events[-2:]] == ["verdict.given", "review.opened"]
    assert life.last.patches == []
    assert life.last.items[0].code == "denied"


def test_a_proposal_of_the_wrong_shape_is_a_dead_letter():
    life = drafted(world_with(), resource="everything")

    assert [type_ for type_, _ in life.events[-2:]] == ["contract.violated", "review.opened"]


def test_a_gated_effect_waits_and_is_done_only_after_approval():
    life = drafted(world_with("gate", policy="sign-off"))
    assert life.state.status == "waiting_decision"
    assert life.last.patches == []

    assert life.turn(message(life, "gate_settled", "approved")) == [
        "gate.settled", "verdict.given", "effect.done", "run.completed",
    ]  # fmt: skip


def test_an_approval_fits_only_what_was_signed():
    life = drafted(world_with("gate", policy="sign-off"))
    first = life.state.request
    life.world.records[("ticket", "T-1")] = (2, {"status": "closed"})

    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "verdict.given", "gate.opened"]
    assert life.state.request != first
    assert life.last.patches == []


def test_an_approval_does_not_outlive_a_right_that_was_withdrawn():
    life = drafted(world_with("gate", policy="sign-off"))
    life.world.matrix_document["roles"]["desk"]["grants"] = []

    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "verdict.given", "review.opened"]
    assert life.last.patches == []


@pytest.mark.parametrize("outcome", ["rejected", "expired"])
def test_without_a_yes_nothing_is_changed(outcome):
    life = drafted(world_with("gate", policy="sign-off"))

    assert life.turn(message(life, "gate_settled", outcome)) == ["gate.settled", "review.opened"]
    assert life.world.records[("ticket", "T-1")][0] == 1


def test_the_fast_path_is_recorded_and_acts_at_once():
    world = world_with("gate", policy="sign-off")
    world.policies["sign-off"] = policy(fast_path="parameters.body == 'Hello'")
    life = drafted(world)

    assert [type_ for type_, _ in life.events[-3:]] == ["gate.passed_fast", "effect.done", "run.completed"]


def test_the_fast_path_is_impossible_under_a_lock():
    world = world_with("gate", policy="sign-off")
    world.policies["sign-off"] = policy(fast_path="true")
    world.matrix_document["locks"] = {
        "law": {
            "capability": "ticket.reply",
            "policy": "sign-off",
            "kind": "law",
            "floor": {"stages": [{"groups": ["Leads"], "quorum": 1}], "reason": "always"},
        }
    }
    life = drafted(world)

    assert life.state.status == "waiting_decision"


def test_a_gate_nobody_can_decide_goes_to_people_instead():
    world = world_with("gate", policy="sign-off")
    world.without_voters.add("sign-off")
    life = drafted(world)

    assert life.last.openings == []
    assert life.last.items[0].code == "nobody_eligible"


def test_a_remote_effect_is_intended_before_it_is_made_and_keeps_its_key():
    world = world_with(handler="mail.send")
    world.remote.add("mail.send")
    life = drafted(world)
    first = life.last.call
    assert life.events[-1][0] == "effect.intended"

    assert life.turn(Taken()) == ["effect.lost", "verdict.given", "effect.intended"]
    assert life.last.call.key == first.key
    answer = EffectAnswered("reply", 1, first.key, life.last.call.attempt, {"ok": 1}, "", "", 3)
    assert life.turn(answer) == ["effect.done", "run.completed"]


def test_an_unsafe_effect_of_unknown_outcome_is_never_repeated():
    world = world_with(handler="mail.send", safety="unsafe")
    world.remote.add("mail.send")
    life = drafted(world)

    assert life.turn(Taken()) == ["effect.unknown", "review.opened"]
    assert life.last.call is None


def test_a_lost_race_for_a_record_is_on_record_and_looked_at_again():
    from orchestration.engine import turn
    from orchestration.engine.scene import Scene

    life = Life(workflow(*ACT), world_with())
    life.turn()
    call = life.last.call
    scene = Scene(run=life.run, state=life.state, seq=len(life.events), input={}, values={}, world=life.world)
    scene.lost_races = 1

    turn.take(scene, [planner.Replied(call.step, call.visit, call.attempt, Done({"reply": PROPOSAL}), 1)])

    types = [draft.type for draft in scene.drafts]
    assert types == ["step.completed", "verdict.given", "effect.conflicted", "verdict.given", "effect.done", "run.completed"]


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
    late = planner.Replied("one", 1, 1, Done({"late": True}), 1)
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
