"""Limits of a grant: how often, how much, at what cost, and when. Pure (docs/adr/0028).

    limits: {rate: {count: 20, per: 1d, by: requester}, amount: {of: parameters.amount, most: 2000, per: 1d},
             tokens: {most: 100000, per: 1d}, cost: {most: 500, per: 1d}}
    during: {days: [mon, tue], from: "08:00", to: "18:00", zone: Europe/Vienna, valid_from: 2026-01-01, valid_until: 2026-12-31}
    beyond: duty-officer        # the policy asked once a limit is reached, or outside the hours; none = deny

Nothing here counts: what was used is a fact, read by the engine under the lock of the commit. What cannot be judged (no
fact, an amount that is none) counts as reached: an error never widens. Time slides: 2,000 a day is 2,000 in any 24 hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Final, Literal
from zoneinfo import ZoneInfo

from aegis.core import clock_text, durations
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.expressions import Bound, Expression, ExpressionInvalid, Failed, VariableType, compile_value

By = Literal["principal", "requester", "resource"]
What = Literal["rate", "amount", "tokens", "cost"]

MAX_PER: Final = timedelta(days=31)
MAX_AMOUNT: Final = 1_000_000_000
#: Amounts are counted in millionths, as whole numbers: sums are exact on every database.
UNIT: Final = 1_000_000
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHATS: Final[tuple[What, ...]] = ("rate", "amount", "tokens", "cost")
SPENT: Final[tuple[What, ...]] = ("tokens", "cost")  # counted when an agent replies, not when an effect happens
_NAMES: Final = ("limits", "during", "beyond")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` in any stretch of length `per`: of effects, of an amount (in millionths), of tokens, of cost.

    Attributes:
        by: whose uses are added up; tokens and cost are the principal's own.
        of: what an effect counts for, as CEL; empty but for an amount.
    """

    what: What
    most: int
    per: timedelta
    by: By = "principal"
    of: str = ""
    expression: Expression | Failed | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """When a grant holds. Times are minutes of the local day; `begin` after `end` goes over midnight.

    A day is that on which the stretch began: Friday 22:00 to 06:00 holds on Saturday at 05:00.
    """

    zone: str
    days: frozenset[int]
    begin: int = 0
    end: int = 1440
    first: date = date.min
    last: date = date.max


@dataclass(frozen=True, slots=True)
class GrantLimits:
    limits: tuple[Limit, ...] = ()
    hours: Hours | None = None
    beyond: str = ""

    def __bool__(self) -> bool:
        return bool(self.limits) or self.hours is not None

    @property
    def is_metered(self) -> bool:
        """Does it bound what an agent uses up by being asked?"""
        return any(limit.what in SPENT for limit in self.limits)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what a question is about: what limits count by."""

    principal: str  # "agent:<id>", "user:<id>"
    requester: str
    resource: str  # "<type>/<id>"

    def named(self, by: By) -> str:
        match by:
            case "principal":
                return self.principal
            case "requester":
                return self.requester
            case "resource":
                return self.resource


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter that a verdict rests on: what was used within `per` up to now."""

    key: str
    per: timedelta


@dataclass(frozen=True, slots=True)
class Count:
    """What an effect adds to a counter if it happens. 0 for what is only read: tokens, cost, an amount nobody can tell."""

    key: str
    per: timedelta
    used: int
    amount: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of the limits of one grant.

    Attributes:
        reached: names of what stands in the way ("amount", "hours"); configuration words only.
        why: sentences with numbers; they quote facts, so keep them in a payload.
    """

    reached: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()


NO_GRANT_LIMITS: Final = GrantLimits()
UNBOUNDED: Final = Judged()


def declared(grant: Mapping[str, Json]) -> dict[str, Json]:
    """The part of a grant that says its limits; empty for most."""
    return {name: grant[name] for name in _NAMES if name in grant}


def read(grant: Mapping[str, Json], variables: Mapping[str, VariableType]) -> GrantLimits:
    """The limits of a grant that passed schema and lint."""
    if "limits" not in grant and "during" not in grant:
        return NO_GRANT_LIMITS
    found = grant.get("limits", {})
    limits = tuple(_limit(what, found[what], variables) for what in WHATS if what in found)
    return GrantLimits(limits, _hours(grant["during"]) if "during" in grant else None, grant.get("beyond", ""))


def key_of(role: str, capability: str, limit: Limit, subject: Subject) -> str:
    """The counter of a limit. It does not depend on how much is allowed: raising a limit forgets nothing."""
    if limit.what in SPENT:
        return spent_key(limit.what, subject.principal)
    parts = "\0".join((role, capability, limit.by, subject.named(limit.by)))
    return f"limit:{limit.what}:{hashlib.sha256(parts.encode()).hexdigest()[:48]}"


def spent_key(what: What, principal: str) -> str:
    return f"limit:{what}:{principal}"


def readings(role: str, capability: str, found: GrantLimits, subject: Subject) -> Iterator[Reading]:
    """The counters that judging these limits needs."""
    for limit in found.limits:
        yield Reading(key_of(role, capability, limit, subject), limit.per)


def judge(
    role: str, capability: str, found: GrantLimits, subject: Subject, facts: Bound, known: Mapping[str, Json], *, counted: bool
) -> Judged:
    """Is any of them reached?

    Args:
        facts: what an amount is computed from.
        known: "clock" ({"now", "zones": {zone: minutes east of UTC}}) and "limits" ({counter: used}).
        counted: ask the counters too; without, only the clock.
    """
    reached: list[str] = []
    why: list[str] = []
    counts: list[Count] = []
    if found.hours is not None and (said := _outside(found.hours, known.get("clock"))):
        reached.append("hours")
        why.append(said)
    used_facts = known.get("limits")
    for limit in found.limits if counted else ():
        key = key_of(role, capability, limit, subject)
        used = used_facts.get(key) if isinstance(used_facts, Mapping) else None
        if type(used) is not int:
            reached.append(limit.what)
            why.append(f"{limit.what}: what was used is not known")
            continue
        amount = _amount(limit, facts)
        if isinstance(amount, Failed):
            reached.append(limit.what)
            why.append(f"{limit.what}: {limit.of} is no amount ({amount.reason})")
            amount = 0
        elif used + amount > limit.most or (limit.what in SPENT and used >= limit.most):
            reached.append(limit.what)
            rest = f", {shown(limit.what, amount)} more wanted" if limit.what not in SPENT else ""
            most, per = shown(limit.what, limit.most), per_words(limit.per)
            why.append(f"{limit.what}: {shown(limit.what, used)} of {most} {per} used{rest}")
        counts.append(Count(key, limit.per, used, 0 if limit.what in SPENT else amount))
    return Judged(tuple(reached), tuple(why), tuple(counts))


def millionths(value: object) -> int | Failed:
    """An amount as it is counted, rounded up."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Failed("not a number")
    try:
        amount = (Decimal(str(value)) * UNIT).to_integral_value(ROUND_UP)
    except InvalidOperation:
        return Failed("not a number")
    if not 0 <= amount <= MAX_AMOUNT * UNIT:
        return Failed("below nothing" if amount < 0 else "too large")
    return int(amount)


