"""Rules of texts and numbers: which of them follow from others. Pure; the walk is in `subsumption`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aegis.core.canonical import Json
from orchestration.contracts import specimens
from orchestration.contracts.wording import LIMITS

Path = tuple[str | int, ...]
Nodes = tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A rule of the wide side that is not known to follow.

    Attributes:
        path: where in a message.
        rule: the rule, as "must be at most 5".
        tries: whole values of the level it is told at that may prove it.
        is_open: the walk cannot judge it.
    """

    path: Path
    rule: str
    tries: tuple[Json, ...] = ()
    is_open: bool = False


def texts(nodes: Nodes, wide: Mapping[str, Json]) -> Iterator[Gap]:
    all_texts = (*nodes, {"type": "string"})
    if "minLength" in wide and (shortest := int(most(nodes, "minLength"))) < wide["minLength"]:
        lengths = (shortest, min(int(wide["minLength"]) - 1, 5_000))
        tries = [text for length in lengths for text in specimens.texts_of_length(length, all_texts)]
        yield Gap((), LIMITS["minLength"].format(wide["minLength"]), tuple(tries))
    if "maxLength" in wide and least(nodes, "maxLength") > wide["maxLength"]:
        tries = specimens.texts_of_length(min(int(wide["maxLength"]) + 1, 20_000), all_texts)
        yield Gap((), LIMITS["maxLength"].format(wide["maxLength"]), tuple(tries))
    for word, said in (("pattern", "must match the pattern {}"), ("format", "must be a valid {}")):
        if word in wide and not any(node.get(word) == wide[word] for node in nodes):
            yield Gap((), said.format(wide[word]), tuple(specimens.specimens(all_texts)))


def numbers(nodes: Nodes, wide: Mapping[str, Json], *, is_whole: bool) -> Iterator[Gap]:
    kind = {"type": "integer" if is_whole else "number"}
    all_numbers = (*nodes, kind)
    for word, outer, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        have = _bound(nodes, word, outer, sign, is_whole)
        for asked in (word, outer):
            if asked in wide and have < _bound(({asked: wide[asked]},), word, outer, sign, is_whole):
                tries = specimens.around(wide[asked], all_numbers)
                yield Gap((), LIMITS[asked].format(wide[asked]), tuple(tries))
    step = wide.get("multipleOf")
    is_kept = (is_whole and step == 1) or any(_is_multiple(node.get("multipleOf"), step) for node in nodes)
    if step is not None and not is_kept:
        yield Gap((), LIMITS["multipleOf"].format(step), (*specimens.specimens(all_numbers), 1, step + 1))


def _bound(nodes: Sequence[Mapping[str, Json]], word: str, outer: str, sign: int, is_whole: bool) -> tuple[float, bool]:
    """The sharpest bound as (value, is exclusive), larger = sharper; upper bounds with their sign turned."""
    best: tuple[float, bool] = (-math.inf, False)
    for node in nodes:
        for key, is_open in ((word, False), (outer, True)):
            if key not in node:
                continue
            value = sign * node[key]
            if is_whole:
                value, is_open = (math.floor(value) + 1 if is_open else math.ceil(value)), False
            best = max(best, (value, is_open))
    return best


def _is_multiple(have: Json, asked: Json) -> bool:
    if have == asked:
        return have is not None
    # Only whole numbers: how a checker rounds fractions is its own affair.
    return isinstance(have, int) and isinstance(asked, int) and have % asked == 0


def most(nodes: Nodes, word: str) -> float:
    return max((node[word] for node in nodes if word in node), default=0)


def least(nodes: Nodes, word: str) -> float:
    return min((node[word] for node in nodes if word in node), default=math.inf)
