"""Limits and breaker settings that Agent and Capability documents declare: schema, faults, words, and what widens. Pure.

    limits: {rate: {count: 60, per: 1m}, concurrency: 4, retries: {share: 20, floor: 10, within: 1m}}
    breaker: {failures: 5, within: 1m, cooldown: 30s, factor: 2, cap: 10m}

They are live: the matrix carries them, a change acts on runs that are under way (DESIGN promise 10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault

MAX_COUNT: Final = 100_000
MAX_PER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in any stretch of time of length `per`."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """At most `floor` retries, and `share` per cent of the calls, in any stretch of time of length `within`."""

    share: int
    floor: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    rate: Rate | None = None
    concurrency: int | None = None
    retries: RetryBudget | None = None

    def __bool__(self) -> bool:
        return self.rate is not None or self.concurrency is not None or self.retries is not None


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens and how long it stays so.

    Attributes:
        failures: in a row, none older than `within`.
        cooldown: before the first probe; times `factor` after each probe that fails, at most `cap`.
        jitter: the cooldown is made longer by up to this part of it.
    """

    failures: int = 5
    within: timedelta = timedelta(minutes=1)
    cooldown: timedelta = timedelta(seconds=30)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=10)
    jitter: float = 0.2


NO_LIMITS: Final = Limits()
DEFAULT_BREAKER: Final = BreakerSettings()

_COUNT: Json = {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}

#: Properties of the spec of an Agent and of a Capability.
SCHEMA: Final[Mapping[str, Json]] = {
    "limits": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "description": "How much is asked of it at most. Runs beyond wait, in turn; nothing is refused.",
        "properties": {
            "rate": {
                "type": "object",
                "additionalProperties": False,
                "required": ["count", "per"],
                "properties": {"count": _COUNT, "per": durations.SCHEMA},
            },
            "concurrency": {"type": "integer", "minimum": 1, "maximum": 10_000},
            "retries": {
                "type": "object",
                "additionalProperties": False,
                "required": ["share", "floor", "within"],
                "description": "Retries are at most `share` per cent of its calls, and always `floor`, within that time.",
                "properties": {
                    "share": {"type": "integer", "minimum": 0, "maximum": 100},
                    "floor": _COUNT,
                    "within": durations.SCHEMA,
                },
            },
        },
    },
    "breaker": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "description": "When its circuit breaker opens, where the default (5 failures in a row within 1m) does not fit.",
        "properties": {
            "failures": {"type": "integer", "minimum": 1, "maximum": 100},
            "within": durations.SCHEMA,
            "cooldown": durations.SCHEMA,
            "factor": {"type": "integer", "minimum": 1, "maximum": 10},
            "cap": durations.SCHEMA,
        },
    },
}


def declared(spec: Mapping[str, Json]) -> dict[str, Json]:
    """The part of a spec that the matrix carries; empty for most."""
    return {name: spec[name] for name in SCHEMA if name in spec}


def limits_of(spec: Mapping[str, Json]) -> Limits:
    found = spec.get("limits")
    if not found:
        return NO_LIMITS
    rate, retries = found.get("rate"), found.get("retries")
    return Limits(
        rate=Rate(rate["count"], durations.parse(rate["per"])) if rate else None,
        concurrency=found.get("concurrency"),
        retries=RetryBudget(retries["share"], retries["floor"], durations.parse(retries["within"])) if retries else None,
    )


def breaker_of(spec: Mapping[str, Json]) -> BreakerSettings:
    found = spec.get("breaker")
    if not found:
        return DEFAULT_BREAKER
    default = DEFAULT_BREAKER
    return BreakerSettings(
        failures=found.get("failures", default.failures),
        within=_duration(found, "within", default.within),
        cooldown=_duration(found, "cooldown", default.cooldown),
        factor=found.get("factor", default.factor),
        cap=_duration(found, "cap", default.cap),
        jitter=default.jitter,
    )


