"""A house with a gated capability, driven by the real engine, and its people at their browsers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from aegis.identity.models import User
from approvals.models import ApprovalRequest
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.engine import house

Documents = list[dict[str, Any]]

ANSWER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["intent", "urgency", "count", "is_legal"],
    "properties": {
        "intent": {"type": "string", "title": "Intent", "maxLength": 80},
        "urgency": {"enum": ["P1", "P2", "P3"]},
        "count": {"type": "integer", "minimum": 1},
        "is_legal": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "more": {"type": "object", "properties": {"note": {"type": "string"}}},
    },
}


def with_note(**changes: Any) -> Done:
    """The clerk's answer: one note to write."""
    note = copy.deepcopy(house.NOTE) | changes
    return Done({"note": note}, confidence=0.81, rationale="the customer asked for it")


@pytest.fixture(autouse=True)
def clerk() -> Iterator[dict[str, Any]]:
    """What the scripted agent answers; each note has a record of its own."""
    house.answers.clear()
    house.answers["write"] = with_note()
    yield house.answers
    house.answers.clear()


@pytest.fixture
def zoe(person: Callable[..., User], ada: User) -> User:
    """Starts runs of `notes` and operates them: in its owner group."""
    return person("zoe", "Support leads")


@pytest.fixture
def mallory(person: Callable[..., User]) -> User:
    """Belongs to nothing here."""
    return person("mallory", "Visitors")


@pytest.fixture
def furnish(zoe: User, sam: User) -> Callable[..., None]:
    """Apply the house's documents, some of them changed: furnish(capability={"risk": "high"})."""

    def apply(
        *,
        effect: str = "gate",
        steps: Any = None,
        capability: Any = None,
        policy: Any = None,
        contract: Any = None,
        extra: Any = (),
    ) -> None:
        documents = house.documents(effect=effect, steps=steps)
        for document in documents:
            if document["kind"] == "Capability":
                document["spec"].update(capability or {})
            if document["metadata"]["name"] == "request@1":
                document["spec"].update(contract or {})
            if document["kind"] == "ApprovalPolicy":
                document["spec"].update(policy or {})
        house.bootstrap([*documents, *extra])

    return apply


@pytest.fixture
def gated(furnish: Callable[..., None]) -> None:
    furnish()


@pytest.fixture
def waiting(gated: None, zoe: User) -> ApprovalRequest:
    """One request, asked by a run that zoe started."""
    return ask(zoe)


def ask(person: User, name: str = "n-1") -> ApprovalRequest:
    house.answers["write"] = with_note(resource={"type": "note", "id": name.upper()})
    run = house.submit(person, {"id": name})
    house.drive(run)
    return house.request_of(run)


def ask_many(person: User, count: int) -> list[Run]:
    """Runs that all wait for a decision about a note of their own."""
    runs = []
    for number in range(count):
        house.answers["write"] = with_note(resource={"type": "note", "id": f"N-{number:03}"})
        runs.append(house.submit(person, {"id": f"n-{number:03}"}))
        house.drive(runs[-1])
    return runs


@pytest.fixture
def at_desk(browser_of: Callable[..., Client]) -> Callable[[User], Client]:
    return browser_of


def text_of(response: Any) -> str:
    """The page without its runs of white space."""
    return " ".join(response.content.decode().split())
