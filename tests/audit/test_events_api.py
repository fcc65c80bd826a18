"""The audit's API: the page's search for programs, with the page's rights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import clock
from aegis.identity.models import User
from audit.chain import leaf_hash
from audit.models import Event
from tests.support.api import client_of
from tests.support.following import caught_up

Note = Callable[..., Any]


def asked(user: User, **params: Any) -> Any:
    caught_up()
    return client_of(user).get(reverse("api-events"), params)


def found(user: User, **params: Any) -> dict[str, Any]:
    answer = asked(user, type="probe.noted", span="all", **params)
    assert answer.status_code == 200
    return dict(answer.json())


def test_pages_hold_every_event_once_newest_first_and_end_with_null(note: Note, quinn: User) -> None:
    note("config:Probe", 7)

    seen, before, pages = [], None, 0
    while True:
        page = found(quinn, limit=3, **({"before": before} if before else {}))
        seen += [row["seq"] for row in page["events"]]
        before, pages = page["next"], pages + 1
        if before is None:
            break

    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert pages == 3


def test_a_row_brings_the_line_that_was_hashed(note: Note, quinn: User) -> None:
    note("config:Probe", 1)

    (row,) = found(quinn)["events"]

    assert leaf_hash(row["line"].encode()) == row["leaf"] == Event.objects.get(type="probe.noted").leaf


def test_who_may_not_see_an_event_finds_nothing_and_no_number(note: Note, olivia: User) -> None:
    note("config:Probe", 3)

    assert found(olivia) | {"seconds_behind": 0} == {"events": [], "next": None, "seconds_behind": 0}


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many", "1.5", "99999999"])
def test_a_size_that_is_none_is_refused_by_name(note: Note, quinn: User, limit: str) -> None:
    answer = asked(quinn, limit=limit)

    assert answer.status_code == 422
    assert "limit" in answer.content.decode()


def test_the_age_of_what_is_not_searched_yet_is_said(note: Note, quinn: User) -> None:
    note("config:Probe", 1)
    caught_up()
    note("config:Probe", 1, at=clock.now() - timedelta(seconds=90))

    answer = client_of(quinn).get(reverse("api-events"), {"type": "probe.noted", "span": "all"})

    assert len(answer.json()["events"]) == 1
    assert answer.json()["seconds_behind"] >= 90


def test_a_search_is_recorded_once_an_hour_and_older_pages_are_not(note: Note, quinn: User) -> None:
    note("config:Probe", 5)

    page = found(quinn, limit=2)
    found(quinn, limit=2)
    found(quinn, limit=2, before=page["next"])

    assert Event.objects.filter(type="audit.searched", actor_ref=str(quinn.pk)).count() == 1


def test_queries_do_not_grow_with_what_is_found(note: Note, quinn: User) -> None:
    note("config:Probe", 5)
    found(quinn, limit=200)
    with CaptureQueriesContext(connection) as few:
        client_of(quinn).get(reverse("api-events"), {"type": "probe.noted", "span": "all", "limit": 200})
    note("config:Probe", 145)
    caught_up()
    with CaptureQueriesContext(connection) as many:
        answer = client_of(quinn).get(reverse("api-events"), {"type": "probe.noted", "span": "all", "limit": 200})

    assert len(answer.json()["events"]) == 150
    assert len(many) == len(few)
