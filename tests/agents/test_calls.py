"""A call goes to the connector that the agent's version names, and to no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestration.agents import calls, protocol
from orchestration.agents.protocol import AgentRequest, CallFailed, Done
from orchestration.workflows.definition import AgentVersion

REQUEST = AgentRequest(run_id="r", step="s", visit=1, attempt=1, idempotency_key="k", input={"text": "hi"})
AGENT = AgentVersion("id", "a", "d", "python", "test.agent", {"limit": 3}, (), "u1", {"python": "test.agent"})


def test_a_python_agent_is_asked_by_the_python_connector(monkeypatch: pytest.MonkeyPatch):
    def behave(request: AgentRequest) -> Any:
        return Done(output={"limit": request.settings["limit"]})

    monkeypatch.setitem(protocol._registry, "test.agent", behave)

    assert calls.call(AGENT, REQUEST, fence=1, timeout=timedelta(seconds=1)) == Done(output={"limit": 3})


def test_a_connector_nobody_has_written_is_a_named_failure():
    reply = calls.call(replace(AGENT, connector="carrier-pigeon"), REQUEST, fence=1, timeout=timedelta(seconds=1))

    assert reply == CallFailed("agent_error", "there is no connector 'carrier-pigeon'")
