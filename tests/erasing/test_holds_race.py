"""A hold stands before or after an emptying, never meanwhile: real transactions on PostgreSQL, met in the middle of each.

The hold is placed while the other transaction has looked for holds and has not yet emptied. It must wait there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections  # noqa: F401  # the condition below reads it

from aegis.core import clock
from aegis.core.errors import NotFound
from audit import journal
from audit.models import Erasure, Event, Hold, Payload
from orchestration.engine.erasing import retention, subjects, verbs
from orchestration.engine.models import Run
from tests.erasing import house

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer; the race is proved on PostgreSQL"),
]


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


class Meeting:
    """Does `move` in another connection once `name` of a module has answered, and waits a moment for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, move: Callable[[], Any]) -> None:
        self.came_between = False
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        real, mine = getattr(module, name), threading.get_ident()

        def answered(*args: Any) -> Any:
            found = real(*args)
            if threading.get_ident() == mine and self._thread is None:
                self._thread = threading.Thread(target=self._move, args=(move,))
                self._thread.start()
                self.came_between = self._done.wait(1.0)
            return found

        monkeypatch.setattr(module, name, answered)

    def _move(self, move: Callable[[], Any]) -> None:
        try:
            with suppress(NotFound):  # by then nothing is about the key any more
                move()
        finally:
            self._done.set()
            connections.close_all()

    def over(self) -> None:
        assert self._thread is not None, "nobody met"
        self._thread.join(20)
        assert self._done.is_set()


def hold(people: dict[str, Any], scope: str, run: Run) -> Callable[[], Hold]:
    over = {"run": {"run_id": run.pk}, "subject": {"key": house.KEY}, "everything": {}}[scope]
    return lambda: verbs.place_hold(scope, actor=house.actor(people["max"]), reason="a lawsuit", **over)


@pytest.mark.parametrize("scope", ["run", "everything"])
def test_a_hold_is_not_placed_between_the_choice_of_the_sweep_and_its_emptying(
    people: dict[str, Any], run: Run, scope: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RETENTION_DAYS = {"runs": 365, "access": 0}
    Run.objects.update(ended_at=clock.db_now() - timedelta(days=400))
    monkeypatch.setattr(retention, "_spots_of", lambda row, cutoff: subjects.spots_of(row))
    meeting = Meeting(monkeypatch, subjects, "held", hold(people, scope, run))

    emptied = retention.keep()
    meeting.over()

    assert emptied > 0
    assert not meeting.came_between


def test_nor_between_the_choice_of_access_and_its_emptying(
    people: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RETENTION_DAYS = {"runs": 0, "access": 200}
    real = clock.db_now
    monkeypatch.setattr(clock, "db_now", lambda: real() + timedelta(days=201))
    meeting = Meeting(monkeypatch, retention.holds, "over_everything", hold(people, "everything", run))

    retention.keep()
    meeting.over()

    assert not meeting.came_between


@pytest.mark.parametrize("scope", ["run", "subject", "everything"])
def test_nor_between_the_second_approval_and_the_emptying(
    people: dict[str, Any], run: Run, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])
    meeting = Meeting(monkeypatch, subjects, "obstacle", hold(people, scope, run))

    house.vote(house.request_of(erasure), people["ben"])
    meeting.over()

    assert not meeting.came_between
    assert Erasure.objects.get().status == "applied"
    assert journal.verify().is_good


def test_a_hold_lifted_and_placed_again_under_a_vote_blocks(
    people: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lifted by another, placed anew: whoever decides sees one state or the other."""
    erasure = house.ask(people["pia"], run=run)
    house.vote(house.request_of(erasure), people["una"])
    first = hold(people, "run", run)()

    def again() -> None:
        verbs.lift_hold(first.pk, actor=house.actor(people["pia"]), reason="settled")
        hold(people, "run", run)()

    meeting = Meeting(monkeypatch, subjects, "obstacle", again)
    house.vote(house.request_of(erasure), people["ben"])
    meeting.over()

    assert not meeting.came_between
    assert Erasure.objects.get().status == "blocked"
    assert not Payload.objects.filter(erased_at__isnull=False).exists()
    assert Event.objects.filter(type="hold.placed").count() == 2
