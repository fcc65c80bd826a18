"""Sending spans to an OpenTelemetry collector, as the journal grows. Only what speaks OTLP knows OpenTelemetry's packages.

Whatever can be asked again is computed again: a process keeps the lives of the runs it saw last only to save reading them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import structlog
from django.conf import settings

from aegis.core import clock
from audit import chain, exporters
from audit.models import Event
from orchestration.engine.traces import spans
from orchestration.engine.traces.spans import Life, Span

NAME: Final = "traces"  # of the follower
SEND_SECONDS: Final = 10.0
TURN_SECONDS: Final = 20.0
MAX_KEPT: Final = 2_000  # lives; any other is read again from its stream
_PREFIX: Final = "run:"

log = structlog.get_logger(__name__)

_lives: OrderedDict[str, Life] = OrderedDict()


class NotSent(Exception):
    """The collector did not take the spans. They are sent again."""


def is_wanted() -> bool:
    return bool(settings.OTLP_ENDPOINT)


def is_installed() -> bool:
    """Is the optional extra there (requirements/otel.txt)?"""
    try:
        return find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # not even what it would be part of
        return False


def look() -> int:
    """Send what is new, for so long at most. Returns how many events were read. Called by a thread of each worker process.

    Raises:
        NotSent: the cursor stays; the lag of the follower tells.
    """
    if not is_wanted():
        return 0
    read, until = 0, clock.monotonic() + TURN_SECONDS
    while (count := exporters.export(NAME, send)) and clock.monotonic() < until:
        read += count
    return read


def send(events: Sequence[Event]) -> None:
    """Send the spans that these events end.

    Raises:
        NotSent: none of them counts as sent.
    """
    lives, found = _read(events)
    if found:
        _send(found)
    for stream, life in lives.items():
        _lives[stream] = life
        _lives.move_to_end(stream)
        if life.root is None and not life.open:  # ended: whatever comes later reads it again
            del _lives[stream]
    while len(_lives) > MAX_KEPT:
        _lives.popitem(last=False)


def _read(events: Iterable[Event]) -> tuple[dict[str, Life], list[Span]]:
    """The lives after these events, and the spans they end."""
    lives: dict[str, Life] = {}
    found: list[Span] = []
    for event in events:
        if not event.stream.startswith(_PREFIX):
            continue
        if event.stream not in lives:
            lives[event.stream] = _life_before(event)
        found += _taken(lives[event.stream], event.line, event.seq)
    return lives, found


def _life_before(event: Event) -> Life:
    """What is kept, if it is not further: events that were read and not sent come again, and their run is read anew."""
    kept = _lives.get(event.stream)
    life = kept if kept is not None and kept.seq < event.seq else Life()
    if life.seq < event.seq - 1:
        earlier = Event.objects.filter(stream=event.stream, seq__gt=life.seq, seq__lt=event.seq).order_by("seq")
        for seq, line in earlier.values_list("seq", "line").iterator():
            _taken(life, line, seq)
    return life


def _taken(life: Life, line: str, seq: int) -> list[Span]:
    """A line that cannot be read as a span is a fault of the program, which must not hold up all others."""
    try:
        return spans.take(life, chain.read_line(line))
    except Exception:
        log.exception("span_unreadable", seq=seq)
        life.seq = seq
        return []


def _send(found: Sequence[Span]) -> None:
    from opentelemetry.sdk.trace.export import SpanExportResult

    client, resource, scope = _client()
    if client.export([_readable(span, resource, scope) for span in found]) is not SpanExportResult.SUCCESS:
        raise NotSent(f"the collector did not take {len(found)} spans")


@cache
def _client() -> Any:
    """What speaks OTLP, and what it says of us; made at first use, after the fork."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    endpoint = f"{settings.OTLP_ENDPOINT}/v1/traces"
    client = OTLPSpanExporter(endpoint=endpoint, headers=dict(settings.OTLP_HEADERS), timeout=SEND_SECONDS)
    return client, Resource({"service.name": settings.OTLP_SERVICE}), InstrumentationScope("aegis")


def _readable(span: Span, resource: Any, scope: Any) -> Any:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def context(id_: str, *, is_remote: bool) -> Any:
        return SpanContext(int(span.trace, 16), int(id_, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.id, is_remote=False),
        parent=context(span.parent, is_remote=True) if span.parent else None,
        resource=resource,
        attributes=_plain(span.attributes),
        kind=SpanKind.CLIENT if span.is_call else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(StatusCode.UNSET),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=scope,
    )


def _plain(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {name: value for name, value in attributes.items() if value != ""}


def _nanoseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(microseconds=1) * 1_000
