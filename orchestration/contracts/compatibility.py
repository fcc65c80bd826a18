"""May a new version of a contract follow an old one? Pure.

backward: the new version takes every message of the old one, so whoever reads the new one reads what is under way.
forward: the old version takes every message of the new one, so whoever reads the old one reads what comes. full: both.

Only what is proven passes. Where it is not, the part of the messages that would be lost is told, with a message that one
version takes and the other refuses, checked by the checker that runs use; where no such message is found, that it cannot be
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from aegis.core import canonical
from aegis.core.canonical import Json
from orchestration.contracts import subsumption
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.contracts.wording import pointer

Rule = Literal["none", "backward", "forward", "full"]
RULES: Final[Sequence[Rule]] = ("none", "backward", "forward", "full")
MAX_EXAMPLE_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages that `giver` takes and `taker` refuses, or may refuse.

    Attributes:
        where: JSON pointer into the message.
        rule: what the taker asks there: "must be there".
        example: such a message; None if none was found, then it only cannot be compared.
    """

    giver: str
    taker: str
    where: str
    rule: str
    example: Json = None

    @property
    def is_proven(self) -> bool:
        return self.example is not None

    @property
    def sentence(self) -> str:
        asked = f"{self.taker} asks: {self.rule}"
        place = f"at {self.where}, " if self.where else ""
        if not self.is_proven:
            return f"cannot be compared: {place}{asked}; that {self.giver} keeps to it is not proven"
        return f"{place}{asked}; {self.giver} does not, so messages such as {self.shown_example} would be lost"

    @property
    def shown_example(self) -> str:
        text = canonical.dump(self.example).decode()
        return text if len(text) <= MAX_EXAMPLE_CHARS else f"{text[: MAX_EXAMPLE_CHARS - 1]}…"


def losses(taker: tuple[str, Json], giver: tuple[str, Json]) -> list[Loss]:
    """What the taker refuses, or may refuse, of the giver's messages; empty only if it is proven to take them all.

    Args:
        taker, giver: name and schema; a schema that `compile_schema` took.
    """
    taking, giving = compile_schema(taker[1]), compile_schema(giver[1])
    return [
        Loss(giver[0], taker[0], pointer(gap.path), gap.rule, _example(gap.tries, taking, giving))
        for gap in subsumption.gaps(taker[1], giver[1])
    ]


def check(rule: str, old: tuple[str, Json], new: tuple[str, Json]) -> list[Loss]:
    """What speaks against `new` following `old` under a rule."""
    found: list[Loss] = []
    if rule in ("backward", "full"):
        found += losses(taker=new, giver=old)
    if rule in ("forward", "full"):
        found += losses(taker=old, giver=new)
    return found


def relation(old: tuple[str, Json], new: tuple[str, Json]) -> tuple[Rule, list[Loss]]:
    """The strictest rule that is proven between two versions, and what stands against `full`."""
    back, forth = losses(taker=new, giver=old), losses(taker=old, giver=new)
    rule: Rule = ("none" if forth else "forward") if back else ("backward" if forth else "full")
    return rule, [*back, *forth]


def _example(tries: Iterable[Json], taking: Checker, giving: Checker) -> Json:
    """The shortest try that shows the difference; messages are objects, so `None` can say that there is none."""
    shown = [value for value in tries if isinstance(value, Mapping) and giving.accepts(value) and not taking.accepts(value)]
    return min(shown, key=lambda value: len(canonical.dump(value)), default=None)
