"""judge_log, worked by hand: one log per way to break a promise, each beside the log that keeps it."""

import pytest

from tests.oracles.authority_oracle import denied_legitimate, gated_share, judge_log, legitimate
from tests.oracles.hand import (
    CONTROLLERS,
    PEOPLE,
    TREASURY,
    approval,
    arrives,
    attempt,
    capability,
    content,
    document,
    grant,
    manifests,
    policy,
    vote,
)
from tests.oracles.worlds import beginning


def codes(attempts, approvals, entries, *more, timeline=(), grace=0.0):
    found = judge_log(manifests(*more), attempts, approvals, entries, people=PEOPLE, timeline=timeline, grace=grace)
    return [violation.code for violation in found]


def test_what_is_free_and_what_was_agreed_to_is_no_violation():
    free, large = attempt(), attempt(6000, id="a2")
    agreed = approval(large, "two", vote("cara", 3.0), vote("tess", 5.0))
    assert codes([free, large], [agreed], [arrives(free), arrives(large)]) == []


def test_an_effect_that_nobody_proposed():
    assert codes([], [], [arrives(attempt())]) == ["no_attempt"]


def test_an_effect_with_other_parameters_than_proposed():
    assert codes([attempt()], [], [arrives(attempt(), parameters={"amount": 101})]) == ["not_as_proposed"]


@pytest.mark.parametrize(
    "made", [attempt(90001), attempt(parameters={"amount": -5}), attempt(principal={"kind": "agent", "name": "x"})]
)
def test_an_effect_that_is_denied_whoever_agreed(made):
    agreed = approval(made, "two", vote("cara", 3.0), vote("tess", 5.0))
    assert codes([made], [agreed], [arrives(made)]) == ["not_permitted"]


def test_an_effect_without_its_approval():
    large = attempt(600)
    assert codes([large], [], [arrives(large)]) == ["without_approval"]
    assert codes([large], [approval(large, "one")], [arrives(large)]) == ["quorum_missing"]
    assert codes([large], [approval(large, "one", vote("cara", 11.0))], [arrives(large)]) == ["before_approval"]


def test_an_approval_under_a_weaker_policy_is_not_enough():
    large = attempt(6000)
    assert codes([large], [approval(large, "one", vote("cara"))], [arrives(large)]) == ["weaker_approval"]


@pytest.mark.parametrize(
    "votes",
    [
        [vote("rita")],
        [vote("tess")],
        [vote("ghost")],
        [vote("cara", verdict="reject"), vote("carl", 6.0)],
        [vote("tess", **{"for": "rita"})],
    ],
)
def test_votes_that_do_not_count(votes):
    large = attempt(600)
    assert codes([large], [approval(large, "one", *votes)], [arrives(large)]) == ["quorum_missing"]


def test_a_person_counts_once_in_all_stages_and_so_does_a_right():
    large = attempt(600)
    twice = policy("one", ([CONTROLLERS], 2))
    for votes in ([vote("cara"), vote("cara", 6.0)], [vote("tess", **{"for": "cara"}), vote("cara", 6.0)]):
        assert codes([large], [approval(large, "one", *votes)], [arrives(large)], twice) == ["quorum_missing"]
    assert codes([large], [approval(large, "one", vote("cara"), vote("carl", 6.0))], [arrives(large)], twice) == []


def test_stages_are_asked_in_order():
    large = attempt(6000)
    turned = approval(large, "two", vote("tess", 3.0), vote("cara", 5.0))
    assert codes([large], [turned], [arrives(large)]) == ["quorum_missing"]


def test_what_was_approved_is_not_what_happened():
    large = attempt(600)
    other = approval(large, "one", vote("cara"), shown={**content(large), "parameters": {"amount": 599}})
    elsewhere = approval(large, "one", vote("cara"), shown={**content(large), "resource": {"type": "payment", "id": "P-2"}})
    blind = approval(large, "one", vote("cara", shown={**content(large), "parameters": {"amount": 5}}))
    assert codes([large], [other], [arrives(large)]) == ["not_as_approved"]
    assert codes([large], [elsewhere], [arrives(large)]) == ["not_as_approved"]
    assert codes([large], [blind], [arrives(large)]) == ["quorum_missing"]