def faults(spec: Mapping[str, Json]) -> list[Fault]:
    """What the schema cannot say. Call it on a spec that passed the schema."""
    found = []
    for place, text in _durations(spec):
        try:
            if durations.parse(text) > MAX_PER:
                found.append(Fault(place, f"longer than {durations.describe(MAX_PER)}", "name a count for a shorter time"))
        except durations.DurationInvalid as error:
            found.append(Fault(place, error.detail))
    if found:
        return found
    settings = breaker_of(spec)
    if settings.cap < settings.cooldown:
        found.append(Fault("/spec/breaker/cap", f"shorter than the cooldown, {durations.describe(settings.cooldown)}"))
    return found


def worded(sentences: Sequence[str], old: Mapping[str, Json] | None, new: Mapping[str, Json] | None, name: str) -> list[str]:
    """A change told path by path, with its limits in words.

    Args:
        sentences: as `approvals.governed.describe` tells it.
        old, new: the specs; None for a document that is new, or removed.
    """
    if old is None or new is None:
        return list(sentences)
    before, after = limits_of(old), limits_of(new)
    said = []
    if before.rate != after.rate:
        is_, was = (rate_words(rate) if rate else "without limit" for rate in (after.rate, before.rate))
        said.append(f"{name} may be asked {is_}; before, {was}.")
    if before.concurrency != after.concurrency:
        is_, was = (f"{found:,}" if found else "any number" for found in (after.concurrency, before.concurrency))
        said.append(f"{name} may do {is_} at once; before, {was}.")
    if before.retries != after.retries:
        is_, was = (budget_words(found) if found else "without limit" for found in (after.retries, before.retries))
        said.append(f"{name} may be tried again {is_}; before, {was}.")
    return [*said, *(sentence for sentence in sentences if not sentence.startswith("spec.limits"))]


def widened(old: Mapping[str, Json], new: Mapping[str, Json], name: str) -> list[str]:
    """Sentences for what a change lets through that was held before. A limit is a guard: one person alone removes none."""
    before, after = limits_of(old), limits_of(new)
    said = []
    if before.rate and (after.rate is None or _more(after.rate, before.rate)):
        said.append(f"{name} may be asked more often than {rate_words(before.rate)}.")
    if before.concurrency and (after.concurrency is None or after.concurrency > before.concurrency):
        said.append(f"{name} may do more than {before.concurrency} at once.")
    if before.retries and (after.retries is None or _retries_more(after.retries, before.retries)):
        said.append(f"{name} may be tried again more often than {budget_words(before.retries)}.")
    return said


def rate_words(rate: Rate) -> str:
    """ "60 per 1m"."""
    return f"{rate.count:,} per {durations.describe(rate.per)}"


def budget_words(budget: RetryBudget) -> str:
    return f"{budget.share} % of its calls, or {budget.floor:,}, within {durations.describe(budget.within)}"


def _more(new: Rate, old: Rate) -> bool:
    # More in the long run, or more at once: 600 per 10m lets a burst through that 60 per 1m does not.
    return new.count * old.per > old.count * new.per or new.count > old.count


def _retries_more(new: RetryBudget, old: RetryBudget) -> bool:
    # Another stretch lets more through either way: a shorter one has its floor more often, a longer one more of it at once.
    return new.share > old.share or new.floor > old.floor or new.within != old.within


def _duration(found: Mapping[str, Json], name: str, default: timedelta) -> timedelta:
    return durations.parse(found[name]) if name in found else default


def _durations(spec: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    limits, breaker = spec.get("limits", {}), spec.get("breaker", {})
    for part, name in (("rate", "per"), ("retries", "within")):
        if part in limits:
            yield f"/spec/limits/{part}/{name}", limits[part][name]
    for name in ("within", "cooldown", "cap"):
        if name in breaker:
            yield f"/spec/breaker/{name}", breaker[name]
