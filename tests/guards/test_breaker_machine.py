"""The breaker as a pure machine: what holds after any sequence of answers, askings and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.authority.limits import BreakerSettings
from orchestration.engine.guards import breakers
from orchestration.engine.guards.breakers import PRISTINE, Breaker, Failure

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SETTINGS = BreakerSettings(failures=3, within=timedelta(minutes=1), cooldown=timedelta(seconds=30), cap=timedelta(minutes=5))
RUNS = st.sampled_from(["one", "two", "three"])


def failed(breaker: Breaker, at: datetime, run: str = "one", settings: BreakerSettings = SETTINGS) -> Breaker:
    return breakers.fail(breaker, run, Failure(f"run:{run}/2", "timeout", at), settings, 0.0)


def opened(at: datetime = START) -> Breaker:
    breaker = PRISTINE
    for _ in range(SETTINGS.failures):
        breaker = failed(breaker, at)
    return breaker


def test_it_opens_at_the_threshold_and_names_the_failures_that_led_to_it():
    two = failed(failed(PRISTINE, START), START)

    third = failed(two, START + timedelta(seconds=59))

    assert two.phase == "closed"
    assert third.phase == "open"
    assert len(third.failures) == 3
    assert third.until == START + timedelta(seconds=59 + 30)


def test_failures_that_are_older_than_the_window_do_not_count():
    two = failed(failed(PRISTINE, START), START)

    assert failed(two, START + timedelta(minutes=1)).phase == "closed"


def test_a_success_between_them_makes_them_no_row():
    two = failed(failed(PRISTINE, START), START)

    assert breakers.succeed(two, "one").is_pristine


def test_only_one_run_probes_and_only_after_the_cooldown():
    breaker = opened()
    early, late = START + timedelta(seconds=29), START + timedelta(seconds=30)

    assert breakers.take_probe(breaker, "one", early, 60) is None
    probing = breakers.take_probe(breaker, "one", late, 60)
    assert probing is not None
    assert breakers.ask(probing, "two", late) == "wait"
    assert breakers.take_probe(probing, "two", late, 60) is None
    assert breakers.ask(probing, "one", late) == "probe"  # its worker died, it comes again


def test_a_silent_probe_does_not_wedge_it():
    probing = breakers.take_probe(opened(), "one", START + timedelta(seconds=30), 60)
    assert probing is not None

    assert breakers.ask(probing, "two", START + timedelta(seconds=89)) == "wait"
    assert breakers.ask(probing, "two", START + timedelta(seconds=90)) == "probe"


def test_the_probe_closes_it_or_opens_it_for_longer():
    probing = breakers.take_probe(opened(), "one", START + timedelta(seconds=30), 60)
    assert probing is not None
    at = START + timedelta(seconds=31)

    assert breakers.succeed(probing, "one").is_pristine
    again = failed(probing, at)
    assert again.until == at + timedelta(seconds=60)
    assert again.openings == 2


def test_answers_of_calls_that_were_under_way_when_it_opened_change_nothing():
    breaker = opened()
    probing = breakers.take_probe(breaker, "one", START + timedelta(seconds=30), 60)
    assert probing is not None

    for standing in (breaker, probing):
        assert breakers.succeed(standing, "two") == standing
        assert failed(standing, START, run="two") == standing


def test_opened_by_hand_nobody_probes_however_long_it_takes():
    breaker = breakers.open_by_hand(PRISTINE)

    assert breakers.ask(breaker, "one", START + timedelta(days=900)) == "wait"


@given(st.integers(1, 1_000), st.floats(0, 0.999))
def test_the_cooldown_grows_to_its_cap_and_jitter_only_makes_it_longer(openings: int, roll: float):
    plain = breakers.cooldown(openings, SETTINGS, 0.0)

    assert plain <= breakers.cooldown(openings + 1, SETTINGS, 0.0) <= SETTINGS.cap
    assert plain <= breakers.cooldown(openings, SETTINGS, roll) <= plain * 1.2 + timedelta(milliseconds=1)


@given(st.lists(st.tuples(RUNS, st.sampled_from(["timeout", "agent_error"])), max_size=5))
def test_failures_read_back_as_they_were_written(found: list[tuple[str, str]]):
    failures = tuple(Failure(f"run:{run}/7", code, START) for run, code in found)

    assert breakers.load(breakers.dump(failures)) == failures


class Life(RuleBasedStateMachine):
    """Any interleaving of three runs, answers early and late, people, and time."""

    @initialize()
    def begin(self) -> None:
        self.breaker, self.now = PRISTINE, START
        self.calling: set[str] = set()

    @rule(seconds=st.integers(0, 400))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(run=RUNS)
    def begin_call(self, run: str) -> None:
        if run in self.calling:
            return
        answer = breakers.ask(self.breaker, run, self.now)
        if answer == "wait":
            return
        if answer == "probe":
            taken = breakers.take_probe(self.breaker, run, self.now, 60)
            assert taken is not None
            self.breaker = taken
        self.calling.add(run)

    @precondition(lambda self: self.calling)
    @rule(data=st.data(), is_good=st.booleans())
    def answer(self, data: st.DataObject, is_good: bool) -> None:
        run = data.draw(st.sampled_from(sorted(self.calling)))
        self.calling.discard(run)
        before = self.breaker
        self.breaker = breakers.succeed(before, run) if is_good else failed(before, self.now, run)
        if before.phase == "open":
            assert self.breaker == before
        if before.phase == "half_open" and before.probe == run:
            assert self.breaker.phase == ("closed" if is_good else "open")

    @rule()
    def open_by_hand(self) -> None:
        self.breaker = breakers.open_by_hand(self.breaker)

    @rule()
    def close_by_hand(self) -> None:
        self.breaker = PRISTINE

    @invariant()
    def at_most_one_run_would_probe_while_one_does(self) -> None:
        if self.breaker.phase == "half_open" and self.breaker.probe_until and self.breaker.probe_until > self.now:
            others = {"one", "two", "three"} - {self.breaker.probe}
            assert {breakers.ask(self.breaker, run, self.now) for run in others} == {"wait"}

    @invariant()
    def its_fields_fit_its_phase(self) -> None:
        match self.breaker.phase:
            case "closed":
                assert self.breaker.until is None
                assert not self.breaker.probe
                assert len(self.breaker.failures) < SETTINGS.failures
            case "open":
                assert not self.breaker.probe
            case "half_open":
                assert self.breaker.probe
                assert self.breaker.until is None

    @invariant()
    def it_is_never_wedged(self) -> None:
        by_hand = self.breaker.phase == "open" and self.breaker.until is None
        if not by_hand:
            assert breakers.ask(self.breaker, "four", self.now + timedelta(hours=1)) != "wait"


TestLife = Life.TestCase
