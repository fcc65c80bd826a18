"""Fixtures every test may use: the personas, and a database that keeps the rows its migrations made.

The personas are those of the demo: olivia operates, sam leads, ada administers access, quinn audits; root is a superuser in no
group, who may therefore do nothing.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from hypothesis import HealthCheck, settings

from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.identity.models import Area, User
from tests.support import copies, emptying

# A busy machine is no fault of the code: properties are judged by what they find, never by how long inputs took.
settings.register_profile("aegis", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aegis")

_NUMBERS = itertools.count()
PASSWORD = "correct horse battery staple"  # of every persona
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A plain `pytest` skips what this machine or this database cannot show; `.ci/run` allows none of it but shared data.

    What only SQLite has, and what asks for no database at all, is left out elsewhere: the run on SQLite shows it.
    """
    from django.db import connection

    if connection.vendor != "sqlite":
        shown_on_sqlite = {item for item in items if item.get_closest_marker("sqlite") or not _asks_for_a_database(item)}
        config.hook.pytest_deselected(items=list(shown_on_sqlite))
        items[:] = [item for item in items if item not in shown_on_sqlite]
    missing = {
        "postgres": connection.vendor != "postgresql" and "races are proved on PostgreSQL: make test-postgres",
        "browser": not shutil.which("chromium") and "Chromium is not installed",
        "shared_data": not SHARED.is_dir() and "../shared/data is absent",
    }
    for item in items:
        for marker, why in missing.items():
            if why and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=why))


def _asks_for_a_database(item: pytest.Item) -> bool:
    """Whether it may touch one: tests of processes and browsers bring their own, others ask for a fixture of pytest-django, or
    are methods of a test case of Django's (Hypothesis rolls back each example there)."""
    from django.test import TransactionTestCase

    if issubclass(getattr(item, "cls", None) or object, TransactionTestCase):
        return True
    if any(item.get_closest_marker(name) for name in ("django_db", "postgres", "faults", "browser")):
        return True
    return not {"db", "transactional_db", "django_db_setup"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The one browser of this process: Playwright keeps a loop in the thread, and takes no second one there."""
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.house import ARGUMENTS, CHROMIUM

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # tests talk to the database between its calls, in the same thread
    expect.set_options(timeout=20_000)  # two cores are shared with the server and its worker
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def area_rows(db: None) -> None:
    """The database with its areas: the rows that migrations made stand in every test."""


@pytest.fixture
def person(area_rows: None) -> Callable[..., User]:
    """Makes a person: `person("zoe", "Support leads")`. The groups are made as needed."""
    from aegis.identity import people

    def make(username: str, *groups: str, **fields: object) -> User:
        def work() -> None:
            for group in groups:
                people.create_group(group, actor=SYSTEM, reason="test")
            people.create_person(
                username,
                name=username.capitalize(),
                password=PASSWORD,
                groups=groups,
                actor=SYSTEM,
                reason="test",
                **fields,  # type: ignore[arg-type]
            )

        copies.made(("person", username, groups, repr(fields)), work)
        return User.objects.get(username=username)

    return make


@pytest.fixture
def olivia(person: Callable[..., User]) -> User:
    return person("olivia", "Support operators")


@pytest.fixture
def sam(person: Callable[..., User]) -> User:
    return person("sam", "Support leads")


@pytest.fixture
def ada(person: Callable[..., User]) -> User:
    """May view and edit every area but audit, which she may view."""
    user = person("ada", "Admins")
    copies.made("the rights of ada", lambda: _grant("Admins", edit=True))
    return user


@pytest.fixture
def quinn(person: Callable[..., User]) -> User:
    """May view every area."""
    user = person("quinn", "Auditors")
    copies.made("the rights of quinn", lambda: _grant("Auditors", edit=False))
    return user


def _grant(group_name: str, *, edit: bool) -> None:
    from aegis.identity import grants

    group = Group.objects.get(name=group_name)
    for area in Area.objects.all():
        grants.grant(group, area, "view", actor=SYSTEM, reason="test")
        if edit and area.name != "audit":
            grants.grant(group, area, "edit", actor=SYSTEM, reason="test")


@pytest.fixture
def root(person: Callable[..., User]) -> User:
    user = person("root")
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
    return user


@pytest.fixture
def as_actor() -> Callable[[User], Actor]:
    """The actor of a person who signed in with a session."""
    return lambda user: user_actor(user.pk, auth="session")


@pytest.fixture
def browser_of() -> Callable[..., Client]:
    """A test client with a session: `browser_of(sam)`. Django's own `login` knows no request, which axes asks for."""

    def sign_in(user: User, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user, backend="aegis.identity.backends.PersonBackend")
        return client

    return sign_in


@pytest.fixture(autouse=True)
def _beginning() -> None:
    copies.COPIES.test_begins()


@pytest.fixture(autouse=True)
def _test_settings(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    """What a test writes to the data folder stays in its own; passwords are hashed quickly."""
    settings.DATA_DIR = tmp_path_factory.getbasetemp() / "data" / str(next(_NUMBERS))  # mktemp would read the whole folder
    settings.DATA_DIR.mkdir(parents=True)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), emptying.instead_of_flush():
        yield
