"""What each kind of rule says of one window, and what it keeps quiet about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from audit.alerts import evaluation, robust
from audit.alerts.evaluation import Cell, History, evaluate
from audit.alerts.rules import Absence, Anomaly, Condition, Count, Figure, NewValue, Percentile, Rule, Share, Threshold
from audit.metrics import slots

WEEK = 168
NOW = 4 * WEEK + 10
ANSWERS = Figure("answers")
FAILED = Share(Figure("answers", ("bot", "failed")), Figure("answers", ("bot",)))


def cell(hour: int, count: int, *, answer: str = "done", agent: str = "bot", ms: int | None = None) -> Cell:
    return Cell("answers", (agent, answer), hour, slots.NONE if ms is None else slots.slot_of(ms), count)


def steady(count: int, *, ms: int | None = None, upto: int = NOW) -> list[Cell]:
    """The same in every hour before `upto`."""
    return [cell(hour, count, ms=ms) for hour in range(upto)]


def fires(condition: Condition, cells: list[Cell], *, by: tuple[int, ...] = (), hours: int = 1, start: int = NOW) -> bool:
    return bool(evaluate(Rule("rule", condition, hours, by), History(cells), start))


def test_a_threshold_fires_beyond_its_border_and_not_on_it() -> None:
    above = Threshold(Count(ANSWERS), above=5)

    assert fires(above, [cell(NOW, 6)])
    assert not fires(above, [cell(NOW, 5)])


def test_a_count_of_nothing_is_below_a_border_once_anything_was_counted() -> None:
    below = Threshold(Count(ANSWERS), below=1)

    assert fires(below, steady(3))
    assert not fires(below, [])
    assert not fires(below, [cell(NOW + 5, 3)])


def test_a_ratio_needs_the_events_it_rests_on() -> None:
    half = Threshold(FAILED, above=0.5, least=4)

    assert fires(half, [cell(NOW, 3, answer="failed"), cell(NOW, 1)])
    assert not fires(half, [cell(NOW, 2, answer="failed"), cell(NOW, 1)])
    assert not fires(half, [cell(NOW, 2, answer="failed"), cell(NOW, 2)])


def test_a_window_of_hours_is_judged_as_one() -> None:
    above = Threshold(Count(ANSWERS), above=5)
    start = NOW - NOW % 4

    assert fires(above, [cell(start + 3, 3), cell(start, 3)], hours=4, start=start)
    assert not fires(above, [cell(start + 4, 3), cell(start, 3)], hours=4, start=start)


def test_what_was_measured_of_a_group_in_a_window_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window is a past one of fifteen others: a rule that catches up would measure the same again and again."""
    measured: Counter[tuple[int, int]] = Counter()
    real = evaluation._Watched._measure

    def counting(one: Any, start: int, hours: int) -> Any:
        measured[id(one.whole), start] += 1
        return real(one, start, hours)

    monkeypatch.setattr(evaluation._Watched, "_measure", counting)
    history = History([*steady(20), *(cell(hour, 20, agent="other") for hour in range(NOW))])
    rule = Rule("rule", Anomaly(Count(ANSWERS), weeks=3), by=(0,))

    for start in range(NOW - 48, NOW):
        evaluate(rule, history, start)

    assert set(measured.values()) == {1}
    assert len(measured) == 2 * (48 + 3 * 52)


def test_no_window_begins_inside_another() -> None:
    with pytest.raises(ValueError, match="do not begin"):
        evaluate(Rule("rule", Threshold(Count(ANSWERS), above=1), 4), History(), 6)


def test_an_anomaly_is_told_with_what_is_usual() -> None:
    found = evaluate(Rule("rule", Anomaly(Count(ANSWERS))), History([*steady(20), cell(NOW, 60)]), NOW)

    assert [(one.value, one.rests_on) for one in found] == [(60, 60)]
    assert found[0].usual == robust.Usual(center=20, spread=robust.count_noise(20), samples=20)


def test_an_anomaly_says_nothing_while_the_past_is_short() -> None:
    young = [one for one in steady(20) if one.hour >= NOW - WEEK - 2]

    assert not fires(Anomaly(Count(ANSWERS)), [*young, cell(NOW, 500)])
    assert fires(Anomaly(Count(ANSWERS), samples=5), [*young, cell(NOW, 500)])


def test_an_anomaly_goes_the_way_it_is_told() -> None:
    rise, fall = [*steady(40), cell(NOW, 200)], [*steady(40), cell(NOW, 2)]

    assert fires(Anomaly(Count(ANSWERS), "up"), rise)
    assert not fires(Anomaly(Count(ANSWERS), "down"), rise)
    assert fires(Anomaly(Count(ANSWERS), "down"), fall)
    assert not fires(Anomaly(Count(ANSWERS), "up"), fall)


def test_one_slow_answer_at_night_is_no_anomaly() -> None:
    quiet = [*steady(1, ms=1_800), cell(NOW, 1, ms=30_000)]

    assert not fires(Anomaly(Percentile(ANSWERS, 0.5)), quiet)
    assert fires(Anomaly(Percentile(ANSWERS, 0.5), least=1), quiet)


def test_one_slow_answer_in_a_busy_hour_of_past_weeks_is_no_anomaly() -> None:
    alone = [*steady(30, ms=1_800), cell(NOW, 1, ms=30_000)]

    assert not fires(Anomaly(Percentile(ANSWERS, 0.5)), alone)
    assert fires(Anomaly(Percentile(ANSWERS, 0.5)), [*steady(30, ms=1_800), cell(NOW, 10, ms=30_000)])


