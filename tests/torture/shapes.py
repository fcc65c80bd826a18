"""What a seed makes: workflows of many shapes, orders for them, and what must come of each order."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.torture import families
from tests.torture.families import Family
from tests.torture.legs import Shape

SHAPES: Final = 6

#: kind -> share of all orders; the rest is plain.
SHARES: Final = {"gated": 0.14, "unsafe": 0.14, "flaky": 0.06, "slow": 0.08, "abstain": 0.03, "garbage": 0.03}

#: Kinds whose agent leaves its step to a person, and the code that says why.
HANDED_OVER: Final = {"abstain": "abstained", "garbage": "contract"}


def shape(number: int) -> Shape:
    dice = random.Random(number * 7919 + 1)
    legs = [tuple(dice.sample(("consent", "post", "store"), 3)) for _ in range(1 + number % 3)]
    return Shape(f"shape-{number}", tuple(legs))


ALL: Final = tuple(shape(number) for number in range(SHAPES))
FAMILIES: Final = (Family("family-0", ()),)
EVERY: Final = (*ALL, *FAMILIES)
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in EVERY}
#: Kinds that a family's orders have: where one of the others waits for people, the dock would be held.
SIMPLE: Final = ("plain", "flaky", "slow", "abstain", "garbage")


def manifests() -> str:
    """Every shape as one file that `aegis apply` reads (JSON is YAML)."""
    return "\n---\n".join(json.dumps(document) for document in [families.sub(), *(shape.document() for shape in EVERY)])


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of work to submit. `twice`: two clients send it at the same moment, under the same key."""

    id: str
    kind: str = "plain"
    workflow: str = ALL[0].name
    twice: bool = False

    @property
    def key(self) -> str:
        return f"order-{self.id}"

    @property
    def shape(self) -> Shape:
        return BY_NAME[self.workflow]

    @property
    def submission(self) -> Mapping[str, object]:
        return {"workflow": self.workflow, "input": {"id": self.id, "kind": self.kind}}


def orders(dice: random.Random, prefix: str = "", among: Sequence[Shape] = EVERY) -> Iterator[Order]:
    """Endless orders of all kinds, of these shapes."""
    for number in itertools.count():
        kind, shape = _kind(dice.random()), dice.choice(among)
        if shape in FAMILIES and kind not in SIMPLE:
            kind = "plain"
        yield Order(f"{prefix}{number:05d}", kind, shape.name, dice.random() < 0.1)


def _kind(roll: float) -> str:
    for kind, share in SHARES.items():
        roll -= share
        if roll < 0:
            return kind
    return "plain"
