"""Sending spans to an OpenTelemetry collector, as the journal grows.

Whatever can be asked again is computed again: a process keeps the lives of the runs it saw last only to save reading them.
A span that the collector will never take holds up no other; a collector that takes none for now holds up all.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from django.conf import settings

from aegis.core import clock
from audit import chain, exporters
from audit.models import Event
from orchestration.engine.traces import otlp, spans
from orchestration.engine.traces.otlp import Verdict
from orchestration.engine.traces.spans import Life, Span

NAME: Final = "traces"  # of the follower
TURN_SECONDS: Final = 20.0
MAX_KEPT: Final = 2_000  # lives; any other is read again from its stream
_PREFIX: Final = "run:"

log = structlog.get_logger(__name__)

_lives: OrderedDict[str, Life] = OrderedDict()


@dataclass(slots=True)
class _UnderWay:
    """What is known of events that are sent again after a fault, so that a collector slow to refuse is asked a little more
    each turn.

    Attributes:
        settled: id of a span -> "" if it was taken, else why it was left out.
        most: spans to begin with; a turn that only heard refusals halves it.
    """

    settled: dict[str, str] = field(default_factory=dict)
    most: int = sys.maxsize


_under_way = _UnderWay()


class NotSent(Exception):
    """The collector did not take the spans. They are sent again."""


def is_wanted() -> bool:
    return bool(settings.OTLP_ENDPOINT)


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


def send(events: Sequence[Event]) -> list[str]:
    """Send the spans that these events end. Returns those left out since the collector refuses them for good, in words.

    Raises:
        NotSent: none of them counts as sent.
    """
    lives, found = _read(events)
    refused = _deliver(found)
    for stream, life in lives.items():
        _lives[stream] = life
        _lives.move_to_end(stream)
        if life.root is None and not life.open:  # ended: whatever comes later reads it again
            del _lives[stream]
    while len(_lives) > MAX_KEPT:
        _lives.popitem(last=False)
    return refused


def _read(events: Iterable[Event]) -> tuple[dict[str, Life], list[Span]]:
    """The lives after these events, and the spans they end."""
    lives: dict[str, Life] = {}
    found: list[Span] = []
    for event in events:
        if not event.stream.startswith(_PREFIX):
            continue
        if event.stream not in lives:
            lives[event.stream] = _life_before(event)
        found += _taken(lives[event.stream], event)
    return lives, found


def _life_before(event: Event) -> Life:
    """What is kept, if it is not further: events that were read and not sent come again, and their run is read anew."""
    kept = _lives.get(event.stream)
    life = kept if kept is not None and kept.seq < event.seq else Life()
    if life.seq < event.seq - 1:
        earlier = Event.objects.filter(stream=event.stream, seq__gt=life.seq, seq__lt=event.seq).order_by("seq")
        for one in earlier.only("stream", "seq", "line").iterator():
            _taken(life, one)
    return life


def _taken(life: Life, event: Event) -> list[Span]:
    """A line that cannot be read as a span is a fault of the program, which must not hold up all others."""
    try:
        return spans.take(life, chain.read_line(event.line))
    except Exception:
        log.exception("span_unreadable", stream=event.stream, seq=event.seq)
        life.seq = event.seq
        return []


def _deliver(found: Sequence[Span]) -> list[str]:
    """Send spans. What the collector refuses for good is halved until each that it refuses stands alone, and is left out.

    Returns:
        Those left out, in words.

    Raises:
        NotSent: the others wait. Those it has said something about are known to this process, and not asked about again.
    """
    global _under_way
    until, settled = clock.monotonic() + TURN_SECONDS, _under_way.settled
    waiting = [span for span in found if span.id not in settled]
    known, most = len(settled), _under_way.most
    parts = [waiting[start : start + most] for start in range(0, len(waiting), most)][::-1]
    while parts:
        part = parts.pop()
        answer = otlp.ask(part)
        if answer.verdict is Verdict.TAKEN:
            settled.update((span.id, "") for span in part)
        elif answer.verdict is Verdict.LATER:
            raise NotSent(f"the collector did not take {len(part)} spans: {answer.why}")
        elif len(part) > 1:
            half = len(part) // 2
            parts += [part[half:], part[:half]]
            if len(settled) == known:
                _under_way.most = half
        else:
            settled[part[0].id] = _left_out(part[0], answer.why)
        if parts and clock.monotonic() > until:
            raise NotSent("the collector refuses too many spans for one turn")
    _under_way = _UnderWay()
    return [why for span in found if (why := settled.get(span.id))]


def _left_out(span: Span, why: str) -> str:
    """
    Raises:
        NotSent: it refuses nothing at all as well, so its fault is not the span's (a port that speaks something else).
    """
    if (answer := otlp.ask([])).verdict is not Verdict.TAKEN:
        raise NotSent(f"the collector takes no spans at all: {answer.why}")
    run = span.attributes.get("aegis.run.id", "")
    log.error("span_refused", run=run, trace=span.trace, span=span.id, name=span.name, reason=why)
    return f"{span.name!r} of run {run}: {why}"
