"""A workflow `notes` whose clerk writes notes, people who may halt it, and short-hands to look at what is held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.identity.models import User
from tests.engine import house
from tests.guards import desk


@pytest.fixture(autouse=True)
def _own_clock_and_script(monkeypatch: pytest.MonkeyPatch) -> None:
    desk.behind.clear()
    desk._offset[0] = timedelta(0)
    monkeypatch.setattr(clock, "db_now", desk.moved_now)


@pytest.fixture
def zoe(person: Callable[..., User], ada: User, sam: User) -> User:
    """May start and operate `notes`: a member of its owner group."""
    return person("zoe", "Support leads")


@pytest.fixture
def notes(zoe: User) -> User:
    """The workflow stands, its effects are allowed; returns who may start it."""
    house.bootstrap(desk.documents())
    return zoe


@pytest.fixture
def as_ada(ada: User):
    """Ada edits every area, so she may halt anything."""
    return user_actor(ada.pk, auth="test")
