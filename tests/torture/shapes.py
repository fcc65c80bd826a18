"""What a seed makes: workflows of many shapes, orders for them, and what must come of each order."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

SHAPES: Final = 6

#: kind -> share of all orders; the rest is plain.
SHARES: Final = {"gated": 0.14, "unsafe": 0.14, "flaky": 0.06, "slow": 0.08, "abstain": 0.03, "garbage": 0.03}

#: Kinds whose agent leaves its step to a person, and the code that says why.
HANDED_OVER: Final = {"abstain": "abstained", "garbage": "contract"}


@dataclass(frozen=True, slots=True)
class Shape:
    """A workflow of one to three legs. In each an agent plans; then, in this leg's order, it asks, posts and stores."""

    name: str
    legs: tuple[tuple[str, ...], ...]

    def effects(self, kind: str) -> Iterator[tuple[str, str, int]]:
        """(step, "consent" | "post" | "store", leg) of every effect an order of this kind has, in order."""
        for leg, acts in enumerate(self.legs, 1):
            for act in acts:
                if act != "consent" or kind == "gated":
                    yield f"{act}{leg}", act, leg

    def document(self) -> dict[str, Any]:
        """Its manifest."""
        steps: list[dict[str, Any]] = []
        for leg, acts in enumerate(self.legs, 1):
            steps.append(
                {
                    "id": f"plan{leg}",
                    "agent": "fault-planner",
                    "input": {"id": f"input.id + '.{leg}'", "kind": "input.kind"},
                    "output": "fault-plan@1",
                    "timeout": "10s",
                    "retry": {"attempts": 3, "backoff": "1s", "jitter": True},
                }
            )
            following = [*(f"{act}{leg}" for act in acts), f"plan{leg + 1}" if leg < len(self.legs) else "done"]
            for act, after in zip(acts, following[1:], strict=True):
                if act == "consent":
                    cases = {"ask": f"consent{leg}", "go": after}
                    steps.append({"id": f"route{leg}", "route": "fault-route", "facts": {"kind": "input.kind"}, "cases": cases})
                remote = {"timeout": "10s", "retry": {"attempts": 9, "backoff": "1s", "jitter": True}} if act == "post" else {}
                steps.append({"id": f"{act}{leg}", "act": f"steps.plan{leg}.output.{act}", **remote})
        return {
            "apiVersion": "aegis/v1",
            "kind": "Workflow",
            "metadata": {"name": self.name, "owner": "Fault desk"},
            "spec": {
                "input": "fault-request@1",
                "business_key": "input.id",
                "fallback": {"queue": "fault-people"},
                "steps": [*steps, {"id": "done", "finish": "done"}],
            },
        }


def shape(number: int) -> Shape:
    dice = random.Random(number * 7919 + 1)
    legs = [tuple(dice.sample(("consent", "post", "store"), 3)) for _ in range(1 + number % 3)]
    return Shape(f"shape-{number}", tuple(legs))


ALL: Final = tuple(shape(number) for number in range(SHAPES))
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in ALL}


def manifests() -> str:
    """Every shape as one file that `aegis apply` reads (JSON is YAML)."""
    return "\n---\n".join(json.dumps(shape.document()) for shape in ALL)


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


def orders(dice: random.Random, prefix: str = "") -> Iterator[Order]:
    """Endless orders of all kinds and shapes."""
    for number in itertools.count():
        yield Order(f"{prefix}{number:05d}", _kind(dice.random()), dice.choice(ALL).name, dice.random() < 0.1)


def _kind(roll: float) -> str:
    for kind, share in SHARES.items():
        roll -= share
        if roll < 0:
            return kind
    return "plain"
