"""The API edge: who is asking, strict JSON in, problem documents out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404
from django.test import Client
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.api import actor_of
from aegis.core.bodies import MAX_BODY_BYTES
from aegis.core.errors import Fault, Forbidden, Invalid, NotFound, Unavailable
from aegis.identity import api_keys
from aegis.identity.models import User

RAISES: dict[str, Exception] = {
    "invalid": Invalid("Two things are wrong", faults=[Fault("/a/0", "too short", "write more"), Fault("/b", "missing")]),
    "forbidden": Forbidden("Ask the leads", right="operate", granted_by="Support leads"),
    "not_found": NotFound(),
    "http404": Http404("No Workflow matches the given query."),
    "throttled": Throttled(wait=3),
    "unavailable": Unavailable(),
    "drf_invalid": serializers.ValidationError({"steps": [{}, {"name": ["This field is required."]}]}),
    "django_invalid": ValidationError({"label": ["Too long."]}),
    "bug": RuntimeError("password=hunter2"),
}


class Echo(APIView):
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        return Response({"actor": actor.key, "auth": actor.auth})

    def post(self, request: Request) -> Response:
        return Response({"got": request.data})


class Raise(APIView):
    def get(self, request: Request, name: str) -> Response:
        raise RAISES[name]


urlpatterns = [path("echo", Echo.as_view()), path("raise/<str:name>", Raise.as_view())]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def token(sam: User, as_actor: Callable[[User], Actor]) -> str:
    expires = clock.now() + timedelta(days=1)
    return api_keys.create(sam.pk, "test", expires_at=expires, actor=as_actor(sam), reason="test").token


@pytest.fixture
def api(token: str) -> Client:
    return Client(headers={"authorization": f"Bearer {token}"}, raise_request_exception=False)


def problem(response: object) -> dict[str, object]:
    assert response["Content-Type"] == "application/problem+json"  # type: ignore[index]
    document: dict[str, object] = json.loads(response.content)  # type: ignore[attr-defined]
    assert document["status"] == response.status_code  # type: ignore[attr-defined]
    assert document["type"] == f"urn:aegis:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    return document


def test_a_key_becomes_an_actor_that_says_so(api: Client, token: str, sam: User) -> None:
    answer = api.get("/echo").json()

    assert answer == {"actor": f"user:{sam.pk}", "auth": f"api_key:{token.split('_')[1]}"}


def test_a_session_becomes_an_actor_that_says_so(browser_of: Callable[..., Client], sam: User) -> None:
    client = browser_of(sam)

    assert client.get("/echo").json() == {"actor": f"user:{sam.pk}", "auth": "session"}


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer a b", "Bearer aegis_x_y", "Bearer \xe4"])
def test_strangers_get_401_with_a_challenge(client: Client, db: None, header: str | None) -> None:
    response = client.get("/echo", headers={"authorization": header} if header else {})

    assert response.status_code == 401
    assert problem(response)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == 'Bearer realm="aegis"'


def test_a_wrong_key_is_not_made_good_by_a_session(browser_of: Callable[..., Client], sam: User) -> None:
    client = browser_of(sam)

    assert client.get("/echo", headers={"authorization": "Bearer aegis_x_y"}).status_code == 401


def test_a_session_posts_only_with_a_csrf_token(browser_of: Callable[..., Client], sam: User) -> None:
    browser = browser_of(sam, enforce_csrf_checks=True)

    response = browser.post("/echo", data=b"{}", content_type="application/json")

    assert response.status_code == 403
    assert problem(response)["code"] == "forbidden"


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b'{"a": 1, "a": 2}', 400, "/a"),
        (b'{"a": [1, NaN]}', 400, ""),
        (b'{"a": "\\u0000"}', 400, "/a"),
        (b'{"a": "\\ud800"}', 400, "/a"),
        (b"{", 400, "line 1, column 2"),
        (b"\xff", 400, "byte 0"),
        (b"[" * 100 + b"]" * 100, 400, ""),
    ],
)
def test_json_that_can_be_misread_is_refused_with_its_place(api: Client, body: bytes, status: int, where: str) -> None:
    response = api.post("/echo", data=body, content_type="application/json")

    assert response.status_code == status
    faults = problem(response)["faults"]
    assert faults[0]["where"] == where  # type: ignore[index]


def test_a_body_over_the_limit_is_refused(api: Client) -> None:
    response = api.post("/echo", data=b'"' + b"a" * MAX_BODY_BYTES + b'"', content_type="application/json")

    assert response.status_code == 413
    assert problem(response)["code"] == "too_large"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin-1"],
)
def test_only_json_in_utf8_is_read(api: Client, content_type: str) -> None:
    response = api.post("/echo", data=b'{"a": 1}', content_type=content_type)

    assert response.status_code == 415
    assert problem(response)["code"] == "unsupported_media_type"


def test_good_json_is_read(api: Client) -> None:
    response = api.post("/echo", data='{"a": "ä", "n": 1}', content_type="application/json; charset=UTF-8")

    assert response.json() == {"got": {"a": "ä", "n": 1}}


def test_faults_name_each_place_and_remedy(api: Client) -> None:
    response = api.get("/raise/invalid")

    assert response.status_code == 422
    assert problem(response)["faults"] == [
        {"where": "/a/0", "what": "too short", "remedy": "write more"},
        {"where": "/b", "what": "missing", "remedy": ""},
    ]


def test_a_403_names_the_right_and_who_grants_it(api: Client) -> None:
    document = problem(api.get("/raise/forbidden"))

    assert (document["right"], document["granted_by"]) == ("operate", "Support leads")


def test_every_404_reads_alike(api: Client) -> None:
    ours, djangos = api.get("/raise/not_found"), api.get("/raise/http404")

    assert ours.status_code == djangos.status_code == 404
    assert ours.content == djangos.content


def test_the_frameworks_refusals_are_problems_too(api: Client) -> None:
    method = api.delete("/echo")
    throttled = api.get("/raise/throttled")

    assert (method.status_code, problem(method)["code"]) == (405, "method_not_allowed")
    assert (throttled.status_code, problem(throttled)["code"], throttled["Retry-After"]) == (429, "throttled", "4")
    assert api.get("/raise/unavailable")["Retry-After"] == "1"
    assert problem(api.get("/raise/drf_invalid"))["faults"][0]["where"] == "/steps/1/name"  # type: ignore[index]
    assert problem(api.get("/raise/django_invalid"))["faults"][0]["where"] == "/label"  # type: ignore[index]


def test_a_bug_says_nothing_of_itself(api: Client) -> None:
    response = api.get("/raise/bug")

    assert response.status_code == 500
    assert problem(response)["code"] == "error"
    assert b"hunter2" not in response.content
