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
)
