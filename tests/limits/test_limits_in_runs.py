"""Limits in runs: counted with the intent, once per effect, and every verdict can be made again."""

from __future__ import annotations

import pytest

from aegis.core import canonical, clock
from approvals import gates
from audit.metrics.models import Bucket
from audit.models import Event, Payload
from orchestration.agents.protocol import Abstain
from orchestration.engine import effects, recompute
from orchestration.engine.driver import Driver
from orchestration.engine.effects import EffectRefused, EffectUnknown, effect_handler
from orchestration.engine.guards.models import LimitUse
from tests.engine import house
from tests.guards import desk
from tests.limits.house import UNIT, amounts, documents, outcomes, paying
from tests.support.counted import counted

pytestmark = pytest.mark.django_db(transaction=True)

DAILY = {"amount": {"of": "parameters.amount", "most": 2000, "per": "1d"}}


def run_one(person, number: int = 1):
    run = house.submit(person, {"id": f"n-{number}"})
    house.drive(run)
    return run


def verdicts_of(run) -> list[dict]:
    return [
        canonical.parse(line)["data"]
        for line in Event.objects.filter(stream=run.stream, type="verdict.given").order_by("seq").values_list("line", flat=True)
    ]


def facts_of(run) -> dict:
    return canonical.parse(Payload.objects.filter(stream=run.stream, name="facts").order_by("seq").last().body)


def assert_all_can_be_made_again() -> None:
    report = recompute.recompute()
    assert report.verdicts > 0
    assert [str(one) for one in report.differences] == []


def test_effects_count_until_the_amount_is_used_and_the_next_is_denied(zoe):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(700)

    runs = [run_one(zoe, number) for number in range(3)]

    assert outcomes(*runs) == ["completed", "completed", "waiting_review"]
    assert verdicts_of(runs[2])[-1]["reached"] == ["clerk/note.write: amount"]
    assert list(facts_of(runs[2])["limits"].values()) == [1400 * UNIT]
    assert amounts() == [700 * UNIT] * 2
    assert_all_can_be_made_again()


def test_many_runs_of_one_wave_share_the_amount(zoe):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(900)
    runs = desk.submit_many(zoe, 6)

    house.drive(*runs)

    assert sorted(outcomes(*runs)) == ["completed"] * 2 + ["waiting_review"] * 4
    assert amounts() == [900 * UNIT] * 2
    assert_all_can_be_made_again()


def test_what_is_a_day_old_no_longer_counts(zoe):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(2000)
    assert outcomes(run_one(zoe, 1), run_one(zoe, 2)) == ["completed", "waiting_review"]

    desk.pass_time(days=1, seconds=1)

    assert outcomes(run_one(zoe, 3)) == ["completed"]
    assert_all_can_be_made_again()


def test_beyond_the_limit_a_gate_opens_and_the_approved_effect_counts(zoe, lea):
    house.bootstrap(documents(limits=DAILY, beyond="leads"))
    desk.behind["write"] = paying(1500)

    runs = [run_one(zoe, number) for number in range(2)]

    assert outcomes(*runs) == ["completed", "waiting_decision"]
    assert house.request_of(runs[1]).policy.name == "leads"
    assert amounts() == [1500 * UNIT]

    request = house.request_of(runs[1])
    gates.decide(request.pk, person=lea, auth="test", verdict="approve", reason="yes", seen_digest=request.digest)
    house.drive(runs[1])

    assert outcomes(runs[1]) == ["completed"]
    assert amounts() == [1500 * UNIT] * 2
    assert_all_can_be_made_again()


def test_a_fast_path_does_not_pass_what_is_beyond_a_limit(zoe, lea):
    docs = documents(limits=DAILY, beyond="leads")
    next(doc for doc in docs if doc["kind"] == "ApprovalPolicy")["spec"]["fast_path"] = "true"
    house.bootstrap(docs)
    desk.behind["write"] = paying(2001)

    assert outcomes(run_one(zoe)) == ["waiting_decision"]


def test_outside_its_hours_a_grant_gates_or_denies(zoe):
    never = {"zone": "UTC", "valid_until": "2020-01-01"}
    house.bootstrap(documents(during=never))

    run = run_one(zoe)

    assert verdicts_of(run)[-1]["reached"] == ["clerk/note.write: hours"]
    assert set(facts_of(run)["clock"]) == {"now", "zones"}
    assert_all_can_be_made_again()


def test_a_changed_fact_of_what_was_used_is_found_by_the_verifier(zoe, monkeypatch):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(1500)
    run_one(zoe)
    real = recompute.decide
    monkeypatch.setattr(
        recompute,
        "decide",
        lambda m, p, c, r, facts: real(m, p, c, r, {**facts, "limits": dict.fromkeys(facts["limits"], 600 * UNIT)}),
    )

    found = str(recompute.recompute().differences[0])

    assert "reached is recorded as []" in found


@pytest.fixture
def lea(person):
    """May decide: a lead who started nothing."""
    return person("lea", "Support leads")


