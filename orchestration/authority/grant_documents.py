"""Limits of a grant as a Role document states them: schema, faults, words, and what widens. Pure (see `grant_limits`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import ExpressionInvalid, compile_value
from aegis.core.shape import target_of
from orchestration.authority import grant_limits
from orchestration.authority.grant_limits import DAYS, MAX_AMOUNT, MAX_PER, NO_GRANT_LIMITS, GrantLimits, Hours, Limit, shown
from orchestration.authority.matrix import CONDITION_VARIABLES

_COUNT: Final[Json] = {"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT}
_BY: Final[Json] = {
    "enum": ["principal", "requester", "resource"],
    "default": "principal",
    "description": "Whose uses are added up: of who acts, of whom it is done for, or on one resource.",
}
_TIME: Final[Json] = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
_DATE: Final[Json] = {"type": "string", "format": "date"}
_PARAMETER: Final = re.compile(r"\bparameters((?:\.[A-Za-z_]\w*)+)", re.ASCII)


def _budget(**more: Json) -> Json:
    properties = {"per": durations.SCHEMA, **more}
    required = ["per", *(name for name in more if name != "by")]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


#: Properties of a grant.
SCHEMA: Final[Mapping[str, Json]] = {
    "limits": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "description": "At most this much in any stretch of that length, by the effects that were let through.",
        "properties": {
            "rate": _budget(count=_COUNT, by=_BY),
            "amount": _budget(
                of={"type": "string", "minLength": 1, "maxLength": 2000, "description": "CEL, such as parameters.amount."},
                most={"type": "number", "exclusiveMinimum": 0, "maximum": MAX_AMOUNT},
                by=_BY,
            ),
            "tokens": _budget(most=_COUNT),
            "cost": _budget(most=_COUNT),
        },
    },
    "during": {
        "type": "object",
        "additionalProperties": False,
        "required": ["zone"],
        "minProperties": 2,
        "description": "When the grant holds, in the local time of a zone.",
        "properties": {
            "zone": {"type": "string", "minLength": 1, "maxLength": 60, "description": "Such as Europe/Vienna."},
            "days": {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1, "uniqueItems": True},
            "from": _TIME,
            "to": {**_TIME, "description": "A time before `from` is on the next day."},
            "valid_from": _DATE,
            "valid_until": {**_DATE, "description": "The last day."},
        },
    },
    "beyond": {
        "type": "string",
        "minLength": 1,
        "maxLength": 80,
        "description": "The policy whose approval is asked once a limit is reached, or outside the hours; none = deny.",
    },
}


def faults(grant: Mapping[str, Json], where: str, capability: Json | None, has_policy: Callable[[str], bool]) -> list[Fault]:
    """What the schema cannot say. Call it on a grant that passed the schema.

    Args:
        capability: the document of what is granted; None if there is none, which is told elsewhere.
    """
    if not (declared := grant_limits.declared(grant)):
        return []
    if grant["effect"] == "deny":
        return [Fault(f"{where}/{min(declared)}", "a deny has no limits: it holds always")]
    if set(declared) == {"beyond"}:
        return [Fault(f"{where}/beyond", "there is no limit to be beyond", "add limits or during")]
    found = []
    if "beyond" in grant and not has_policy(grant["beyond"]):
        found.append(Fault(f"{where}/beyond", f"there is no approval policy {grant['beyond']!r}"))
    if capability is not None and "limits" in grant and str(capability["spec"]["handler"]) == "portal.reveal":
        found.append(Fault(f"{where}/limits", "showing fields is no effect, so nothing is counted", "use during"))
    for name, entry in grant.get("limits", {}).items():
        found += _per_faults(entry["per"], f"{where}/limits/{name}/per")
    if amount := grant.get("limits", {}).get("amount"):
        found += _amount_faults(amount["of"], f"{where}/limits/amount/of", capability)
    return [*found, *_hours_faults(grant.get("during", {}), f"{where}/during")]


def read(grant: Mapping[str, Json]) -> GrantLimits:
    """The limits of a grant, as they are told; none where they cannot be read, which `faults` tells."""
    try:
        return grant_limits.read(grant, CONDITION_VARIABLES)
    except (ValueError, durations.DurationInvalid):
        return NO_GRANT_LIMITS


def words(found: GrantLimits) -> str:
    """All of it in words, "" for nothing: "at most 2,000 of parameters.amount a day; beyond that, denied"."""
    if not found:
        return ""
    parts = [limit_words(limit) for limit in found.limits]
    if found.hours:
        parts.append(hours_words(found.hours))
    beyond = f"with an approval under {found.beyond}" if found.beyond else "denied"
    return f"{', '.join(parts)}; beyond that, {beyond}"


def limit_words(limit: Limit) -> str:
    """ "at most 2,000 of parameters.amount a day for each requester"."""
    unit = {"rate": " times", "amount": f" of {limit.of}", "tokens": " tokens", "cost": " of cost"}[limit.what]
    whose = {"principal": "", "requester": " for each requester", "resource": " on each resource"}[limit.by]
    return f"at most {shown(limit.what, limit.most)}{unit} {grant_limits.per_words(limit.per)}{whose}"


def hours_words(hours: Hours) -> str:
    """ "mon, tue from 08:00 to 18:00 (Europe/Vienna), until 2026-12-31"."""
    days = "" if len(hours.days) == len(DAYS) else ", ".join(DAYS[day] for day in sorted(hours.days))
    is_all_day = (hours.begin, hours.end) == (0, 1440)
    times = "" if is_all_day else f"from {_time(hours.begin)} to {_time(hours.end)}"
    first = f"since {hours.first}" if hours.first != date.min else ""
    last = f"until {hours.last}" if hours.last != date.max else ""
    return f"only {' '.join(part for part in (days, times, first, last) if part)} ({hours.zone})"


def changed(name: str, capability: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """Sentences for a cell of which nothing but its limits changed."""
    before, after = read(old), read(new)
    was, is_ = ({limit.what: limit for limit in found.limits} for found in (before, after))
    said = []
    for what in dict.fromkeys([*was, *is_]):
        if was.get(what) != is_.get(what):
            now = limit_words(is_[what]) if what in is_ else f"without a limit of {what}"
            formerly = _formerly(was.get(what), is_.get(what))
            said.append(f"{name} may {capability} {now}, formerly {formerly}.")
    if before.hours != after.hours:
        now, formerly = (hours_words(found.hours) if found.hours else "at any time" for found in (after, before))
        said.append(f"{name} may {capability} {now}, formerly {formerly}.")
    if before.beyond != after.beyond:
        now, formerly = (f"asks under {found.beyond}" if found.beyond else "is denied" for found in (after, before))
        said.append(f"Beyond its limits {name} {now} for {capability}; formerly it {formerly}.")
    return said


def widened(old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """Why limits of a cell let more through than before; "" if none does. Both let something through."""
    before, after = read(old), read(new)
    rest = {limit.what: limit for limit in after.limits}
    for limit in before.limits:
        now = rest.get(limit.what)
        if now is None:
            return f"no longer {limit_words(limit)}"
        if _is_more(now, limit):
            return f"{limit_words(now)} instead of {limit_words(limit)}"
    if before.hours and before.hours != after.hours and not _is_within(after.hours, before.hours):
        return f"{hours_words(after.hours) if after.hours else 'at any time'} instead of {hours_words(before.hours)}"
    if before and after and after.beyond != before.beyond and after.beyond:
        return f"beyond its limits with an approval under {after.beyond}"
    return ""


def _formerly(old: Limit | None, new: Limit | None) -> str:
    if old is None:
        return "without that limit"
    is_same_but_most = new is not None and (old.what, old.per, old.by, old.of) == (new.what, new.per, new.by, new.of)
    return shown(old.what, old.most) if is_same_but_most else limit_words(old)


def _is_more(new: Limit, old: Limit) -> bool:
    # Another subject or amount cannot be compared. More in the long run, or more at once, is more.
    if (new.by, new.of) != (old.by, old.of):
        return True
    return new.most > old.most or new.most * old.per.total_seconds() > old.most * new.per.total_seconds()


def _is_within(new: Hours | None, old: Hours) -> bool:
    if new is None or new.zone != old.zone or not new.days <= old.days:
        return False
    if new.first < old.first or new.last > old.last:
        return False
    times = (new.begin, new.end) == (old.begin, old.end)
    return times or (old.begin < old.end and old.begin <= new.begin < new.end <= old.end)


def _per_faults(text: str, where: str) -> Iterator[Fault]:
    try:
        if durations.parse(text) > MAX_PER:
            yield Fault(where, f"longer than {durations.describe(MAX_PER)}", "name less for a shorter time")
    except durations.DurationInvalid as error:
        yield Fault(where, error.detail)


def _amount_faults(source: str, where: str, capability: Json | None) -> Iterator[Fault]:
    try:
        expression = compile_value(source, CONDITION_VARIABLES)
    except ExpressionInvalid as error:
        for fault in error.faults or (Fault("", error.detail),):
            yield Fault(f"{where} {fault.where}".rstrip(), fault.what)
        return
    if capability is None:
        return
    schema = capability["spec"]["parameters"]
    for found in _PARAMETER.finditer(source):
        types = _types_at(schema, found[1][1:].split("."))
        if types is None:
            name = capability["metadata"]["name"]
            yield Fault(where, f"{name} has no parameter {found[1][1:]}", "name one that its contract declares")
        elif expression.source.strip() == found[0] and types and not types & {"integer", "number"}:
            yield Fault(where, f"{found[0]} is no number but {', '.join(sorted(types))}", "name a parameter that is a number")


def _types_at(root: Json, path: list[str]) -> set[str] | None:
    """The types a contract gives to a place; empty if it does not say, None if there is no such place."""
    node = root
    for name in path:
        if isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
            node = target_of(root, node["$ref"])
        fields = node.get("properties", {}) if isinstance(node, Mapping) else {}
        if name not in fields:
            is_open = isinstance(node, Mapping) and node.get("additionalProperties") is not False
            has_choices = isinstance(node, Mapping) and any(word in node for word in ("allOf", "anyOf", "oneOf"))
            return set() if is_open or has_choices else None
        node = fields[name]
    if isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
        node = target_of(root, node["$ref"])
    kind = node.get("type") if isinstance(node, Mapping) else None
    return set() if kind is None else {kind} if isinstance(kind, str) else set(kind)


def _hours_faults(during: Mapping[str, Json], where: str) -> Iterator[Fault]:
    if not during:
        return
    try:
        ZoneInfo(during["zone"])
    except (KeyError, ValueError, OSError):
        yield Fault(f"{where}/zone", f"there is no time zone {during['zone']!r}", "write it like Europe/Vienna")
    if ("from" in during) != ("to" in during):
        yield Fault(where, "from and to go together")
    elif during.get("from", "00:00") == during.get("to", "24:00"):
        yield Fault(f"{where}/to", "is the time it begins; such hours last no time, or all day")
    if during.get("valid_from", "") > during.get("valid_until", "9"):
        yield Fault(f"{where}/valid_until", "is before valid_from")


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
