"""A workflow whose work piles up: nobody drives unless a test does. What the process measured is forgotten before each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from aegis.identity.models import User
from orchestration.agents.protocol import Done
from orchestration.engine import pressure
from tests.engine import house
from tests.support.api import client_of


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    pressure.forget()
    yield
    pressure.forget()


@pytest.fixture
def zoe(person: Callable[..., User], ada: User, sam: User) -> User:
    """May start the workflow `notes`."""
    zoe = person("zoe", "Support leads")
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents())
    return zoe


@pytest.fixture
def client(zoe: User) -> APIClient:
    return client_of(zoe)


def batch(client: APIClient, items: Any, *, mode: str | None = None, key: str | None = None, workflow: str = "notes") -> Any:
    body: dict[str, Any] = {"workflow": workflow, "items": items}
    if mode:
        body["mode"] = mode
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/api/v1/runs/batch", body, format="json", headers=headers)


def items(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"input": {"id": f"n-{number}"}} for number in range(first, first + count)]
