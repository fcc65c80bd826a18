"""Halts in the memory database: who stands under one, for how long, and who is told when it is gone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aegis.core.actors import SYSTEM, Actor
from tests.simulation.tables import Row, state_of


@dataclass(kw_only=True)
class Halts:
    """
    Attributes:
        halts: id -> agent, workflow id or "everything", of those that stand.
        halted: id -> the same, from, until; None = it stands.
    """

    halts: dict[str, str] = field(default_factory=dict)
    halted: dict[str, tuple[str, int, int | None]] = field(default_factory=dict)

    if TYPE_CHECKING:  # of the store
        epoch: int
        rows: dict[uuid.UUID, Row]

        def clock(self) -> int: ...
        def post(self, row: Row, kind: str, *, actor: Actor, ref: str = "", **fields: Any) -> None: ...

    def halt(self, halt: str, target: str) -> None:
        self.halts[halt] = target
        self.halted[halt] = (target, self.clock(), None)
        self.epoch += 1

    def lift(self, halt: str) -> None:
        del self.halts[halt]
        self.halted[halt] = (*self.halted[halt][:2], self.clock())
        self.epoch += 1

    def halt_of(self, agent: str, workflows: Sequence[str]) -> str:
        """The halt that stands over an intent of this agent in one of these workflows; "" if none does."""
        return next((halt for halt, target in self.halts.items() if target in ("everything", agent, *workflows)), "")

    def wake_held(self) -> None:
        """As the sweep of the guards: whoever was held by a halt that is gone is told to look again, once."""
        for row in self.rows.values():
            if row.status != "held" or row.wake > row.seen:
                continue
            state = state_of(row.state)
            if state.hold == "halt" and state.held_by not in self.halts:
                self.post(row, "resumed", actor=SYSTEM, ref=f"{state.hold}:{state.held_by}")

    def stood(self, names: Set[str], since_us: int) -> tuple[int, bool]:
        """Microseconds in which a halt over one of `names` stood since then, and whether one stands now."""
        now_us = self.clock()
        found = [(begun, until) for name, begun, until in self.halted.values() if name in names]
        total, reached = 0, since_us
        for begun, until in sorted((max(since_us, begun), min(now_us, until or now_us)) for begun, until in found):
            total += max(0, until - max(begun, reached))
            reached = max(reached, until)
        return total, any(until is None for _, until in found)
