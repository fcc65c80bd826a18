"""The copies that tests stand on (tests.support.copies) are the rows the verbs wrote, and only where a test began equally."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.models import User
from audit import journal
from tests.support import configuration, copies
from tests.support.copies import Copies
from tests.support.emptying import Emptying

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, area_rows: None) -> Iterator[Copies]:
    """Copies of this test alone."""
    made = Copies()
    monkeypatch.setattr(copies, "COPIES", made)
    made.test_begins()
    yield made
    connection.execute_wrappers.remove(made.watch)


def rows() -> dict[str, Any]:
    return {table: copies._rows(table) for table in copies._tables()}


def again(own: Copies, build: Callable[[], object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """All rows after `build`, and after it was built a second time from the same beginning."""
    found = []
    for _ in range(2):
        mark = transaction.savepoint()
        own.test_begins()
        build()
        found.append(rows())
        transaction.savepoint_rollback(mark)
    return found[0], found[1]


def furnish(person: Callable[..., User]) -> None:
    for name, group in (("olivia", "Support operators"), ("sam", "Support leads"), ("lea", "Support leads")):
        person(name, group)
    configuration.bootstrap()


def test_a_copy_is_what_the_verbs_wrote_in_every_table(own: Copies, person: Callable[..., User]) -> None:
    first, second = again(own, lambda: furnish(person))
    assert (own.made, own.copied) == (4, 4)
    assert second == first
    assert len(first["audit_event"]) > 10


def test_the_journal_of_a_copy_verifies_and_goes_on(own: Copies, person: Callable[..., User]) -> None:
    again(own, lambda: furnish(person))
    own.test_begins()
    furnish(person)
    assert own.copied == 8
    people.create_group("Later", actor=SYSTEM, reason="test")
    assert journal.verify().problems == []


def test_another_order_is_another_beginning(own: Copies, person: Callable[..., User]) -> None:
    def build() -> None:
        for name in order:
            person(name, "Leads")

    order = ["lea", "leo"]
    again(own, build)
    order = ["leo", "lea"]
    again(own, build)
    assert (own.made, own.copied) == (4, 4)


@pytest.mark.parametrize(
    "between",
    [
        lambda: Group.objects.create(name="Others"),
        lambda: User.objects.filter(username="lea").update(first_name="x"),
        lambda: connection.cursor().execute("DELETE FROM django_session"),
    ],
)
def test_after_a_write_of_the_test_all_is_made_by_the_verbs(own: Copies, person: Callable[..., User], between: Any) -> None:
    def build() -> None:
        person("lea", "Leads")
        between()
        person("leo", "Leads")
        person("lou", "Leads")

    again(own, build)
    assert (own.made, own.copied) == (1, 1)


def test_a_write_before_the_first_step_too(own: Copies, person: Callable[..., User]) -> None:
    def build() -> None:
        Group.objects.create(name="Others")
        person("lea", "Leads")

    again(own, build)
    assert (own.made, own.copied) == (0, 0)


def test_what_failed_half_way_is_no_beginning(own: Copies, person: Callable[..., User]) -> None:
    def half() -> None:
        people.create_group("Half", actor=SYSTEM, reason="test")
        raise LookupError

    def build() -> None:
        with pytest.raises(LookupError):
            copies.made("half", half)
        person("lea", "Leads")

    again(own, build)
    assert (own.made, own.copied) == (2, 0)


def test_what_took_rows_away_is_made_each_time(own: Copies) -> None:
    def build() -> None:
        copies.made("with", lambda: Group.objects.create(name="Others"))
        copies.made("without", lambda: Group.objects.filter(name="Others").delete())
        assert not Group.objects.filter(name="Others").exists()

    again(own, build)
    assert (own.made, own.copied) == (3, 1)


def test_a_copy_is_not_kept_for_long(own: Copies, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch) -> None:
    again(own, lambda: person("lea", "Leads"))
    monkeypatch.setattr(copies, "KEPT_SECONDS", 0)
    again(own, lambda: person("lea", "Leads"))
    assert (own.made, own.copied) == (3, 1)


def test_what_stood_on_a_copy_that_was_made_anew_is_made_anew(own: Copies, person: Callable[..., User]) -> None:
    def build() -> None:
        person("lea", "Leads")
        person("leo", "Leads")

    again(own, build)
    first = min(own.kept.values(), key=lambda copy: copy.made_at)
    own.kept = {known: replace(one, made_at=float("-inf")) if one is first else one for known, one in own.kept.items()}
    again(own, build)
    assert (own.made, own.copied) == (4, 4)


def test_under_another_clock_all_is_made_by_the_verbs(
    own: Copies, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now() - timedelta(days=3)
    monkeypatch.setattr(clock, "now", lambda: now)
    again(own, lambda: person("lea", "Leads"))
    assert (own.made, own.copied) == (0, 0)


def test_in_a_transaction_of_the_test_all_is_made_by_the_verbs(own: Copies, person: Callable[..., User]) -> None:
    def build() -> None:
        with transaction.atomic():
            person("lea", "Leads")

    again(own, build)
    assert (own.made, own.copied) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_where_tests_commit_the_copy_is_committed(own: Copies, person: Callable[..., User]) -> None:
    emptying = Emptying()
    furnish(person)
    emptying.restore()
    own.test_begins()

    furnish(person)

    assert (own.made, own.copied) == (4, 4)
    assert not connection.in_atomic_block
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_people_seen_elsewhere).result() == ["lea", "olivia", "sam"]
    assert journal.verify().problems == []


@pytest.mark.django_db(transaction=True)
def test_after_another_process_wrote_all_is_made_by_the_verbs(own: Copies, person: Callable[..., User]) -> None:
    person("lea", "Leads")
    connection.execute_wrappers.remove(own.watch)  # as if another connection did this
    people.create_group("Others", actor=SYSTEM, reason="test")
    connection.execute_wrappers.append(own.watch)

    person("leo", "Leads")

    assert (own.made, own.copied) == (1, 0)


def _people_seen_elsewhere() -> list[str]:
    try:
        return list(User.objects.order_by("username").values_list("username", flat=True))
    finally:
        connection.close()