def test_a_few_where_there_are_usually_none_are_no_anomaly() -> None:
    other = [cell(0, 1), *(cell(hour, 0) for hour in range(NOW))]

    assert not fires(Anomaly(Count(ANSWERS), "up"), [*other, cell(NOW, 9)])
    assert fires(Anomaly(Count(ANSWERS), "up"), [*other, cell(NOW, 10)])


def test_last_weeks_incident_does_not_hide_this_one() -> None:
    incident = [cell(hour, 40, answer="failed") for hour in (NOW - WEEK - 1, NOW - WEEK, NOW - WEEK + 1, NOW)]

    found = evaluate(Rule("rule", Anomaly(FAILED)), History([*steady(40), cell(NOW, 40), *incident]), NOW)

    assert [one.usual.center for one in found if one.usual] == [0]


def test_silence_is_an_alarm_only_where_there_is_usually_something() -> None:
    assert fires(Absence(ANSWERS), steady(12), by=(0,))
    assert not fires(Absence(ANSWERS), steady(9), by=(0,))
    assert not fires(Absence(ANSWERS), [*steady(12), cell(NOW, 1)], by=(0,))


def test_silence_is_told_of_the_one_who_is_silent() -> None:
    others = [cell(hour, 12, agent="other") for hour in range(NOW + 1)]

    found = evaluate(Rule("rule", Absence(ANSWERS), by=(0,)), History([*steady(12), *others]), NOW)

    assert [one.group for one in found] == [("bot",)]


def test_a_new_value_is_told_once_and_not_while_everything_is_new() -> None:
    new = [*steady(2), cell(NOW, 1, agent="stranger")]

    assert fires(NewValue(ANSWERS), new, by=(0,))
    assert not fires(NewValue(ANSWERS), [*new, cell(NOW + 1, 1, agent="stranger")], by=(0,), start=NOW + 1)
    assert not fires(NewValue(ANSWERS), [cell(NOW - 5, 1), cell(NOW, 1, agent="stranger")], by=(0,))


def test_hurried_answers_are_counted_by_their_amount() -> None:
    hurried = Threshold(Share(Figure("answers", within=10_000), ANSWERS), above=0.5)

    assert fires(hurried, [cell(NOW, 6, ms=3_000), cell(NOW, 4, ms=90_000), cell(NOW, 1)])
    assert not fires(hurried, [cell(NOW, 6, ms=90_000), cell(NOW, 4, ms=3_000)])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Threshold(Count(ANSWERS)),
        lambda: Threshold(Count(ANSWERS), above=1, below=2),
        lambda: Anomaly(Count(ANSWERS), weeks=0),
        lambda: Rule("rule", Absence(ANSWERS), hours=5),
        lambda: Rule("rule", NewValue(ANSWERS)),
    ],
)
def test_a_rule_that_makes_no_sense_is_not_made(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        wrong()


RULES = (
    Rule("count", Threshold(Count(ANSWERS), above=3), by=(0,)),
    Rule("ratio", Threshold(FAILED, above=0.3)),
    Rule("unlike", Anomaly(Count(ANSWERS), factor=1.0, samples=3, least=1), by=(0,)),
    Rule("silent", Absence(ANSWERS, least=1, samples=3), by=(0,)),
    Rule("new", NewValue(ANSWERS), by=(0,)),
)
CELLS = some.lists(
    some.builds(
        cell,
        some.integers(0, 60).map(lambda step: NOW - 3 * WEEK + step * WEEK // 20),
        some.integers(0, 30),
        answer=some.sampled_from(("done", "failed")),
        agent=some.sampled_from(("a", "b", "c")),
        ms=some.none() | some.integers(0, 10_000),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(cells=CELLS, seed=some.integers(0, 9))
def test_the_order_of_counting_changes_nothing(cells: list[Cell], seed: int) -> None:
    shuffled = cells.copy()
    Random(seed).shuffle(shuffled)

    assert [evaluate(rule, History(shuffled), NOW) for rule in RULES] == [evaluate(rule, History(cells), NOW) for rule in RULES]


@settings(max_examples=60)
@given(cells=CELLS, later=CELLS)
def test_what_is_counted_later_changes_nothing_of_a_closed_window(cells: list[Cell], later: list[Cell]) -> None:
    after = [Cell(one.metric, one.values, one.hour + 4 * WEEK, one.slot, one.count) for one in later]

    assert [evaluate(rule, History([*cells, *after]), NOW) for rule in RULES] == [
        evaluate(rule, History(cells), NOW) for rule in RULES
    ]


@given(past=some.lists(some.integers(0, 1_000).map(float), min_size=3, max_size=20), odd=some.floats(1e6, 1e9))
def test_one_odd_value_of_the_past_leaves_the_usual_among_the_others(past: list[float], odd: float) -> None:
    center, spread = robust.center_and_spread([*past, odd])

    assert min(past) <= center <= max(past)
    assert spread <= robust.SCALE * (max(past) - min(past))


def test_a_group_that_begins_within_a_window_can_be_too_much_in_it_and_not_too_little() -> None:
    begun = History([Cell("runs", ("late",), 3, slots.NONE, 9)])
    measured = Count(Figure("runs"))

    assert [one.group for one in evaluate(Rule("r", Threshold(measured, above=5), 6, (0,)), begun, 0)] == [("late",)]
    assert evaluate(Rule("r", Threshold(measured, below=50), 6, (0,)), begun, 0) == []
    assert evaluate(Rule("r", Threshold(measured, above=5), 1, (0,)), begun, 2) == []
