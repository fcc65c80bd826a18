"""A record moves by compare-and-set, once per effect key, and every version stays readable."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from aegis.core import canonical, clock
from orchestration.records import store
from orchestration.records.models import RecordVersion

pytestmark = pytest.mark.django_db


def apply(body: object, *, expected: int, effect: str, key: str = "T-1") -> bool:
    return store.compare_and_set(
        "ticket",
        key,
        expected_version=expected,
        body=canonical.dump(body),
        effect_key=effect,
        run_id=uuid.uuid4(),
        at=clock.now(),
    )


def versions() -> dict[str, tuple[int, str]]:
    """Effect key -> the version it made, and its body."""
    return {key: (number, body) for key, number, body in RecordVersion.objects.values_list("effect_key", "version", "body")}


def test_a_record_is_created_at_version_one_and_every_effect_makes_the_next():
    assert store.read("ticket", "T-1") is None

    assert apply({"a": 1}, expected=0, effect="run/a/1/0")
    assert apply({"a": 2}, expected=1, effect="run/b/1/0")

    assert store.read("ticket", "T-1") == (2, {"a": 2})
    assert versions() == {"run/a/1/0": (1, '{"a":1}'), "run/b/1/0": (2, '{"a":2}')}


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_the_loser_of_a_race_writes_nothing_and_is_told(expected: int):
    apply({"a": 1}, expected=0, effect="1")
    apply({"a": 2}, expected=1, effect="2")

    assert apply({"a": 9}, expected=expected, effect="3") is False

    assert store.read("ticket", "T-1") == (2, {"a": 2})
    assert RecordVersion.objects.count() == 2


def change(key: str, body: object, *, expected: int, effect: str) -> store.Change:
    return store.Change("ticket", key, expected, canonical.dump(body), effect, uuid.uuid4(), clock.now())


def test_many_records_move_together():
    apply({"a": 1}, expected=0, effect="1")

    assert store.compare_and_set_all(
        [
            change("T-1", {"a": 3}, expected=2, effect="4"),
            change("T-3", {"c": 1}, expected=0, effect="2"),
            change("T-1", {"a": 2}, expected=1, effect="3"),
            change("T-2", {"b": 1}, expected=0, effect="5"),
        ]
    )

    assert [store.read("ticket", key) for key in ("T-1", "T-2", "T-3")] == [(3, {"a": 3}), (1, {"b": 1}), (1, {"c": 1})]
    made = versions()
    assert [made[effect][0] for effect in "12345"] == [1, 1, 2, 3, 1]
    assert made["3"] == (2, '{"a":2}')


@pytest.mark.parametrize("late", ["T-1", "T-2"])
def test_one_lost_race_among_many_is_told(late: str):
    apply({"a": 1}, expected=0, effect="1", key="T-1")
    expected = {"T-1": 0, "T-2": 7}[late]

    assert not store.compare_and_set_all(
        [change("T-9", {}, expected=0, effect="2"), change(late, {"a": 2}, expected=expected, effect="3")]
    )


def test_changing_what_does_not_exist_is_a_lost_race():
    assert apply({"a": 1}, expected=4, effect="1") is False
    assert store.read("ticket", "T-1") is None


def test_an_effect_key_makes_one_version_ever():
    apply({"a": 1}, expected=0, effect="1")

    with pytest.raises(IntegrityError), transaction.atomic():
        apply({"a": 2}, expected=1, effect="1")

    assert store.read("ticket", "T-1") == (1, {"a": 1})


def test_records_of_one_key_and_two_types_are_two():
    apply({"a": 1}, expected=0, effect="1")

    assert store.read("invoice", "T-1") is None


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_written():
    with pytest.raises(transaction.TransactionManagementError):
        apply({"a": 1}, expected=0, effect="1")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expected", [0, 1])
def test_of_two_writers_at_once_one_wins(expected: int):
    with transaction.atomic():
        if expected:
            apply({"n": 0}, expected=0, effect="first")

    for round_ in range(20):
        start = Barrier(2)
        key = "T-1" if expected else f"T-{round_}"

        def write(who: int, round_: int = round_, start: Barrier = start, key: str = key) -> bool:
            try:
                start.wait(timeout=10)
                with transaction.atomic():
                    return apply({"n": who}, expected=expected + round_ if expected else 0, effect=f"{round_}/{who}", key=key)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(write, (1, 2)))

        assert sorted(won) == [False, True]
        assert store.read("ticket", key) == (expected + round_ + 1 if expected else 1, {"n": 1 if won[0] else 2})
