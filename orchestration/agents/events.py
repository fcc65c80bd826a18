"""Event types of agents as principals. They go to the stream `config:Agent`, under the agent's own scope."""

from __future__ import annotations

from audit.catalogue import EventType

TYPES = (
    EventType(
        "agent.disabled",
        "{actor} stopped the agent {agent}",
        "governance",
        fields=("name",),
        payloads={"reason": "personal"},
        tone="red",
    ),
    EventType(
        "agent.enabled",
        "{actor} let the agent {agent} work again",
        "governance",
        fields=("name",),
        payloads={"reason": "personal"},
        tone="green",
    ),
    EventType(
        "agent.credential_issued",
        "{actor} issued the signing secret {data.prefix} of the agent {agent}",
        "governance",
        fields=("name", "prefix", "expires_at", "others_end_at?"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "agent.credential_revoked",
        "{actor} revoked the signing secret {data.prefix} of the agent {agent}",
        "governance",
        fields=("name", "prefix"),
        payloads={"reason": "personal"},
        tone="red",
    ),
)
