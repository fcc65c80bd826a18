"""Traces as W3C Trace Context writes them: what a caller's `traceparent` says, ours, and span ids that are computed. Pure.

A span id is a digest of what the span is about, so whoever computes it again (a second export, another process) gets the same
one, and the header of a call can name a span before it is exported. Source: W3C Trace Context, section 3.2 (traceparent).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

MAX_HEADER_CHARS: Final = 256
_HEADER: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-[ -~]*)?"
)


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a caller stands: the trace, 32 hex digits, and the span of his that leads to us, 16. Never who he is."""

    trace: str
    span: str


def read(header: str | None) -> Parent | None:
    """What a `traceparent` header says. None if there is none, or if it is not exactly what the standard allows.

    Two headers arrive joined by a comma, which is no traceparent either.
    """
    if not header or len(header) > MAX_HEADER_CHARS or not (found := _HEADER.fullmatch(header)):
        return None
    version, trace, span = found["version"], found["trace"], found["span"]
    is_known = version == "00" and found["more"] is None
    if not (is_known or "00" < version < "ff") or not trace.strip("0") or not span.strip("0"):
        return None
    return Parent(trace, span)


def traceparent(trace: str, span: str) -> str:
    """The header of a call of ours. Always "sampled": what AEGIS does is on record, whoever asked."""
    return f"00-{trace}-{span}-01"


def span_of(run: str, *parts: object) -> str:
    """The id of a span of a run: 16 hex digits, the same for the same parts and never all zeros.

    Args:
        run: the run's id in hex.
        parts: what the span is about, its kind first.
    """
    text = "\x00".join((run, *map(str, parts)))
    return hashlib.sha256(b"aegis/span/v1\x00" + text.encode()).hexdigest()[:15] + "1"


def span_of_run(run: str) -> str:
    return span_of(run, "run")


def span_of_visit(run: str, step: str, visit: int) -> str:
    return span_of(run, "visit", step, visit)


def span_of_attempt(run: str, step: str, visit: int, attempt: int, fence: int) -> str:
    """Args: fence: of the intent. A person who sends a run on makes the same visit count its attempts from 1 again."""
    return span_of(run, "attempt", step, visit, attempt, fence)


def span_of_effect(run: str, key: str, attempt: int, fence: int) -> str:
    return span_of(run, "effect", key, attempt, fence)


def span_of_gate(run: str, request: str) -> str:
    """The wait for an approval request."""
    return span_of(run, "gate", request)


def span_of_review(run: str, item: str) -> str:
    """The wait for a person to settle a review item."""
    return span_of(run, "review", item)
