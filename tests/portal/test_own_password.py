"""The page of one's own password: guessing the old one is counted and on record as at sign-in; a change is an event."""

from __future__ import annotations

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user
from django.test import Client

from aegis.identity.models import User
from audit.models import Event, Payload
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

NEW = "seven green bottles"
PAGE = "/password_change/"


def post(browser: Client, old: str, new: str = NEW, again: str = "") -> Any:
    return browser.post(PAGE, {"old_password": old, "new_password1": new, "new_password2": again or new})


def has(person: User, password: str) -> bool:
    return User.objects.get(pk=person.pk).check_password(password)


def test_a_change_is_on_record_as_the_persons_own_and_the_session_stays(sam: User, browser_of: Any) -> None:
    desk, elsewhere = browser_of(sam), browser_of(sam)

    answer = post(desk, PASSWORD)

    assert (answer.status_code, answer["Location"]) == (302, "/password_change/done/")
    assert has(sam, NEW)
    event = Event.objects.get(type="access.password_changed")
    assert (event.actor_ref, event.scope_id) == (str(sam.pk), str(sam.pk))
    assert get_user(desk) == sam
    assert desk.get("/password_change/done/").status_code == 200
    assert get_user(elsewhere).is_anonymous  # type: ignore[arg-type]


def test_a_wrong_old_password_is_on_record_and_five_lock(sam: User, browser_of: Any) -> None:
    desk = browser_of(sam)

    said = [post(desk, f"guess {number}").status_code for number in range(5)]

    assert said == [200, 200, 200, 200, 429]
    assert post(desk, PASSWORD).status_code == 429, "also the right one, for a while"
    assert has(sam, PASSWORD)
    failed = Event.objects.filter(type="access.sign_in_failed", scope_id=str(sam.pk))
    assert failed.count() == 5
    assert Client().post("/login/", {"username": "sam", "password": PASSWORD}).status_code == 429, "one count for both doors"


def test_no_password_that_was_typed_is_kept(sam: User, browser_of: Any) -> None:
    post(browser_of(sam), "a wrong guess")

    attempt = AccessAttempt.objects.get()
    kept = [attempt.post_data, *Event.objects.values_list("line", flat=True), *Payload.objects.values_list("body", flat=True)]
    assert "old_password" in attempt.post_data
    assert not [text for text in kept if "a wrong guess" in str(text) or NEW in str(text)]


@pytest.mark.parametrize(("new", "again", "field"), [("password", "", "new_password2"), (NEW, "another", "new_password2")])
def test_what_is_too_weak_or_mistyped_is_said_at_its_field(
    sam: User, browser_of: Any, new: str, again: str, field: str
) -> None:
    answer = post(browser_of(sam), PASSWORD, new, again)

    assert answer.status_code == 200
    assert f'id="id_{field}-error"' in answer.content.decode()
    assert has(sam, PASSWORD)
    assert not Event.objects.filter(type="access.password_changed").exists()
