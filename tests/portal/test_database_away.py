"""While the database is busy or away, pages and the API say so with 503 and a time to come again; nothing is a 500."""

from __future__ import annotations

import json
import sys

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from aegis.core import bodies  # noqa: F401  (before REST framework reads its settings)
from aegis.portal import errors
from aegis.portal.middleware import ErrorPages
from orchestration.engine.models import Run
from tests.support.api import client_of

pytestmark = pytest.mark.django_db


def locked(*_: object, **__: object) -> None:
    raise OperationalError("database is locked")


def test_the_api_answers_503_with_a_problem(olivia, monkeypatch):
    client = client_of(olivia)
    monkeypatch.setattr(Run.objects.all().__class__, "visible_to", locked)

    answer = client.get("/api/v1/runs")

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert json.loads(answer.content)["code"] == "unavailable"


@pytest.mark.sqlite  # in its words
def test_a_page_answers_503_without_asking_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = ErrorPages(lambda request: None).process_exception(
            RequestFactory().get("/runs/"), OperationalError("database is locked")
        )

    assert answer is not None
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert b"The database is busy" in answer.content


@pytest.mark.sqlite
def test_what_middleware_meets_is_503_too_and_other_faults_stay_500():
    for error, status in (
        (OperationalError("database is locked"), 503),
        (OperationalError("no such table"), 500),
        (KeyError(), 500),
    ):
        try:
            raise error
        except Exception:
            assert sys.exc_info()[1] is error
            assert errors.server_error(RequestFactory().get("/")).status_code == status
