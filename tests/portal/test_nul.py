"""No database takes a NUL: in an address it is refused before any view, in a form by the verb, which keeps what was typed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from aegis.identity.models import User

pytestmark = pytest.mark.django_db

ADDRESSES = [
    "/?x=%00",
    "/runs/?workflow=%00",
    "/runs/?q=a&q=b%00&q=c",
    "/runs/?a%00b=1",
    "/review/?queue=%00",
    "/dead-letters/?step=%00&workflow=%00",
    "/approvals/?policy=%00",
    "/audit/?stream=%00",
    "/audit/events/%00/1/",
    "/audit/events/config:Probe/1/?x=%00",
    "/identity/user/?q=%00",
    "/identity/user/?username=%00",
    "/identity/user/%00/change/",
    "/login/?next=%00",
    "/nowhere/%00",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_nul_in_an_address_is_refused_with_a_page(ada: User, browser_of: Callable[..., Client], address: str) -> None:
    answer = browser_of(ada).get(address)

    assert answer.status_code == 400
    assert "The address holds a NUL character" in answer.content.decode()


@pytest.mark.parametrize("figure", ["runs/%2500", "%2500", "runs//a%250Ab", "runs/%252500%2500"])
def test_a_figure_that_spells_one_when_unquoted_again_is_refused(
    quinn: User, browser_of: Callable[..., Client], figure: str
) -> None:
    """The name of a figure is unquoted after the address was."""
    client = browser_of(quinn)
    for address in (
        f"/audit/?figure={figure}",
        f"/audit/export/?format=csv&figure={figure}",
        f"/api/v1/events?figure={figure}",
    ):
        answer = client.get(address)
        assert answer.status_code == 422, address
        assert "no figure" in answer.content.decode(), address
    assert client.get("/audit/?figure=runs/%252500").status_code == 200  # "%00" itself is text


@pytest.mark.parametrize("address", ["/runs/?workflow=%00", "/healthz?x=%00"])
def test_strangers_are_told_the_same(client: Client, address: str) -> None:
    assert client.get(address).status_code == 400


def test_a_post_has_an_address_too(ada: User, browser_of: Callable[..., Client]) -> None:
    assert browser_of(ada).post("/audit/verify/?x=%00").status_code == 400


@pytest.mark.parametrize("address", ["/api/v1/runs?workflow=%00", "/api/v1/runs/%00"])
def test_the_api_answers_with_a_problem_document(client: Client, address: str) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "malformed"


def test_signing_in_with_a_nul_is_no_fault_of_ours(client: Client) -> None:
    assert client.post("/login/", {"username": "ada\x00", "password": "x\x00"}).status_code in (200, 400, 422)


def test_an_unknown_thing_stays_unknown(ada: User, browser_of: Callable[..., Client]) -> None:
    assert browser_of(ada).get(f"/runs/{uuid4()}/").status_code == 404


def test_a_cookie_that_spells_a_nul_counts_as_none(client):
    client.cookies["sessionid"] = "aaaaaaaaaaaa\x00aaaaaaaaaaaaaaaaaaa"

    assert client.get("/runs/").status_code in (302, 401)
