"""A small matrix: two capabilities on tickets, three roles, two agents. And a house whose roles are reviewed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aegis.core import clock
from aegis.identity.models import User
from orchestration.authority.verdicts import Matrix, Principal, Resource, load
from tests.authority.role_reviewing import CLOSE, DECIDERS, DESK, PAY, Move, by_name
from tests.support import configuration as config
from tests.support.configuration import capability

REPLY = {
    "resource": "ticket", "risk": "medium", "safety": "keyed", "handler": "record.patch", "digest": "d" * 64,
    "parameters": {
        "type": "object", "additionalProperties": False, "required": ["text"],
        "properties": {"text": {"type": "string", "maxLength": 200}, "amount": {"type": "integer"}},
    },
}  # fmt: skip
POLICIES = {
    "one": {"stages": [{"groups": ["support"], "quorum": 1}], "reason": "always"},
    "two": {"stages": [{"groups": ["support"], "quorum": 1}, {"groups": ["legal"], "quorum": 1}], "reason": "always"},
    "legal": {"stages": [{"groups": ["legal"], "quorum": 1}], "reason": "always"},
}
TICKET = Resource("ticket", "T-1")
FACTS: dict[str, Any] = {"parameters": {"text": "hello"}, "record": {"status": "open"}, "requester": {}}
BOT = Principal("agent", "a1")


def grant(effect: str, *, when: str = "", policy: str = "", capability: str = "ticket.reply") -> dict[str, Any]:
    return {"capability": capability, "effect": effect, "when": when, "policy": policy or ("one" if effect == "gate" else "")}


def matrix_document(
    roles: dict[str, list[dict[str, Any]]],
    *,
    locks: dict[str, Any] | None = None,
    agent_roles: list[str] | None = None,
    enabled: bool = True,
    people: tuple[str, ...] = (),
    **capability: Any,
) -> dict[str, Any]:
    return {
        "v": 1,
        "capabilities": {"ticket.reply": {**REPLY, **capability}, "ticket.close": dict(REPLY)},
        "roles": {name: {"people": name in people, "grants": grants} for name, grants in roles.items()},
        "locks": locks or {},
        "policies": POLICIES,
        "agents": {"a1": {"name": "responder", "roles": agent_roles or sorted(roles), "enabled": enabled}},
    }


def make_matrix(roles: dict[str, list[dict[str, Any]]], **options: Any) -> Matrix:
    return load(matrix_document(roles, **options), number=7)


def lock(policy: str, *, floor: str | None = "same", capability: str = "ticket.reply") -> dict[str, Any]:
    rules = POLICIES[policy if floor == "same" else floor] if floor else None
    return {"capability": capability, "policy": policy, "kind": "law", "floor": rules}


@pytest.fixture
def facts() -> dict[str, Any]:
    return dict(FACTS)


@pytest.fixture
def house(person: Callable[..., User], olivia: User, sam: User, ada: User, quinn: User) -> Callable[..., None]:
    """Applies a configuration in which olivia owns the agent with `support-bot`, and lee and mia decide changes."""
    for name in ("lee", "mia", "kim"):
        person(name, "Deciders")
    person("ben", "Support leads")

    def apply(*documents: Any) -> None:
        standing_ = by_name((DECIDERS, DESK, capability(CLOSE), capability(PAY)))
        config.bootstrap(*(standing_ | by_name(documents)).values())

    return apply


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Sets the clock on by so many days."""
    at, now = [timedelta()], clock.now
    for name in ("now", "db_now"):
        monkeypatch.setattr(clock, name, lambda: now() + at[0])

    def by(days: float) -> datetime:
        at[0] += timedelta(days=days)
        return clock.now()

    return by
