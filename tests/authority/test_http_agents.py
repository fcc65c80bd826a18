"""What an agent's document says of its connector is judged when it is proposed; what it may reach grows by two people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis.identity.models import User
from approvals.models import ChangeSet
from tests.agents.asking import SECRET_NAME, SECRET_TEXT
from tests.support.configuration import agent, bootstrap, faults, propose

pytestmark = pytest.mark.django_db

URL = "https://agent.example/ask"


@pytest.fixture(autouse=True)
def standing(person: Callable[..., User], olivia: User, sam: User, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_NAME, SECRET_TEXT)
    for name in ("lee", "mia"):
        person(name, "Support leads")


def over_http(name: str = "responder", url: str = URL, secret: str = SECRET_NAME, **more: Any) -> Any:
    return agent(name, connector={"http": {"url": url, "secret": secret, **more}})


def status(author: User, document: Any) -> str:
    return str(propose(author, document).status)


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        (over_http(), None, ""),
        (over_http(url="http://10.1.2.3:8080/", allow=["http://10.1.2.3:8080"]), None, ""),
        (over_http(url="http://agent.example/"), "http/url", "not encrypted"),
        (over_http(url="https://169.254.169.254/"), "http/url", "link-local"),
        (over_http(url="https://user:pass@agent.example/"), "http/url", "no user or password"),
        (over_http(allow=["10.0.0.0/8", "0.0.0.0/0"]), "http/allow/1", "too wide"),
        (over_http(allow=["everything"]), "http/allow/0", "neither an origin"),
        (over_http(secret="AEGIS_SECRET_KEY"), "http/secret", ""),
        (over_http(secret="AEGIS_AGENT_SECRET_NONE"), "http/secret", "is not set"),
        (agent(connector={}), "", ""),
        (agent(connector={"python": "tests.echo", "http": {"url": URL, "secret": SECRET_NAME}}), "", ""),
        (agent(connector={"python": "tests.echo", "mode": "isolated", "memory_mb": 64}), None, ""),
        (agent(connector={"python": "tests.echo", "mode": "thread"}), "mode", ""),
        (agent(connector={"http": {"url": URL, "secret": SECRET_NAME}, "mode": "isolated"}), "python", "is missing"),
        (agent(connector={"python": "tests.echo", "memory_mb": 64}), "mode", "is missing"),
    ],
)  # fmt: skip
def test_lint_names_the_place_in_the_connector(document: Any, where: str | None, what: str):
    bootstrap()
    found = {place.partition("/spec/connector")[2].strip("/"): said for place, said in faults(document).items()}

    if where is None:
        assert found == {}
    else:
        assert where in found, found
        assert what in found[where]


def test_the_installation_may_open_networks_to_all_agents(settings: Any):
    bootstrap()
    document = over_http(url="http://agents.lan:8080/")
    assert faults(document) != {}

    settings.AGENT_HOSTS = ["http://agents.lan:8080"]

    assert faults(document) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (agent(), over_http()),
        (over_http(), over_http(url="https://elsewhere.example/ask")),
        (over_http(), over_http(allow=["10.0.0.0/8"])),
        (over_http(allow=["10.1.0.0/16"]), over_http(allow=["10.1.0.0/16", "10.2.0.0/16"])),
        (None, over_http("second")),
        (agent(connector={"python": "tests.echo", "mode": "isolated"}), agent()),
    ],
    ids=["python to http", "another host", "a network", "one more network", "a new one", "out of its process"],
)  # fmt: skip
def test_what_an_agent_may_reach_grows_by_two_people(ada: User, before: Any, after: Any):
    bootstrap(*([before] if before else []))

    assert status(ada, after) == ChangeSet.Status.PROPOSED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (over_http(), over_http(url=URL + "/v2")),
        (over_http(allow=["10.1.0.0/16", "10.2.0.0/16"]), over_http(allow=["10.1.0.0/16"])),
        (over_http(), agent()),
        (agent(), agent(connector={"python": "tests.echo", "mode": "isolated"})),
    ],
    ids=["another path", "fewer networks", "http to python", "into its process"],
)  # fmt: skip
def test_what_narrows_applies_at_once(ada: User, before: Any, after: Any):
    bootstrap(before)

    assert status(ada, after) == ChangeSet.Status.APPLIED
