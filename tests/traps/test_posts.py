"""What is posted beside what a route takes changes nothing (S18), and without a token nothing is taken at all (S11)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from aegis.identity.models import User
from tests.oracles.visibility_oracle import load
from tests.permissions import asking
from tests.permissions.matrix import Case, Matrix

pytestmark = pytest.mark.django_db

SENTINEL = "zzposted"
ROOMS = ("aegis", "audit", "approvals", "orchestration")
#: Those who may do something; everybody else is refused before.
WRITERS = ("operator", "requester_and_approver", "approver", "security_admin", "superuser")
#: Takes reports of browsers from anybody, and keeps none of it.
TOLD = ("CSRF Failed", "came from another site")
WITHOUT_TOKEN = {"/csp-report/"}


def stuffing() -> dict[str, Any]:
    """A value for every column there is, whosever it is."""
    ours = [model for model in apps.get_models() if model.__module__.split(".")[0] in ROOMS]
    columns = {field.name for model in ours for field in model._meta.concrete_fields}
    assert {"is_superuser", "status", "document", "digest", "fence", "requester"} <= columns
    return {name: True if name.startswith("is_") else f"{SENTINEL}-{name}" for name in sorted(columns)}


class Stuffed(Matrix):
    """The matrix, whose calls carry a value for every column beside what their route takes. `written`: where one arrived."""

    flags: list[Any]

    def _moved(self, touched: set[str], place: str) -> frozenset[str]:
        found = {table for table in touched if _holds(table)}
        return frozenset(found if _flags() == self.flags else {*found, "flags of people"})


def _flags() -> list[Any]:
    return sorted(User.objects.values_list("pk", "is_superuser", "is_staff", "is_demo", "is_active"))


def _holds(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        return any(SENTINEL in str(value) for row in cursor.fetchall() for value in row)


@pytest.fixture
def stuffed(monkeypatch: pytest.MonkeyPatch) -> Stuffed:
    body, form, more = asking.body, asking.form, stuffing()
    built = Stuffed(load())
    built.flags = _flags()
    monkeypatch.setattr(asking, "body", lambda *given: {**more, **body(*given)})
    monkeypatch.setattr(asking, "form", lambda *given: {**more, **form(*given)})
    return built


@pytest.mark.parametrize("door", ["api", "page"])
def test_s18_no_column_is_written_because_it_was_posted(stuffed: Stuffed, door: str) -> None:
    found: list[str] = []
    answered: Counter[int] = Counter()
    for path, entry in sorted(stuffed.entries.items()):
        if entry["door"] != door:
            continue
        for method in {"POST", "PUT", "PATCH"} & set(entry["methods"]):
            name = stuffed.names[path]
            for principal in WRITERS:
                case = Case(path, method, principal, "own")
                address = asking.addresses(stuffed.world, name, stuffed.patterns[name], "own")[0]
                answer = stuffed.ask(case, name, address)
                answered[answer.status] += 1
                found += [f"{case}: {table}" for table in sorted(answer.written)]
                assert answer.status < 500, case
    assert found == []
    if door == "api":  # a body with a field that is not listed is refused as a whole
        assert not any(status < 400 for status in answered)
        assert answered[400] + answered[422] > 20, answered
    else:
        assert answered[200] + answered[302] > 20, answered


def test_s11_no_route_takes_anything_of_a_session_without_its_token(matrix: Matrix) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = matrix.sessions["operator"]
    asked = 0
    for path, entry in sorted(matrix.entries.items()):
        for method in {"POST", "PUT", "PATCH", "DELETE"} & set(entry["methods"]):
            name = matrix.names[path]
            address = asking.addresses(matrix.world, name, matrix.patterns[name], "own")[0]
            call = getattr(strict, method.lower())
            if entry["door"] == "api":
                answer = call(address, json.dumps(asking.body(matrix.world, name, "own")), content_type="application/json")
            else:
                answer = call(address, asking.form(matrix.world, name, "own"))
            asked += 1
            if path not in WITHOUT_TOKEN:
                assert answer.status_code == 403, (path, answer.status_code)
                assert any(said in answer.content.decode() for said in TOLD), path
    assert asked > 60