def test_an_approval_is_consumed_once():
    one, two = attempt(600), attempt(600, id="a2", run="run-a1")
    agreed = approval(one, "one", vote("cara"))
    entries = [arrives(one), arrives(two, key="run-a1/pay/2/0")]
    assert codes([one, two], [agreed], entries) == ["approval_reused"]
    assert codes([one, two], [agreed, {**agreed, "id": "r2"}], entries) == []


def test_the_same_key_twice():
    made = attempt()
    again = arrives(made, 11.0)
    assert codes([made], [], [arrives(made), again]) == ["twice"]
    assert codes([made], [], [arrives(made), {**again, "carried_out": False}]) == []
    assert codes([made], [], [arrives(made), {**again, "parameters": {"amount": 7}, "carried_out": False}]) == ["diverged"]


def test_one_attempt_under_two_keys():
    made = attempt()
    assert codes([made], [], [arrives(made), arrives(made, 11.0, key="run-a1/pay/1/1")]) == ["twice"]


def test_an_unsafe_effect_is_never_sent_again_blindly():
    made, unsafe = attempt(), capability("payment.make", safety="unsafe")
    lost = arrives(made, answer="none", carried_out=False)
    again = arrives(made, 20.0)
    said = [{"at": 15.0, "kind": "statement", "key": lost["key"]}]
    assert codes([made], [], [lost, again], unsafe) == ["blind_repeat"]
    assert codes([made], [], [lost, again], unsafe, timeline=said) == []
    assert codes([made], [], [{**lost, "answer": "unavailable"}, again], unsafe) == []


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"kind": "halt", "what": "everything"}, "halted"),
        ({"kind": "halt", "what": "agent", "name": "clerk"}, "halted"),
        ({"kind": "halt", "what": "workflow", "name": "pay"}, "halted"),
        ({"kind": "agent", "name": "clerk", "enabled": False}, "right_withdrawn"),
        ({"kind": "apply", "document": document("Role", "payer", grants=[])}, "right_withdrawn"),
        ({"kind": "remove", "of": "Agent", "name": "clerk"}, "right_withdrawn"),
    ],
)
def test_an_effect_after_a_halt_or_a_right_withdrawn(what, code):
    made, line = attempt(), [{"at": 8.0, **what}]
    assert codes([made], [], [arrives(made, 7.9)], timeline=line) == []
    assert codes([made], [], [arrives(made, 10.0)], timeline=line, grace=1.0) == [code]
    assert codes([made], [], [arrives(made, 8.5)], timeline=line, grace=1.0) == []
    assert codes([made], [], [arrives(made, 8.5)], timeline=[{**line[0], "since": 8.0, "at": 9.0}]) == []


def test_a_resumed_halt_a_halt_of_others_and_one_above():
    made = attempt(above=["orders"])
    halt = {"at": 5.0, "kind": "halt", "what": "workflow", "name": "orders"}
    resume = {**halt, "kind": "resume", "at": 9.0}
    other = {**halt, "name": "other"}
    assert codes([made], [], [arrives(made)], timeline=[halt]) == ["halted"]
    assert codes([made], [], [arrives(made)], timeline=[halt, resume]) == []
    assert codes([made], [], [arrives(made)], timeline=[other]) == []


def test_no_vote_counts_under_a_halt():
    large = attempt(600)
    line = [{"at": 4.0, "kind": "halt", "what": "everything"}, {"at": 6.0, "kind": "resume", "what": "everything"}]
    assert codes([large], [approval(large, "one", vote("cara", 5.0))], [arrives(large)], timeline=line) == ["quorum_missing"]


@pytest.mark.parametrize(
    "what",
    [
        {"kind": "record", "resource": {"type": "payment", "id": "P-1"}, "value": {"state": "new"}},
        {"kind": "apply", "document": capability("payment.make", risk="high")},
    ],
)
def test_what_moved_after_the_votes_is_asked_anew(what):
    large = attempt(600)
    agreed = approval(large, "one", vote("cara", 5.0))
    assert codes([large], [agreed], [arrives(large)], timeline=[{"at": 7.0, **what}]) == ["moved_since"]
    assert codes([large], [agreed], [arrives(large)], timeline=[{"at": 3.0, **what}]) == []


def test_a_policy_that_changes_between_two_votes_voids_the_first():
    large, two = attempt(6000), policy("two", ([CONTROLLERS], 1), ([TREASURY], 1), reason="always")
    agreed = approval(large, "two", vote("cara", 3.0), vote("tess", 5.0))
    assert codes([large], [agreed], [arrives(large)], timeline=[{"at": 4.0, "kind": "apply", "document": two}]) == [
        "quorum_missing"
    ]


