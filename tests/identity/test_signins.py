"""Log-ins, log-outs and failed ones are on record; a flood of them is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user
from django.test import Client

from aegis.core import clock
from aegis.identity.models import User
from audit import access, chain, journal
from audit.models import Event, Payload
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def sign_in(client: Client, username: str, password: str) -> int:
    return client.post("/login/", {"username": username, "password": password, "next": "/"}).status_code


def events() -> list[tuple[str, str]]:
    found = Event.objects.filter(type__contains="access.sign").order_by("pk")
    return list(found.values_list("type", "actor_ref"))


def test_signing_in_and_out_is_recorded(client: Client, sam: User) -> None:
    sign_in(client, "sam", PASSWORD)
    assert get_user(client) == sam  # type: ignore[arg-type]
    client.post("/logout/")

    assert events() == [("access.signed_in", str(sam.pk)), ("access.signed_out", str(sam.pk))]


def test_a_wrong_password_is_recorded_and_not_as_the_persons_act(client: Client, sam: User) -> None:
    sign_in(client, "sam", "wrong")

    assert events() == [("access.sign_in_failed", "")]
    event = Event.objects.get(type="access.sign_in_failed")
    assert str(sam.pk) in event.line
    assert "wrong" not in event.line + str(list(Payload.objects.values_list("body", flat=True)))


def test_an_unknown_name_is_kept_as_a_payload_only(client: Client, area_rows: None) -> None:
    sign_in(client, "mallory", "x")

    event = Event.objects.get(type="access.sign_in_failed")
    assert "mallory" not in event.line
    assert Payload.objects.filter(stream=event.stream, seq=event.seq, name="name", body__contains="mallory").exists()


def test_five_wrong_passwords_lock_and_further_ones_are_not_recorded(client: Client, sam: User, olivia: User) -> None:
    for _ in range(9):
        sign_in(client, "sam", "wrong")

    assert sign_in(client, "sam", PASSWORD) != 302
    assert get_user(client).is_anonymous  # type: ignore[arg-type]
    assert len(events()) == 5
    assert '"code":"locked_out"' in Event.objects.filter(type="access.sign_in_failed").latest("pk").line
    assert sign_in(client, "olivia", PASSWORD) == 302  # the lock is on the name, not on everybody behind one address


def test_a_stranger_with_ever_new_names_makes_two_events_and_no_more(client: Client, sam: User) -> None:
    for number in range(12):
        sign_in(client, f"mallory-{number}", "x")
    assert events() == [("access.sign_in_failed", "")]
    sign_in(client, "sam", "wrong")
    assert len(events()) == 2, "a name that somebody has keeps its event"

    access.flush_denials(clock.db_now() + timedelta(minutes=11))

    told = Event.objects.get(type="access.sign_ins_failed")
    assert chain.read_line(told.line)["data"]["count"] == 11
    assert not Event.objects.filter(line__contains="mallory").exists()
    assert journal.verify().is_good
    sign_in(client, "mallory-0", "x")
    assert len(events()) == 4


def test_the_throttle_forgets_the_tries_of_strangers_with_its_ten_minutes(client: Client, area_rows: None) -> None:
    """Its table holds what strangers typed: it may grow for as long as the lock lasts, and no longer."""
    for name in ("nobody-1", "nobody-2"):
        client.post("/login/", {"username": name, "password": "x"})
    assert AccessAttempt.objects.count() == 2
    AccessAttempt.objects.update(attempt_time=clock.now() - timedelta(minutes=11))

    client.post("/login/", {"username": "nobody-3", "password": "x"})

    assert [*AccessAttempt.objects.values_list("username", flat=True)] == ["nobody-3"]
