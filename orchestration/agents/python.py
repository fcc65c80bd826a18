"""The connector for Python callables registered by name. Inline: trusted code, but its answers are checked like a stranger's.

The timeout is the caller's: a call runs in a thread of the driver, which stops waiting and drops an answer that comes late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aegis.core import canonical
from aegis.core.errors import Malformed
from orchestration.agents.protocol import Abstain, AgentRequest, CallFailed, Done, Reply, registered
from orchestration.workflows.definition import AgentVersion

MAX_TEXT_CHARS: Final = 8_000  # rationale, reason of an abstention
MAX_SOURCES: Final = 50
MAX_SOURCE_CHARS: Final = 500
MAX_USAGE: Final = 20
MAX_NAME_CHARS: Final = 120
MAX_DETAIL_CHARS: Final = 500


def call(agent: AgentVersion, request: AgentRequest) -> Reply | CallFailed:
    """Ask an agent once. Whatever it raises or returns ends in a `Reply` that can be recorded, or in `CallFailed`.

    The output of a `Done` is a fresh plain JSON value: nothing the agent still holds can change it later.
    """
    callable_ = registered(agent.callable)
    if callable_ is None:
        return _failed("agent_error", f"no python agent is registered as {agent.callable!r}")
    try:
        answer = callable_(replace(request, settings=agent.settings))
    except (Exception, SystemExit) as error:  # SystemExit: an agent must not end the worker that asked it
        return _failed("agent_error", f"{type(error).__name__}: {error}")
    try:
        return _checked(answer)
    except Malformed as error:
        return _failed("contract", str(error))
    except Exception as error:  # hostile objects: a property that raises, a length that lies
        return _failed("contract", f"the reply cannot be read ({type(error).__name__})")


def _checked(answer: object) -> Reply:
    """The reply with every field of the type and size the protocol says.

    Raises:
        Malformed: naming the field.
    """
    if isinstance(answer, Abstain):
        return Abstain(reason=_text("reason", answer.reason, MAX_TEXT_CHARS))
    if not isinstance(answer, Done):
        raise Malformed(f"a reply is Done or Abstain, this is {type(answer).__name__}")
    canonical.check_value(answer.output)
    raw = canonical.dump(answer.output)
    return Done(
        output=canonical.parse(raw, max_bytes=canonical.MAX_PAYLOAD_BYTES),
        rationale=_text("rationale", answer.rationale, MAX_TEXT_CHARS),
        confidence=_confidence(answer.confidence),
        sources=_sources(answer.sources),
        usage=_usage(answer.usage),
        model=_text("model", answer.model, MAX_NAME_CHARS),
    )


def _text(field: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{field} must be text, is {type(value).__name__}")
    if len(value) > limit:
        raise Malformed(f"{field} has {len(value):,} characters; at most {limit:,} are kept")
    canonical.check_value(value)
    return str(value)


def _confidence(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise Malformed("confidence must be a number from 0 to 1, or unknown")
    return float(value)


def _sources(value: object) -> tuple[str, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_SOURCES:
        raise Malformed(f"sources must be a list of at most {MAX_SOURCES} texts")
    return tuple(_text("source", item, MAX_SOURCE_CHARS) for item in value)


def _usage(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping) or len(value) > MAX_USAGE:
        raise Malformed(f"usage must be at most {MAX_USAGE} counts by name")
    usage: dict[str, int] = {}
    for name, count in value.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= canonical.MAX_SAFE_INTEGER:
            raise Malformed("usage holds whole numbers from 0")
        usage[_text("usage name", name, MAX_NAME_CHARS)] = int(count)
    return usage


def _failed(code: str, detail: str) -> CallFailed:
    clean = detail.replace("\x00", "").encode("utf-8", "replace").decode()
    return CallFailed(code, clean if len(clean) <= MAX_DETAIL_CHARS else f"{clean[: MAX_DETAIL_CHARS - 1]}…")
