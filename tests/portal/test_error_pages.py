"""Every refusal is a page with its code, its sentence and its faults; a fault of ours says nothing and is logged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory

from aegis.core import errors
from aegis.core.errors import AegisError, Fault
from aegis.identity.models import User
from aegis.portal.middleware import ErrorPages
from approvals.errors import RequestSettled

pytestmark = pytest.mark.django_db


@pytest.fixture
def refused(ada: User) -> Callable[[Exception], object]:
    def show(error: Exception) -> object:
        request: HttpRequest = RequestFactory().get("/somewhere/")
        request.user = ada
        request._messages = []  # type: ignore[attr-defined]
        return ErrorPages(lambda _: None).process_exception(request, error)  # type: ignore[arg-type, return-value]

    return show


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (
            errors.Invalid("Bad", faults=[Fault("/spec/x", "is <b>wrong</b>", "mend it")]),
            422,
            ["invalid", "/spec/x", "mend it"],
        ),
        (errors.Malformed("Bad"), 400, ["malformed"]),
        (errors.TooLarge("Bad"), 413, ["too_large"]),
        (errors.Stale("It moved"), 409, ["stale", "It moved"]),
        (RequestSettled("Sam approved it at 10:04"), 409, ["request_settled", "Sam approved it at 10:04"]),
        (errors.Forbidden("Not you", right="operate", granted_by="Leads"), 403, ["operate", "Leads"]),
        (errors.Unavailable(), 503, ["unavailable"]),
        (errors.IntegrityBroken("Rows contradict"), 500, ["integrity_broken", "Rows contradict"]),
        (errors.NotFound("Agent reply-writer is hidden"), 404, ["not_found"]),
        (Http404("secret"), 404, ["not_found"]),
        (PermissionDenied("no"), 403, ["forbidden"]),
    ],
)
def test_each_refusal_has_its_page(
    refused: Callable[[Exception], object], error: Exception, status: int, words: list[str]
) -> None:
    answer = refused(error)
    page = answer.content.decode()  # type: ignore[attr-defined]
    assert answer.status_code == status  # type: ignore[attr-defined]
    for word in words:
        assert word in page
    assert "<b>wrong" not in page


def test_a_404_repeats_nothing_of_what_was_asked(refused: Callable[[Exception], object]) -> None:
    hidden = refused(errors.NotFound("Agent reply-writer is hidden")).content  # type: ignore[attr-defined]
    assert hidden == refused(Http404("x")).content  # type: ignore[attr-defined]
    assert b"reply-writer" not in hidden
    assert b"csrfmiddlewaretoken" not in hidden


def test_a_fault_of_ours_is_left_to_the_500_page(refused: Callable[[Exception], object]) -> None:
    assert refused(ValueError("secret detail")) is None


def test_the_500_page_needs_no_database_and_tells_nothing(
    ada: User, browser_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of(ada, raise_request_exception=False)

    def fail(*_: object, **__: object) -> object:
        raise ValueError("secret detail")

    monkeypatch.setattr("aegis.portal.home._context", fail)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.content.decode()
    assert "Something went wrong" in answer.content.decode()


def test_who_is_not_signed_in_is_asked_to(client: Client) -> None:
    from django.contrib.auth.models import AnonymousUser

    request = RequestFactory().get("/x/")
    request.user = AnonymousUser()
    answer = ErrorPages(lambda _: None).process_exception(request, errors.NotAuthenticated())  # type: ignore[arg-type, return-value]
    assert answer is not None
    assert answer.status_code == 302


def test_health_is_public_and_says_only_that_it_answers(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/healthz").status_code == 405


def test_every_error_of_the_tree_has_a_page(refused: Callable[[Exception], object]) -> None:
    def descendants(kind: type[AegisError]) -> list[type[AegisError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in descendants(child))]

    for kind in descendants(AegisError):
        if kind.__module__ == "aegis.core.api":
            continue  # the API's own, with another constructor; it never reaches a page
        answer = refused(kind("What happened"))
        assert answer is not None, kind
        assert answer.status_code in (302, kind.http_status), kind  # type: ignore[attr-defined]
