"""Which values a plain CEL condition accepts, column by column, so that the analysis can judge it as it judges cells. Pure.

Read are conjunctions of tests of single columns: `vip && intent == 'card' && amount > 5.0 && (tier == 'a' || tier == 'b')`.
Anything else is left to CEL alone, and the analysis says which rows it could not judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core.canonical import Json
from orchestration.routing.regions import Region, Span
from orchestration.routing.values import Column

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_LITERAL: Final = r"'[^'\\\n]*'|\"[^\"\\\n]*\"|-?\d+(?:\.\d+)?|true|false"
_TRUTH: Final = re.compile(rf"(!?)\s*({_NAME})")
_TEST: Final = re.compile(rf"({_NAME})\s*(==|!=|<=|>=|<|>)\s*({_LITERAL})")
_MEMBER: Final = re.compile(rf"({_NAME})\s+in\s+\[\s*((?:{_LITERAL})(?:\s*,\s*(?:{_LITERAL}))*)\s*\]")
_QUOTED: Final = re.compile(r"'[^'\\\n]*'|\"[^\"\\\n]*\"")
_JUDGED: Final = frozenset({"string", "int", "number", "bool"})


def regions_of(condition: str, columns: Mapping[str, Column]) -> dict[str, Region] | None:
    """Column -> what it must be, for a condition that compiled; None if it is more than this can read."""
    if condition.strip() == "true":
        return {}
    found: dict[str, Region] = {}
    for part in _split(condition, "&&"):
        name, region = _one_column(part, columns)
        if region is not None and name in found:
            region = _both(found[name], region)
        if region is None:
            return None
        found[name] = region
    return found


def _both(one: Region, other: Region) -> Region | None:
    """What both accept: two ends of a range, or values within one."""
    if one.is_negated or other.is_negated:
        return None
    if not one.spans or not other.spans:
        listed, tested = (one, other) if not one.spans else (other, one)
        return Region(frozenset(value for value in listed.values if tested.holds(value)))
    if len(one.spans) > 1 or len(other.spans) > 1 or one.values or other.values:
        return None
    first, second = one.spans[0], other.spans[0]
    if first.low is not None and first.high is None and second.high is not None and second.low is None:
        return Region(spans=(Span(first.low, second.high, first.is_low_open, second.is_high_open),))
    if second.low is not None and second.high is None and first.high is not None and first.low is None:
        return Region(spans=(Span(second.low, first.high, second.is_low_open, first.is_high_open),))
    return None


def _one_column(text: str, columns: Mapping[str, Column]) -> tuple[str, Region | None]:
    """A test of one column, or several of the same one joined by ||."""
    names: set[str] = set()
    regions: list[Region] = []
    for part in _split(_bare(text), "||"):
        name, region = _test(_bare(part), columns)
        if region is None:
            return "", None
        names.add(name)
        regions.append(region)
    if len(regions) == 1:
        return names.pop(), regions[0]
    if len(names) > 1 or any(region.is_negated for region in regions):
        return "", None
    values = frozenset().union(*(region.values for region in regions))
    return names.pop(), Region(values, tuple(span for region in regions for span in region.spans))


def _test(text: str, columns: Mapping[str, Column]) -> tuple[str, Region | None]:
    if (found := _TRUTH.fullmatch(text)) and found[2] in columns and columns[found[2]].type == "bool":
        return found[2], Region(frozenset([not found[1]]))
    if found := _TEST.fullmatch(text):
        column = columns.get(found[1])
        return found[1], _compared(found[2], _literal(found[3])) if column and column.type in _JUDGED else None
    if found := _MEMBER.fullmatch(text):
        column = columns.get(found[1])
        values = frozenset(_literal(one[0]) for one in re.finditer(_LITERAL, found[2]))
        return found[1], Region(values) if column and column.type in _JUDGED else None
    return "", None


def _compared(operator: str, value: Json) -> Region | None:
    if operator in ("==", "!="):
        return Region(frozenset([value]), is_negated=operator == "!=")
    if isinstance(value, str | bool):
        return None  # CEL has an order of texts, cells have none
    if operator.startswith("<"):
        return Region(spans=(Span(high=value, is_high_open=operator == "<"),))
    return Region(spans=(Span(low=value, is_low_open=operator == ">"),))


def _literal(text: str) -> Json:
    if text in ("true", "false"):
        return text == "true"
    if text[0] in "'\"":
        return text[1:-1]
    return float(text) if "." in text else int(text)


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and _closes_at_end(text):
        text = text[1:-1].strip()
    return text


def _closes_at_end(text: str) -> bool:
    return all(depth > 0 for place, depth in _depths(text) if place < len(text) - 1)


def _split(text: str, operator: str) -> list[str]:
    """Parts between an operator that stands outside brackets and quotes; one part that cannot be read where those are amiss."""
    depths = dict(_depths(text))
    parts, begin, at = [], 0, 0
    while at < len(text):
        if depths.get(at) == 0 and text.startswith(operator, at):
            parts.append(text[begin:at])
            begin = at = at + len(operator)
        else:
            at += 1
    return [*parts, text[begin:]]


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """(place, depth of brackets) of each character outside quotes."""
    depth, at = 0, 0
    while at < len(text):
        if quoted := _QUOTED.match(text, at):
            at = quoted.end()
            continue
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
        yield at, depth
        at += 1
