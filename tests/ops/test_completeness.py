"""The watch over rows that change without an event sees what it is for (`tests.support.completeness`)."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

from aegis.core.actors import SYSTEM
from aegis.identity import api_keys, people, principals
from aegis.identity.models import User
from tests.support import completeness


class Silent:
    """A recorder that records nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments, **named: None


def test_a_person_made_without_an_event_is_a_gap(area_rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals, "recorder", Silent, raising=True)
    monkeypatch.setattr(people, "recorder", Silent, raising=False)

    people.create_person("zoe", name="Zoe", password="long enough, surely", groups=[], actor=SYSTEM, reason="test")

    assert any("no event: identity_user by aegis/identity/" in gap for gap in completeness.found())


def test_the_same_with_its_event_is_none(area_rows: None) -> None:
    people.create_person("zoe", name="Zoe", password="long enough, surely", groups=[], actor=SYSTEM, reason="test")

    assert completeness.found() == []


def test_what_a_test_writes_itself_is_none(area_rows: None) -> None:
    User.objects.update(is_active=False)

    assert completeness.found() == []


@pytest.mark.django_db(transaction=True)
def test_a_write_in_no_transaction_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completeness, "NOT_GOVERNED_COLUMNS", {})
    people.create_person("zoe", name="Zoe", password="long enough, surely", groups=[], actor=SYSTEM, reason="test")
    token = key_of(User.objects.get(username="zoe"))

    api_keys.authenticate(token)

    assert any(
        gap.startswith("in no transaction: identity_apikey by aegis/identity/api_keys.py") for gap in completeness.found()
    )


def key_of(user: User) -> str:
    from datetime import timedelta

    from aegis.core import clock
    from aegis.core.actors import user_actor

    actor = user_actor(user.pk, auth="session")
    return api_keys.create(user.pk, "probe", expires_at=clock.now() + timedelta(days=1), actor=actor, reason="test").token


def test_what_is_said_not_to_be_governed_is_there(db: None) -> None:
    tables = set(connection.introspection.table_names())
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}

    for start in set(completeness.NOT_GOVERNED) - {"sqlite_"}:
        assert any(table.startswith(start) for table in tables), start
    for table, columns in completeness.NOT_GOVERNED_COLUMNS.items():
        assert columns <= {field.column for field in models[table]._meta.concrete_fields}, table
    for inner in completeness.INNER:
        assert completeness.is_there(inner), inner