@pytest.fixture
def outside(monkeypatch):
    """A handler outside that does what the test says."""
    says: list[Exception | None] = []
    monkeypatch.setattr(effects, "_registry", dict(effects._registry))

    @effect_handler("test.limited_pay")
    def pay(request):
        answer = says.pop(0) if says else None
        if answer is not None:
            raise answer
        return {"paid": True}

    return says


def test_an_effect_that_was_refused_counts_nothing(zoe, outside):
    house.bootstrap(documents("test.limited_pay", limits=DAILY))
    desk.behind["write"] = paying(2000)
    outside.append(EffectRefused("no such account"))

    assert outcomes(run_one(zoe, 1)) == ["waiting_review"]
    assert amounts() == []
    assert outcomes(run_one(zoe, 2)) == ["completed"]
    assert_all_can_be_made_again()


def test_an_effect_of_unknown_outcome_stays_counted(zoe, outside):
    docs = documents("test.limited_pay", limits=DAILY)
    next(doc for doc in docs if doc["kind"] == "Capability")["spec"]["safety"] = "unsafe"
    house.bootstrap(docs)
    desk.behind["write"] = paying(2000)
    outside.append(EffectUnknown("the line broke"))

    assert outcomes(run_one(zoe, 1)) == ["waiting_review"]
    assert amounts() == [2000 * UNIT]
    assert verdicts_of(run_one(zoe, 2))[-1]["answer"] == "deny"


def test_a_worker_that_dies_after_the_intent_counts_the_effect_once(zoe, outside, monkeypatch):
    house.bootstrap(documents("test.limited_pay", limits=DAILY))
    desk.behind["write"] = paying(2000)
    run = house.submit(zoe, {"id": "n-1"})
    with monkeypatch.context() as patch:
        patch.setattr(Driver, "_give_back", lambda self: None)  # killed: nothing is given back
        patch.setattr(Driver, "_start", _dies_at_effects(Driver._start))
        with pytest.raises(KeyboardInterrupt):
            house.drive(run)
    assert amounts() == [2000 * UNIT]
    desk.pass_time(hours=1)

    house.drive(run)

    assert outcomes(run) == ["completed"]
    assert "effect.lost" in house.types_of(run)
    assert amounts() == [2000 * UNIT]
    assert_all_can_be_made_again()


def _dies_at_effects(real):
    def start(self, held, keys):
        if held.state.phase == "acting":
            raise KeyboardInterrupt
        real(self, held, keys)

    return start


def test_tokens_of_replies_are_counted_against_the_budget_of_the_agent(zoe):
    house.bootstrap(documents(limits={"tokens": {"most": 150, "per": "1d"}}))
    desk.behind["write"] = paying(1, usage={"input_tokens": 60, "output_tokens": 20})

    runs = [run_one(zoe, number) for number in range(2)]

    assert outcomes(*runs) == ["completed", "waiting_review"]
    assert verdicts_of(runs[1])[-1]["reached"] == ["clerk/note.write: tokens"]
    assert sorted(LimitUse.objects.values_list("amount", flat=True)) == [80, 80]
    assert_all_can_be_made_again()


def test_without_a_budget_no_usage_is_kept(zoe):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(1, usage={"tokens": 60})

    run_one(zoe)

    assert not LimitUse.objects.filter(counter__startswith="limit:tokens").exists()


def test_what_a_reply_used_is_counted_with_or_without_a_budget_and_outlives_its_payload(zoe):
    house.bootstrap(documents(limits=DAILY))
    desk.behind["write"] = paying(1, usage={"input_tokens": 60, "output_tokens": 20, "cost": 3})
    run_one(zoe)
    Payload.objects.filter(name="about").update(body="", salt="", erased_at=clock.now())

    counted()

    summed = Bucket.objects.filter(series__metric__in=("tokens", "cost")).values_list("series__metric", "count", "total")
    assert sorted(summed) == [("cost", 1, 3), ("tokens", 1, 80)]
    runs = Bucket.objects.filter(series__metric="runs").values_list("series__a", "count")
    assert list(runs) == [("completed", 1)]


def test_what_an_agent_used_to_find_out_that_it_does_not_know_counts_too(zoe):
    house.bootstrap(documents(limits={"tokens": {"most": 150, "per": "1d"}}))
    used = {"input_tokens": 60, "output_tokens": 20, "cost": 3}
    desk.behind["write"] = lambda _: Abstain("no idea", usage=used, model="m")
    runs = [run_one(zoe, 1), run_one(zoe, 2)]
    desk.behind["write"] = paying(1)
    denied = run_one(zoe, 3)
    counted()

    assert outcomes(*runs) == ["waiting_review"] * 2
    assert verdicts_of(denied)[-1]["reached"] == ["clerk/note.write: tokens"]
    assert {use.amount for use in LimitUse.objects.filter(counter__startswith="limit:tokens")} == {80}
    summed = Bucket.objects.filter(series__metric__in=("tokens", "cost")).values_list("series__metric", "count", "total")
    assert sorted(summed) == [("cost", 2, 6), ("tokens", 2, 160)]
    about = Payload.objects.get(stream=runs[0].stream, name="about")
    assert canonical.parse(about.body) == {"usage": used, "model": "m"}
    assert_all_can_be_made_again()
