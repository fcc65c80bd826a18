"""The connector for Python callables registered by name. Inline: trusted code, but its answers are checked like a stranger's.

The timeout is the caller's: a call runs in a thread of the driver, which stops waiting and drops an answer that comes late.
"""

from __future__ import annotations

from dataclasses import replace

from aegis.core.errors import Malformed
from aegis.core.strangers import described
from orchestration.agents import replies
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply, registered
from orchestration.workflows.definition import AgentVersion


def call(agent: AgentVersion, request: AgentRequest) -> Reply | CallFailed:
    """Ask an agent once. Whatever it raises or returns ends in a `Reply` that can be recorded, or in `CallFailed`."""
    return ask(agent.callable, replace(request, settings=agent.settings))


def ask(name: str, request: AgentRequest) -> Reply | CallFailed:
    """Call what is registered under a name, here and now."""
    callable_ = registered(name)
    if callable_ is None:
        return replies.failed("agent_error", f"no python agent is registered as {name!r}")
    try:
        answer = callable_(request)
    except (Exception, SystemExit) as error:  # SystemExit: an agent must not end the worker that asked it
        return replies.failed("agent_error", described(error))
    try:
        return replies.checked(answer)
    except Malformed as error:
        return replies.failed("contract", str(error))
    except Exception as error:  # hostile objects: a property that raises, a length that lies
        return replies.failed("contract", f"the reply cannot be read ({type(error).__name__})")
