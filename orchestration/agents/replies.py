"""What an agent answered, from an object or from the wire, held to the protocol: a `Reply` that can be recorded, or a fault.

On the wire a reply is a JSON object: `{"reply": "done", "output": ...}` with rationale, confidence, sources, usage and model
beside it if known, or `{"reply": "abstain", "reason": "..."}` with usage and model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from aegis.core import canonical, strangers
from aegis.core.canonical import Json
from aegis.core.errors import Malformed, TooLarge
from orchestration.agents.protocol import Abstain, AgentRequest, CallFailed, Done, Reply

MAX_TEXT_CHARS: Final = 8_000  # rationale, reason of an abstention
MAX_SOURCES: Final = 50
MAX_SOURCE_CHARS: Final = 500
MAX_USAGE: Final = 20
MAX_NAME_CHARS: Final = 120
MAX_DETAIL_CHARS: Final = 500
#: An output as large as a payload may be, and room for what stands beside it.
MAX_REPLY_BYTES: Final = canonical.MAX_PAYLOAD_BYTES + 64 * 1024

_FIELDS: Final = {
    "done": frozenset({"output", "rationale", "confidence", "sources", "usage", "model"}),
    "abstain": frozenset({"reason", "usage", "model"}),
}


def checked(answer: object) -> Reply:
    """The reply with every field of the type and size the protocol says.

    The output of a `Done` is a fresh plain JSON value: nothing the agent still holds can change it later.

    Raises:
        Malformed: naming the field.
    """
    if isinstance(answer, Abstain):
        return Abstain(
            reason=_text("reason", answer.reason, MAX_TEXT_CHARS),
            usage=_usage(answer.usage),
            model=_text("model", answer.model, MAX_NAME_CHARS),
        )
    if not isinstance(answer, Done):
        raise Malformed(f"a reply is Done or Abstain, this is {type(answer).__name__}")
    raw = canonical.dump_checked(answer.output)
    if len(raw) > canonical.MAX_PAYLOAD_BYTES:
        raise TooLarge(f"{len(raw):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are accepted")
    return Done(
        output=canonical.load(raw),
        rationale=_text("rationale", answer.rationale, MAX_TEXT_CHARS),
        confidence=_confidence(answer.confidence),
        sources=_sources(answer.sources),
        usage=_usage(answer.usage),
        model=_text("model", answer.model, MAX_NAME_CHARS),
    )


def request_document(request: AgentRequest, settings: Mapping[str, Json], *, fence: int) -> bytes:
    """What goes to an agent outside this process."""
    return canonical.dump(
        {
            "run_id": request.run_id,
            "step": request.step,
            "visit": request.visit,
            "attempt": request.attempt,
            "idempotency_key": request.idempotency_key,
            "fence": fence,
            "input": request.input,
            "settings": dict(settings),
        }
    )


def read(raw: bytes) -> Reply:
    """A reply from the wire.

    Raises:
        Malformed: saying where.
    """
    return from_document(canonical.parse(raw, max_bytes=MAX_REPLY_BYTES))


def from_document(document: Json) -> Reply:
    """A reply from its parsed JSON.

    Raises:
        Malformed: naming the field.
    """
    if not isinstance(document, dict):
        raise Malformed(f"a reply is a JSON object, this is {_kind(document)}")
    kind = document.get("reply")
    if kind == "call":
        raise Malformed("/reply: this release performs no calls on behalf of an agent; propose in the output instead")
    known = _FIELDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise Malformed('/reply: must be "done" or "abstain"')
    fields = {name: value for name, value in document.items() if name != "reply"}
    if unknown := sorted(fields.keys() - known):
        raise Malformed(f"/{unknown[0][:80]}: a reply {kind!r} has no such field")
    if kind == "abstain":
        return checked(Abstain(**{"reason": "", **fields}))
    if "output" not in fields:
        raise Malformed("/output: a reply 'done' must have one")
    return checked(Done(**fields))


def to_document(reply: Reply) -> Json:
    """A checked reply as it goes over the wire."""
    if isinstance(reply, Abstain):
        return {"reply": "abstain", "reason": reply.reason, "usage": dict(reply.usage), "model": reply.model}
    return {
        "reply": "done",
        "output": reply.output,
        "rationale": reply.rationale,
        "confidence": reply.confidence,
        "sources": list(reply.sources),
        "usage": dict(reply.usage),
        "model": reply.model,
    }


def failed(code: str, detail: str, *, retry_after: float = 0.0) -> CallFailed:
    """A failure whose detail can be kept."""
    return CallFailed(code, strangers.kept(detail, MAX_DETAIL_CHARS), retry_after)


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


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    return {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "something else"
    )
