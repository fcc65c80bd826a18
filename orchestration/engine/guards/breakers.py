"""The circuit breaker as a state machine. Pure: time and chance are arguments.

    closed      failures in a row are kept; `settings.failures` of them within `settings.within` open it
    open        nobody is let through until `until`; without `until`, until somebody closes it
    half-open   one run probes; its success closes the breaker, its failure opens it for longer, its silence frees the probe

What was under way when it opened may still come back: only the probe's answer counts then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from aegis.core import canonical, clock_text
from orchestration.authority.limits import BreakerSettings

Phase = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure that still counts. `place` is the event that records it, "<stream>/<seq>"."""

    place: str
    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where a breaker stands.

    Attributes:
        failures: in a row, oldest first; once open, those that opened it.
        openings: in a row; each makes the next cooldown longer.
        until: while open: when a probe may be tried; None: when somebody closes it.
        probe, probe_until: the run that probes, and when its worker counts as dead.
    """

    phase: Phase = "closed"
    failures: tuple[Failure, ...] = ()
    openings: int = 0
    until: datetime | None = None
    probe: str = ""
    probe_until: datetime | None = None

    @property
    def is_pristine(self) -> bool:
        return self == PRISTINE


PRISTINE = Breaker()

#: What a run that needs the guarded thing gets: go, go as the probe, or wait.
Answer = Literal["go", "probe", "wait"]


def ask(breaker: Breaker, run: str, now: datetime) -> Answer:
    """May `run` ask now? A run that lost its worker while it probed goes on probing."""
    match breaker.phase:
        case "closed":
            return "go"
        case "open":
            return "probe" if breaker.until is not None and breaker.until <= now else "wait"
        case "half_open":
            is_free = breaker.probe in ("", run) or breaker.probe_until is None or breaker.probe_until <= now
            return "probe" if is_free else "wait"


def take_probe(breaker: Breaker, run: str, now: datetime, seconds: float) -> Breaker | None:
    """Half-open with this run as the one probe; None if it may not probe (any more)."""
    if ask(breaker, run, now) != "probe":
        return None
    return replace(breaker, phase="half_open", until=None, probe=run, probe_until=now + timedelta(seconds=seconds))


def fail(breaker: Breaker, run: str, failure: Failure, settings: BreakerSettings, roll: float) -> Breaker:
    """A counted failure came back.

    Args:
        roll: in [0, 1), for jitter.
    """
    if breaker.phase == "half_open" and breaker.probe == run:
        return _open(breaker, (failure,), settings, failure.at, roll)
    if breaker.phase != "closed":
        return breaker
    recent = tuple(item for item in breaker.failures if item.at > failure.at - settings.within)
    failures = (*recent, failure)[-settings.failures :]
    if len(failures) < settings.failures:
        return replace(breaker, failures=failures)
    return _open(breaker, failures, settings, failure.at, roll)


def succeed(breaker: Breaker, run: str) -> Breaker:
    """An answer that counts as a success came back: failures in a row are over; the probe's closes."""
    if breaker.phase == "closed" or (breaker.phase == "half_open" and breaker.probe == run):
        return PRISTINE
    return breaker


def open_by_hand(breaker: Breaker) -> Breaker:
    """Open until somebody closes it: no time, no probe."""
    return Breaker(phase="open", failures=breaker.failures, openings=breaker.openings)


def cooldown(openings: int, settings: BreakerSettings, roll: float) -> timedelta:
    """How long the n-th opening in a row lasts: grows up to the cap; jitter only makes it longer."""
    grown = settings.cooldown.total_seconds() * settings.factor ** min(openings - 1, 64)
    seconds = min(grown, settings.cap.total_seconds()) * (1 + settings.jitter * roll)
    return timedelta(milliseconds=int(seconds * 1000))


def dump(failures: Sequence[Failure]) -> str:
    return canonical.dump([[item.place, item.code, clock_text.render(item.at)] for item in failures]).decode()


def load(text: str) -> tuple[Failure, ...]:
    return tuple(Failure(place, code, clock_text.parse(at)) for place, code, at in canonical.parse(text))


def _open(breaker: Breaker, failures: tuple[Failure, ...], settings: BreakerSettings, now: datetime, roll: float) -> Breaker:
    openings = breaker.openings + 1
    return Breaker("open", failures, openings, until=now + cooldown(openings, settings, roll))
