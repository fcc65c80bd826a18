"""A small matrix: two capabilities on tickets, three roles, two agents."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.authority.verdicts import Matrix, Principal, Resource, load

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
