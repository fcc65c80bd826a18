"""Spans as OTLP over HTTP, and what the collector says to them. Nobody else knows OpenTelemetry's packages (an extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings

from orchestration.engine.traces.spans import Span

SEND_SECONDS: Final = 10.0
#: Refusals that are about who asks, or where, or when; any other one of the client's faults (4xx) is about what was sent.
_NOT_ABOUT_SPANS: Final = frozenset({401, 402, 403, 404, 405, 407, 408, 421, 425, 426, 429})


class Verdict(Enum):
    TAKEN = auto()
    LATER = auto()  # nobody is there, or not now: the same again may be taken
    NEVER = auto()  # the same again is refused again


@dataclass(frozen=True, slots=True)
class Answer:
    """`why` in words, for anything but TAKEN."""

    verdict: Verdict
    why: str = ""


class _Ear:
    """Hears the status of each answer, which the SDK keeps for itself."""

    status: int | None = None

    def forget(self) -> None:
        self.status = None

    def hear(self, response: Any, *_: Any, **__: Any) -> None:
        self.status = response.status_code


@dataclass(frozen=True, slots=True)
class _Client:
    speaker: Any
    ear: _Ear
    resource: Any
    scope: Any


def is_installed() -> bool:
    """Is the optional extra there (requirements/otel.txt)?"""
    try:
        return find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # not even what it would be part of
        return False


def ask(found: Sequence[Span]) -> Answer:
    """Send these spans together. Of none at all every collector says yes (OTLP 1.x, "Full Success"): whether it takes any."""
    from opentelemetry.sdk.trace.export import SpanExportResult

    client = _client()
    try:
        spans = [_readable(span, client) for span in found]
    except Exception as fault:
        return Answer(Verdict.NEVER, _unencodable(fault))
    client.ear.forget()
    result, status = client.speaker.export(spans), client.ear.status
    if status is None:
        return _unsent(spans)
    if result is SpanExportResult.SUCCESS and 200 <= status < 300:  # the SDK takes a redirect for a yes
        return Answer(Verdict.TAKEN)
    is_for_good = 400 <= status < 500 and status not in _NOT_ABOUT_SPANS
    return Answer(Verdict.NEVER if is_for_good else Verdict.LATER, f"HTTP {status}")


def _unsent(spans: Sequence[Any]) -> Answer:
    """Nothing was heard: was there anything to hear, or is there no way to write them down?"""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    try:
        encode_spans(spans).SerializeToString()
    except Exception as fault:
        return Answer(Verdict.NEVER, _unencodable(fault))
    return Answer(Verdict.LATER, "no answer")


def _unencodable(fault: Exception) -> str:
    return f"it cannot be encoded ({type(fault).__name__})"


@cache
def _client() -> _Client:
    """What speaks OTLP, and what it says of us; made at first use, after the fork."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from requests import Session

    ear, session = _Ear(), Session()
    session.hooks["response"].append(ear.hear)
    speaker = OTLPSpanExporter(
        endpoint=f"{settings.OTLP_ENDPOINT}/v1/traces",
        headers=dict(settings.OTLP_HEADERS),
        timeout=SEND_SECONDS,
        session=session,
        max_request_size=0,  # what is too much is the collector's to say (413)
    )
    return _Client(speaker, ear, Resource({"service.name": settings.OTLP_SERVICE}), InstrumentationScope("aegis"))


def _readable(span: Span, client: _Client) -> Any:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def context(id_: str, *, is_remote: bool) -> Any:
        return SpanContext(int(span.trace, 16), int(id_, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.id, is_remote=False),
        parent=context(span.parent, is_remote=True) if span.parent else None,
        resource=client.resource,
        attributes=_plain(span.attributes),
        kind=SpanKind.CLIENT if span.is_call else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(StatusCode.UNSET),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=client.scope,
    )


def _plain(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {name: value for name, value in attributes.items() if value != ""}


def _nanoseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(microseconds=1) * 1_000