def shown(what: str, used: int) -> str:
    """ "1,200.5", as people write it."""
    if what != "amount":
        return f"{used:,}"
    return f"{Decimal(used) / UNIT:,f}"


def per_words(per: timedelta) -> str:
    """ "a day", "in 12h"."""
    names = {"1m": "a minute", "1h": "an hour", "1d": "a day", "7d": "a week"}
    text = durations.describe(per)
    return names.get(text, f"in {text}")


def clock_fact(now: datetime, zones: Iterable[str]) -> dict[str, Json]:
    """The fact `clock`: now, and how far these zones are from UTC at this moment. An unknown zone is left out."""
    offsets = {}
    for zone in sorted(zones):
        try:
            offset = now.astimezone(ZoneInfo(zone)).utcoffset()
        except (KeyError, ValueError, OSError):
            continue
        if offset is not None:
            offsets[zone] = int(offset / timedelta(minutes=1))
    return {"now": clock_text.render(now), "zones": offsets}


def _limit(what: What, entry: Json, variables: Mapping[str, VariableType]) -> Limit:
    per, by = durations.parse(entry["per"]), entry.get("by", "principal")
    if what == "rate":
        return Limit(what, int(entry["count"]), per, by)
    if what in SPENT:
        return Limit(what, int(entry["most"]), per)
    most = millionths(entry["most"])
    expression: Expression | Failed
    try:
        expression = compile_value(entry["of"], variables)
    except ExpressionInvalid as error:  # it passed lint once; until mended no amount can be told, so it counts as reached
        expression = Failed(error.detail)
    return Limit(what, most if isinstance(most, int) else 0, per, by, entry["of"], expression)


def _amount(limit: Limit, facts: Bound) -> int | Failed:
    if limit.what in SPENT:
        return 0
    if limit.what == "rate":
        return 1
    if not isinstance(limit.expression, Expression):
        return limit.expression or Failed("no expression")
    value = limit.expression.value(facts)
    return value if isinstance(value, Failed) else millionths(value)


def _hours(entry: Json) -> Hours:
    return Hours(
        zone=entry["zone"],
        days=frozenset(DAYS.index(day) for day in entry.get("days", DAYS)),
        begin=minutes(entry["from"]) if "from" in entry else 0,
        end=minutes(entry["to"]) if "to" in entry else 1440,
        first=date.fromisoformat(entry["valid_from"]) if "valid_from" in entry else date.min,
        last=date.fromisoformat(entry["valid_until"]) if "valid_until" in entry else date.max,
    )


def minutes(text: str) -> int:
    """Minutes of the day of "08:30"; 1440 for "24:00"."""
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def _outside(hours: Hours, clock: Json) -> str:
    """Why it does not hold at this moment; "" if it does."""
    local = _local(hours.zone, clock)
    if local is None:
        return "hours: the time is not known"
    if not hours.first <= local.date() <= hours.last:
        return f"hours: {local.date()} is outside the days it is valid on"
    minute, began = local.hour * 60 + local.minute, local
    is_over_midnight = hours.begin >= hours.end
    if is_over_midnight and minute < hours.end:
        began = local - timedelta(days=1)
    elif minute < hours.begin or (not is_over_midnight and minute >= hours.end):
        return f"hours: {local:%H:%M} in {hours.zone} is outside them"
    if began.weekday() not in hours.days:
        return f"hours: it does not hold on this day ({DAYS[began.weekday()]})"
    return ""


def _local(zone: str, clock: Json) -> datetime | None:
    """Local time by recorded facts alone: the zone's distance from UTC is a fact, so a verifier needs no tables of zones."""
    if not isinstance(clock, Mapping) or not isinstance(clock.get("zones"), Mapping):
        return None
    offset, now = clock["zones"].get(zone), clock.get("now")
    if type(offset) is not int or not isinstance(now, str):
        return None
    try:
        return clock_text.parse(now).astimezone(UTC) + timedelta(minutes=offset)
    except (ValueError, Malformed):
        return None
