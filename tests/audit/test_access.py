from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core.actors import user_actor
from audit import access, chain, journal
from audit.models import DenialCount, Event, Payload
from tests.audit.conftest import NOON, USER

ACTOR = user_actor(USER, auth="session")


def deny(minutes: float = 0, what: str = "runs.cancel", **fields: str) -> bool:
    return access.record_denial(ACTOR, what, NOON + timedelta(minutes=minutes), **fields)


def types() -> list[str]:
    return list(Event.objects.order_by("id").values_list("type", flat=True))


def test_a_first_refusal_is_an_event_with_its_sentence_as_payload(db: None) -> None:
    assert deny(right="operate", detail="You can see this run, but …")

    event = Event.objects.get()
    assert (event.type, event.actor_ref, event.scope, event.scope_id) == ("access.denied", USER, "access", USER)
    assert chain.read_line(event.line)["data"] == {"what": "runs.cancel", "right": "operate", "code": "forbidden"}
    assert "You can see" in Payload.objects.get().body
    assert "You can see" not in event.line


def test_repeats_within_ten_minutes_are_counted(db: None) -> None:
    deny(0)
    for minute in (1, 5, 9.9):
        assert not deny(minute)

    assert types() == ["access.denied"]
    assert DenialCount.objects.get().repeats == 3


def test_the_count_becomes_one_event_at_the_next_refusal(db: None) -> None:
    deny(0)
    deny(1)
    deny(2)
    assert deny(11)

    assert types() == ["access.denied", "denial.repeated", "access.denied"]
    data = chain.read_line(Event.objects.get(type="denial.repeated").line)["data"]
    assert (data["count"], data["first_at"], data["last_at"]) == (
        2,
        "2026-11-23T12:00:00.000000Z",
        "2026-11-23T12:02:00.000000Z",
    )
    assert DenialCount.objects.get().repeats == 0


def test_the_sweep_settles_what_nobody_repeats_any_more(db: None) -> None:
    deny(0)
    deny(1)
    deny(0, what="grants.grant")

    assert access.flush_denials(NOON + timedelta(minutes=9)) == 0
    assert access.flush_denials(NOON + timedelta(minutes=10)) == 2
    assert access.flush_denials(NOON + timedelta(minutes=20)) == 0
    assert sorted(types()) == ["access.denied", "access.denied", "denial.repeated"]
    assert not DenialCount.objects.exists()


@pytest.mark.parametrize("other", [{"what": "runs.retry"}, {"right": "edit"}, {"code": "own_rights"}])
def test_another_refusal_is_another_event(db: None, other: dict[str, str]) -> None:
    deny()

    assert deny(1, **other)
    assert types() == ["access.denied", "access.denied"]


def test_another_person_is_another_event(db: None) -> None:
    deny()

    assert access.record_denial(user_actor("018f0000-0000-7000-8000-000000000002", auth="session"), "runs.cancel", NOON)


def test_refusals_of_long_and_odd_text_are_recorded_too(db: None) -> None:
    assert deny(what="x" * 500, right="y" * 500, code="z" * 500, detail="nul \x00 inside")

    assert journal.verify().is_good


def test_streams_of_principals_are_spread_but_fixed() -> None:
    assert access.stream_of("user", USER) == access.stream_of("user", USER)
    assert len({access.stream_of("user", str(number)) for number in range(300)}) == 16
