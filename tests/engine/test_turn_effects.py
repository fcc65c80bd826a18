"""The pure core, move by move: verdicts, gates and effects of an `act` step."""

from __future__ import annotations

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine import moves
from orchestration.engine.moves import EffectAnswered, Taken
from tests.engine.turns import ACT, PROPOSAL, drafted, message, workflow, world_with
from tests.engine.world import Life, policy


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

    turn.take(scene, [moves.Replied(call.step, call.visit, call.attempt, Done({"reply": PROPOSAL}), 1)])

    types = [draft.type for draft in scene.drafts]
    assert types == ["step.completed", "verdict.given", "effect.conflicted", "verdict.given", "effect.done", "run.completed"]
