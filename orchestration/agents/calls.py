"""One way to ask an agent, whatever its connector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from orchestration.agents import http, isolated, python
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply
from orchestration.workflows.definition import AgentVersion

Connector = Callable[[AgentVersion, AgentRequest, int, timedelta, Sequence[bytes]], Reply | CallFailed]

CONNECTORS: Final[dict[str, Connector]] = {
    "python": lambda agent, request, _fence, _timeout, _keys: python.call(agent, request),
    "isolated": lambda agent, request, fence, timeout, _keys: isolated.call(agent, request, fence=fence, timeout=timeout),
    "http": lambda agent, request, fence, timeout, keys: http.call(agent, request, fence=fence, timeout=timeout, keys=keys),
}


def call(
    agent: AgentVersion, request: AgentRequest, *, fence: int, timeout: timedelta, keys: Sequence[bytes] = ()
) -> Reply | CallFailed:
    """Ask an agent once. Safe from many threads at a time; never raises for what an agent does.

    Args:
        fence: of the lease the call is made under; goes with the call, so that an agent can refuse a stale caller.
        timeout: the connector ends the call by itself then. Inline python agents cannot be ended: the caller stops waiting.
        keys: signing secrets issued to the agent; for connectors that sign.
    """
    name = "isolated" if agent.connection.get("mode") == "isolated" else agent.connector
    connector = CONNECTORS.get(name)
    if connector is None:
        return CallFailed("agent_error", f"there is no connector {agent.connector!r}")
    return connector(agent, request, fence, timeout, keys)