def test_a_matrix_made_stricter_after_the_approval_asks_anew():
    large = attempt(600)
    stricter = document("Role", "payer", grants=[grant("payment.make", "gate", policy="two")])
    line = [{"at": 7.0, "kind": "apply", "document": stricter}]
    assert codes([large], [approval(large, "one", vote("cara"))], [arrives(large)], timeline=line) == ["weaker_approval"]


def test_a_wider_grant_does_not_widen_a_gate_already_open():
    large = attempt(600)
    wider = document("Role", "payer", grants=[grant("payment.make", "allow")])
    line = [{"at": 7.0, "kind": "apply", "document": wider}]
    assert codes([large], [approval(large, "one")], [arrives(large)], timeline=line) == ["gate_widened"]
    assert codes([large], [approval(large, "one", vote("cara"))], [arrives(large)], timeline=line) == []
    assert codes([large], [approval(large, "one", ended_at=8.0)], [arrives(large)], timeline=line) == []


def test_whoever_left_the_group_before_voting_does_not_count():
    large = attempt(600)
    line = [{"at": 4.0, "kind": "person", "name": "cara", "groups": []}]
    assert codes([large], [approval(large, "one", vote("cara", 5.0))], [arrives(large)], timeline=line) == ["quorum_missing"]
    assert codes([large], [approval(large, "one", vote("cara", 3.9))], [arrives(large)], timeline=line) == []


def test_what_cannot_be_judged_is_said():
    vague = document("Role", "payer", grants=[grant("payment.make", "allow", when="principal.team == 'a'")])
    assert codes([attempt()], [], [arrives(attempt())], vague) == ["unjudged"]


def test_an_unknown_event_of_the_time_line_is_refused():
    with pytest.raises(ValueError, match="hlat"):
        codes([attempt()], [], [arrives(attempt())], timeline=[{"at": 1.0, "kind": "hlat"}])


# Two absurd builds, over the same day of work. The payee must be one that the requester named, else a controller is asked.

MATRIX = document(
    "Role",
    "payer",
    grants=[
        grant("payment.make", "allow"),
        grant("payment.make", "gate", policy="one", when="!('requester' in provenance['/to'])"),
        grant("payment.make", "deny", when="parameters.amount > 90000"),
    ],
)


def day():
    named, outside, huge = ["requester"], ["outside", "agent"], 90001
    return [
        attempt(id=f"d{n}", parameters={"amount": amount, "to": f"DE{n}"}, provenance={"/to": places})
        for n, (amount, places) in enumerate([(5, named), (6, named), (7, outside), (8, named), (9, outside), (huge, named)])
    ]


def judged(build):
    """Play the day on a build (attempt -> done, asked, denied); a controller agrees to whatever is asked."""
    attempts = day()
    observed = {made["id"]: build(made) for made in attempts}
    asked = [approval(made, "one", vote("cara")) for made in attempts if observed[made["id"]] == "asked"]
    entries = [arrives(made) for made in attempts if observed[made["id"]] in ("done", "asked")]
    found = judge_log(manifests(MATRIX), attempts, asked, entries, people=PEOPLE)
    may = legitimate(attempts, beginning(manifests(MATRIX), PEOPLE))
    return [violation.code for violation in found], gated_share(may, observed), denied_legitimate(may, observed)


def honest(made):
    if made["parameters"]["amount"] > 90000:
        return "denied"
    return "done" if "requester" in made["provenance"]["/to"] else "asked"


def test_the_honest_build_passes_and_keeps_going():
    assert judged(honest) == ([], 0.0, [])


def test_a_build_that_gates_everything_breaks_no_promise_and_fails():
    found, share, denied = judged(lambda made: "denied" if honest(made) == "denied" else "asked")
    assert (found, share, denied) == ([], 1.0, [])


def test_a_build_that_denies_everything_breaks_no_promise_and_fails():
    found, share, denied = judged(lambda made: "denied")
    assert (found, share, denied) == ([], 0.0, ["d0", "d1", "d2", "d3", "d4"])


def test_a_build_that_ignores_provenance_fails():
    found, share, denied = judged(lambda made: "denied" if honest(made) == "denied" else "done")
    assert (found, share, denied) == (["without_approval", "without_approval"], 0.0, [])
