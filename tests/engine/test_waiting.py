"""Waits, limits of time, resources and required events in the pure core. Every life here also folds to its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestration.agents.protocol import CallFailed, Done
from orchestration.contracts.checker import compile_schema
from orchestration.engine import state as states
from orchestration.engine.moves import Message
from orchestration.engine.world_port import Stood
from orchestration.workflows.definition import (
    ActStep,
    Common,
    FinishStep,
    GateStep,
    OnFailure,
    ResourceClaim,
    Retry,
    ReviewStep,
    SetStep,
    WaitStep,
)
from tests.engine.turns import PERSON, PROPOSAL, ask, message, workflow, world_with
from tests.engine.world import START, Life

HOUR = timedelta(hours=1)
PAID = WaitStep(Common("paid"), message="payment", key="input.id", output="paid@1", within=HOUR)


@pytest.fixture
def lives():
    """Makes lives; in the end the state of each is what its events say, and survives being stored."""
    made: list[Life] = []

    def live(definition, world=None, **pinned):
        made.append(Life(definition, world or world_with(), payload={"id": "k-1"}, **pinned))
        return made[-1]

    yield live
    for life in made:
        assert life.refold() == life.state
        assert states.load(states.dump(life.state)) == life.state


def sent(life, value, *, ref=None):
    wait = life.state.awaits if ref is None else ref
    return Message(
        ordinal=2, kind="message", ref=wait, outcome="m1", actor=PERSON, reason="", output="message:m1/1", value=value
    )  # fmt: skip


# --- time ---


def test_a_wait_ends_when_its_time_has_come_and_not_before(lives):
    life = lives(workflow(WaitStep(Common("cool"), lasting=HOUR), FinishStep(Common("end"))))

    assert life.turn() == ["wait.began"]
    assert (life.state.status, life.due_at) == ("waiting_time", START + HOUR)
    assert life.turn() == []
    life.world.pass_time(hours=1)
    assert life.turn() == ["wait.ended", "run.completed"]


@pytest.mark.parametrize(
    ("moment", "events"),
    [
        ("'2026-11-24T08:00:00Z'", ["wait.began"]),
        ("'2026-11-24T08:00:00+02:00'", ["wait.began"]),
        ("'2026-11-22T08:00:00Z'", ["wait.began", "wait.ended", "run.completed"]),  # it has passed
        ("'tomorrow'", ["expression.failed", "review.opened"]),
        ("'2026-11-24T08:00:00'", ["expression.failed", "review.opened"]),  # no offset: nobody knows which moment
        ("input.nowhere", ["expression.failed", "review.opened"]),
    ],
)
def test_until_is_a_moment_or_an_error(lives, moment, events):
    assert lives(workflow(WaitStep(Common("until"), until=moment))).turn() == events


# --- messages ---


def test_a_message_ends_the_wait_and_is_the_output(lives):
    life = lives(workflow(PAID, SetStep(Common("after"), {"sum": "steps.paid.output.sum"})))

    assert life.turn() == ["wait.began"]
    assert (life.state.status, life.due_at) == ("waiting_message", START + HOUR)
    assert (life.last.listening.name, life.last.listening.key) == ("payment", "k-1")
    assert life.turn(sent(life, {"sum": 7})) == ["message.received", "value.set", "run.completed"]
    assert life.state.outputs["paid"] == "message:m1/1"
    assert life.values["after"] == {"sum": 7}


def test_a_message_that_breaks_the_contract_is_a_dead_letter_and_the_wait_goes_on(lives):
    strict = compile_schema({"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]})
    life = lives(workflow(PAID), contracts={"paid@1": strict})
    life.turn()

    assert life.turn(sent(life, {"sum": "much"})) == ["contract.violated"]
    assert b'"/sum"' in life.last.drafts[0].payloads["faults"]
    assert life.state.status == "waiting_message"
    assert str(life.last.listening.id) == life.state.awaits  # the row that a message is matched with is written again
    assert life.turn(sent(life, {"sum": 1})) == ["message.received", "run.completed"]


def test_no_message_in_time_is_a_code_of_its_own(lives):
    life = lives(workflow(replace(PAID, common=Common("paid", on_failure={"no_message": OnFailure("fail")}))))
    life.turn()
    life.world.pass_time(hours=1)

    assert life.turn() == ["deadline.passed", "run.failed"]
    assert life.last.is_by_time  # the commit lets any message go first that has reached the run
    assert life.state.outcome == "no_message"


def test_a_message_for_another_wait_is_ignored(lives):
    life = lives(workflow(PAID))
    life.turn()

    assert life.turn(sent(life, {}, ref="another")) == ["inbox.ignored"]
    assert life.state.status == "waiting_message"


def test_a_message_read_together_with_a_passed_limit_counts(lives):
    life = lives(workflow(PAID))
    life.turn()
    life.world.pass_time(hours=2)

    assert life.turn(sent(life, {})) == ["message.received", "run.completed"]


# --- deadlines of a visit ---

LATE = {"deadline": OnFailure("fail")}


def limited(step):
    return Common(step, deadline=HOUR, on_failure=LATE)


def test_a_deadline_ends_the_retries_of_a_step(lives):
    life = lives(workflow(ask(common=limited("ask"), retry=Retry(9, timedelta(hours=2), 1.0, timedelta(hours=9), False))))
    assert life.turn() == ["deadline.set", "step.started"]
    life.reply(CallFailed("error", "no"))

    assert life.due_at == START + HOUR  # before the next attempt
    life.world.pass_time(hours=1)
    assert life.turn() == ["deadline.passed", "run.failed"]
    assert life.state.outcome == "deadline"


def test_a_call_gets_no_more_time_than_is_left(lives):
    life = lives(workflow(ask(common=limited("ask"), timeout=timedelta(hours=3))))
    life.turn()

    assert life.last.call.timeout == HOUR
    life.world.pass_time(hours=1)
    assert life.reply(CallFailed("timeout", "no answer")) == ["step.failed", "deadline.passed", "run.failed"]
    assert life.state.outcome == "deadline"


def test_an_answer_in_time_counts_though_it_is_read_late(lives):
    life = lives(workflow(ask(common=limited("ask"))))
    life.turn()
    life.world.pass_time(hours=2)

    assert life.reply(Done({})) == ["step.completed", "run.completed"]


def test_time_never_approves_it_closes_the_request(lives):
    life = lives(workflow(GateStep(limited("gate"), policy="sign-off")))
    assert life.turn() == ["deadline.set", "gate.opened"]
    life.world.pass_time(hours=1)

    assert life.turn() == ["deadline.passed", "run.failed"]
    assert life.last.closes_waits


def test_a_decision_that_reached_the_run_first_counts(lives):
    life = lives(workflow(GateStep(limited("gate"), policy="sign-off")))
    life.turn()
    life.world.pass_time(hours=1)

    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "run.completed"]


def test_a_review_step_has_until_its_deadline(lives):
    life = lives(workflow(ReviewStep(limited("look"), queue="people", output="out@1")))
    life.turn()
    life.world.pass_time(hours=1)

    assert life.turn() == ["deadline.passed", "run.failed"]


def test_a_step_that_gave_up_into_a_queue_has_no_deadline_any_more(lives):
    life = lives(workflow(ask(common=Common("ask", deadline=HOUR))))
    life.turn()
    life.reply(CallFailed("error", "no"))

    assert life.state.status == "waiting_review"
    assert life.due_at is None


def test_an_effect_under_way_is_awaited_whatever_the_clock_says(lives):
    world = world_with(handler="mail", safety="keyed")
    world.remote = {"mail"}
    act = ActStep(limited("reply"), act="steps.draft.output.reply", source="draft")
    life = lives(workflow(ask("draft"), act), world)
    life.turn()
    life.reply(Done({"reply": PROPOSAL}))
    life.world.pass_time(hours=5)

    assert (life.state.phase, life.turn(), life.due_at) == ("acting", [], None)


def test_a_retry_by_a_person_begins_the_time_anew(lives):
    life = lives(workflow(ReviewStep(Common("look", deadline=HOUR), queue="people", output="out@1")))
    life.turn()
    life.world.pass_time(hours=1)
    assert life.turn() == ["deadline.passed", "review.opened"]

    assert life.turn(message(life, "review_settled", "retried")) == ["review.settled", "deadline.set", "review.opened"]
    assert life.due_at == START + 2 * HOUR


# --- halts stop clocks ---


def test_nothing_expires_while_a_halt_stands(lives):
    life = lives(workflow(PAID))
    life.turn()
    life.world.pass_time(hours=2)
    life.world.halts = Stood(3600, is_standing=True)

    assert life.turn() == []
    assert life.due_at > life.world.now  # it looks again


def test_the_time_a_halt_stood_is_added(lives):
    life = lives(workflow(PAID))
    life.turn()
    life.world.pass_time(hours=2)
    life.world.halts = Stood(3 * 3600)

    assert life.turn() == ["deadline.moved"]
    assert life.due_at == START + 4 * HOUR
    life.world.halts = Stood()  # none since it was moved
    life.world.pass_time(hours=2)
    assert life.turn() == ["deadline.passed", "review.opened"]


# --- the deadline of the run ---


def run_with(deadline, *steps, on_deadline=None):
    return replace(workflow(*steps), deadline=deadline, on_deadline=on_deadline)


@pytest.mark.parametrize(
    ("action", "events"),
    [
        (None, ["deadline.passed", "review.opened"]),
        (OnFailure("fail"), ["deadline.passed", "run.failed"]),
        (OnFailure("compensate"), ["deadline.passed", "run.failed"]),  # nothing was done
        (OnFailure("queue", "experts"), ["deadline.passed", "review.opened"]),
    ],
)
def test_a_run_that_takes_too_long_follows_on_deadline(lives, action, events):
    life = lives(run_with(HOUR, WaitStep(Common("cool"), lasting=2 * HOUR), on_deadline=action))
    life.turn()

    assert life.due_at == START + HOUR
    life.world.pass_time(hours=1)
    assert life.turn() == events
    assert life.events[-1][1]["code"] == "run_deadline"
    if action and action.target:
        assert life.events[-1][1]["queue"] == "experts"


def test_a_run_passes_its_deadline_once(lives):
    life = lives(run_with(HOUR, WaitStep(Common("cool"), lasting=2 * HOUR)))
    life.turn()
    life.world.pass_time(hours=1)
    life.turn()

    assert (life.turn(), life.due_at) == ([], None)
    assert life.turn(message(life, "review_settled", "completed")) == ["review.settled", "run.completed"]


# --- required events ---


def requiring_decision():
    return workflow(
        GateStep(Common("gate", on_failure={"rejected": OnFailure("step", "set")}), policy="sign-off"),
        SetStep(Common("set", requires=("event:gate.settled",)), {"x": "1"}),
    )


def test_an_event_of_this_turn_counts_as_on_record(lives):
    life = lives(requiring_decision())
    life.turn()

    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "value.set", "run.completed"]


def test_a_refusal_is_not_what_a_step_requires(lives):
    life = lives(requiring_decision())
    life.turn()

    events = life.turn(message(life, "gate_settled", "rejected"))
    assert events == ["gate.settled", "step.gave_up", "review.opened"]
    assert life.events[-1][1]["code"] == "requires"


def test_an_event_of_an_earlier_turn_is_looked_up(lives):
    life = lives(workflow(SetStep(Common("set", requires=("event:gate.settled",)), {"x": "1"})))
    life.world.on_record = frozenset({"gate.settled"})

    assert life.turn() == ["value.set", "run.completed"]


# --- resources ---


def claiming(*steps, **claim):
    return replace(workflow(*steps), resource=ResourceClaim("'service/' + input.id", **claim))


GATE = GateStep(Common("gate"), policy="sign-off")


def granted(life):
    return Message(2, "resource_granted", life.state.awaits, "", PERSON, "")


def test_a_free_resource_is_claimed_before_the_first_step(lives):
    life = lives(claiming(GATE))

    assert life.turn() == ["resource.claimed", "gate.opened"]
    assert (life.last.claims, life.state.holds) == ("service/k-1", True)
    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "run.completed"]
    assert not life.state.holds


def test_a_run_whose_resource_is_taken_does_nothing_before_it_is_granted(lives):
    life = lives(claiming(ask()))
    life.world.holders["service/k-1"] = "another"

    assert life.turn() == ["resource.waited"]
    assert (life.state.status, life.last.claims, life.last.call) == ("waiting_resource", "", None)
    assert life.last.queueing.resource == "service/k-1"
    assert life.turn(granted(life)) == ["resource.claimed", "step.started"]


def test_the_limit_of_the_wait_is_a_code_of_its_own(lives):
    life = lives(claiming(GATE, wait=HOUR))
    life.world.holders["service/k-1"] = "another"
    life.turn()
    life.world.pass_time(hours=1)

    assert life.turn() == ["deadline.passed", "review.opened"]
    assert life.events[-1][1]["code"] == "resource_wait"
    assert not life.state.holds


def test_while_running_lets_go_where_people_are_waited_for_and_takes_it_again(lives):
    life = lives(claiming(GATE, SetStep(Common("set"), {"x": "1"}), hold="while_running"))

    assert life.turn() == ["resource.claimed", "gate.opened", "resource.released"]
    assert not life.state.holds
    life.world.holders["service/k-1"] = "another"
    assert life.turn(message(life, "gate_settled", "approved")) == ["gate.settled", "resource.waited"]
    assert life.turn(granted(life)) == ["resource.claimed", "value.set", "run.completed"]


def test_a_resource_without_a_key_is_an_error_and_nothing_is_done(lives):
    life = lives(replace(claiming(ask()), resource=ResourceClaim("input.nowhere")))

    assert life.turn() == ["expression.failed", "review.opened"]
