"""Lines, hashes and commitments: the format of the journal. Pure, and fixed for ever by golden vectors (tests/audit).

A line is canonical JSON (RFC 8785) with exactly these `KEYS`; an absent text is "", an absent number 0 (`duration_ms`:
null). Its hash is the RFC 6962 leaf hash of its bytes, so the chain of a stream and the Merkle tree over all streams share one
value. The first line of a stream has seq 1 and 64 zeros as previous hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from aegis.core import clock_text
from aegis.core.actors import Actor
from aegis.core.canonical import MAX_PAYLOAD_BYTES, Json, dump_line
from aegis.core.errors import Fault, Malformed, TooLarge
from audit import catalogue
from audit.drafts import Context, Draft, Head

FORMAT = 1
ZERO = "0" * 64
MAX_LINE_BYTES = 64 * 1024
# fmt: off
KEYS = frozenset({
    "v", "stream", "seq", "prev", "type", "type_version", "at", "actor", "on_behalf", "cause", "trace", "scope", "scope_id",
    "run", "subject", "def", "step", "agent", "agent_version", "capability", "matrix", "fence", "outcome", "duration_ms",
    "data", "payload",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Line:
    """A draft that has its place in a stream.

    Attributes:
        text: the exact canonical text that was hashed.
        leaf: hex leaf hash of `text`.
        payloads: (name, body, salt as hex), in the order of the line.
    """

    stream: str
    seq: int
    text: str
    leaf: str
    draft: Draft
    at: datetime
    context: Context
    payloads: tuple[tuple[str, bytes, str], ...] = ()

    @property
    def place(self) -> str:
        """`<stream>/<seq>`: how state, causes and links name an event."""
        return f"{self.stream}/{self.seq}"


def commitment(salt: str, body: bytes) -> str:
    """Hex SHA-256 that binds a payload without giving it away: without its salt nobody can confirm a guess of the text.

    Args:
        salt: 16 random bytes as hex.
    """
    return hashlib.sha256(b"aegis/payload/v1" + bytes.fromhex(salt) + body).hexdigest()


def leaf_hash(line: bytes) -> str:
    """Hex RFC 6962 leaf hash: SHA-256(0x00 || line)."""
    return hashlib.sha256(b"\x00" + line).hexdigest()


def seal(context: Context, head: Head, drafts: Sequence[Draft], at: datetime, salts: Iterator[str]) -> tuple[list[Line], Head]:
    """Put drafts behind the head of their stream.

    Args:
        at: the moment all of them carry (aware).
        salts: yields 32 hex digits for each payload; random in production, fixed in tests.

    Raises:
        UnknownEventType, UndeclaredContent: the draft does not match the catalogue.
        Malformed, TooLarge: content that a line or payload cannot hold.
    """
    lines: list[Line] = []
    moment = clock_text.render(at)
    for draft in drafts:
        kind = catalogue.get(draft.type)
        catalogue.check(kind, draft.data, draft.payloads)
        payloads = tuple((name, _payload(draft, name), next(salts)) for name in sorted(draft.payloads))
        raw = dump_line(_line(context, head, draft, kind.version, moment, payloads))
        if len(raw) > MAX_LINE_BYTES:
            raise TooLarge(f"A line of {draft.type} has {len(raw):,} bytes; at most {MAX_LINE_BYTES:,} fit. Use a payload")
        head = Head(head.seq + 1, leaf_hash(raw))
        lines.append(Line(context.stream, head.seq, raw.decode(), head.leaf, draft, at, context, payloads))
    return lines, head


def read_line(text: str) -> dict[str, Json]:
    """A stored line as a mapping. Trusts its bytes (they are ours); `audit.verify` is what doubts them."""
    content: dict[str, Json] = orjson.loads(text)
    return content


def _line(
    context: Context,
    head: Head,
    draft: Draft,
    type_version: int,
    at: str,
    payloads: tuple[tuple[str, bytes, str], ...],
) -> Mapping[str, Json]:
    return {
        "v": FORMAT,
        "stream": context.stream,
        "seq": head.seq + 1,
        "prev": head.leaf,
        "type": draft.type,
        "type_version": type_version,
        "at": at,
        "actor": _actor(draft.actor),
        "on_behalf": draft.on_behalf,
        "cause": draft.cause,
        "trace": context.trace,
        "scope": context.scope,
        "scope_id": context.scope_id,
        "run": _uuid(context.run_id),
        "subject": context.subject,
        "def": context.definition,
        "step": draft.step,
        "agent": draft.agent,
        "agent_version": draft.agent_digest,
        "capability": draft.capability,
        "matrix": draft.matrix,
        "fence": context.fence,
        "outcome": draft.outcome,
        "duration_ms": draft.duration_ms,
        "data": dict(draft.data),
        "payload": [{"name": name, "c": commitment(salt, body)} for name, body, salt in payloads],
    }


def _actor(actor: Actor) -> dict[str, Json]:
    return {"kind": actor.kind, "ref": actor.ref, "auth": actor.auth}


def _uuid(value: UUID | None) -> str:
    return str(value) if value else ""


def _payload(draft: Draft, name: str) -> bytes:
    """The bytes as they will be stored: text (PostgreSQL keeps no NUL) of bounded size."""
    body = draft.payloads[name]
    where = f"{draft.type}, payload {name}"
    if len(body) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"{where}: {len(body):,} bytes; at most {MAX_PAYLOAD_BYTES:,} are kept")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{where}: not UTF-8", faults=[Fault(f"byte {error.start}", "not valid UTF-8")]) from None
    if not text or "\x00" in text:
        raise Malformed(f"{where}: {'holds a NUL character' if text else 'is empty'}")
    return body
