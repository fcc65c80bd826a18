"""Nonsense in the limits is refused at start-up, by name."""

from __future__ import annotations

import pytest

from aegis import settings as product
from orchestration import checks


def ids(found: list) -> list[str]:
    return [message.id for message in found]


def test_the_limits_as_delivered_are_good():
    assert checks.limits_make_sense() == []
    assert product.BODY_BYTES_IN_FLIGHT >= 2 * checks.MAX_BATCH_BYTES


@pytest.mark.parametrize("reserve", [0, 1, 1.5])
def test_a_reserve_that_is_no_part_is_refused(settings, reserve):
    settings.BACKLOG_RESERVE = reserve

    assert ids(checks.limits_make_sense()) == ["aegis.E030"]


def test_a_backlog_smaller_than_a_batch_is_refused_with_the_least_good_value(settings):
    settings.BACKLOG_LIMIT = 1_200
    found = checks.limits_make_sense()

    assert ids(found) == ["aegis.E031"]
    assert "1,251" in found[0].hint
    settings.BACKLOG_LIMIT = 1_251
    assert checks.limits_make_sense() == []


def test_room_for_less_than_two_batches_is_refused(settings):
    settings.BODY_BYTES_IN_FLIGHT = 7 * 2**20

    assert ids(checks.limits_make_sense()) == ["aegis.E032"]


@pytest.mark.django_db
def test_little_space_is_a_warning_because_work_under_way_goes_on(settings, monkeypatch):
    monkeypatch.setattr(checks.space, "free_bytes", lambda: 10 * 2**20)

    assert ids(checks.there_is_space(databases=["default"])) == ["aegis.W033"]
    assert checks.there_is_space(databases=None) == []
    settings.MIN_FREE_BYTES = 10 * 2**20
    assert checks.there_is_space(databases=["default"]) == []
