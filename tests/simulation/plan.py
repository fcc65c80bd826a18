"""What goes wrong in one simulated run of the house, and when: drawn from the seed before anything happens, and printable.

`without` takes one kind of fault out again; what is left of a failing plan is the shortest story of the failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Any, Final

#: Points of `aegis.core.faults` that lie in a worker, and so kill one here; the others are a client's or a person's.
WORKER_POINTS: Final = (
    "claim_written", "claimed", "planned", "runs_moved", "waits_written", "journal_written", "committed", "call_starting",
    "call_answered", "effect_starting", "effect_answered", "driven", "sweeping",
)  # fmt: skip
#: A transaction of somebody else is rolled back or its answer lost; the caller does it again.
CALLER_POINTS: Final = ("submit_written", "submitted", "decision_written", "expiry_written")
#: The simulated house has no sealer: what is sealed or not changes nothing for a run.
OUTSIDE_POINTS: Final = ("leaves_written",)


@dataclass(frozen=True, slots=True)
class Plan:
    """Rates are chances per occasion; `crashes` names the passes (counted over all workers) that kill.

    Attributes:
        pause: a worker stands still for longer than its lease, at any point of its loop.
        gone: a commit stands, but its answer never arrives.
        poison: chance that a run kills every worker that plans it.
        matrix_edits, record_edits, clock_steps: how many, at random times.
    """

    workers: int = 2
    in_hand: int = 4
    lease_s: float = 4.0
    crashes: Mapping[str, frozenset[int]] = field(default_factory=dict)
    pause: float = 0.0
    gone: float = 0.0
    stop: float = 0.0
    answer_lost: float = 0.0
    answer_twice: float = 0.0
    answer_late: float = 0.0
    nudge_lost: float = 0.0
    nudge_twice: float = 0.0
    nudge_late: float = 0.0
    vote_lost: float = 0.0
    poison: float = 0.0
    killer: float = 0.0  # an agent call that takes its worker along
    missed: float = 0.0  # whoever committed a wait, a message or the end of a claim dies before looking for the other side
    word_twice: float = 0.0  # the word that a child has ended is there twice
    rate: float = 0.0  # an intent comes too soon after others and is held for some seconds
    halts: int = 0
    matrix_edits: int = 0
    record_edits: int = 0
    clock_steps: int = 0

    def without(self, name: str) -> Plan:
        """The same, but for one kind of fault."""
        if name.startswith("crash:"):
            point = name.partition(":")[2]
            return replace(self, crashes={known: passes for known, passes in self.crashes.items() if known != point})
        return replace(self, **{name: 0})

    def faults(self) -> list[str]:
        """The kinds of fault in it, by the names `without` takes."""
        plain = [one.name for one in fields(self) if one.name not in ("workers", "in_hand", "lease_s", "crashes")]
        return [name for name in plain if getattr(self, name)] + [f"crash:{point}" for point in self.crashes]

    def told(self) -> dict[str, Any]:
        """For people."""
        told: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}
        return {**told, "crashes": {point: sorted(passes) for point, passes in self.crashes.items()}}


def draw(seed: int) -> Plan:
    """The plan of a seed. One in ten has no fault at all: what only ever works under fire does not work."""
    rng = Random(f"plan/{seed}")
    shape = {"workers": rng.randint(1, 4), "in_hand": rng.choice([1, 2, 5, 20]), "lease_s": rng.choice([2.0, 4.0, 10.0])}
    if rng.random() < 0.1:
        return Plan(**shape)

    def sometimes(most: float) -> float:
        return round(rng.random() * most, 3) if rng.random() < 0.5 else 0.0

    points = rng.sample([*WORKER_POINTS, *CALLER_POINTS], rng.randint(0, 6))
    return Plan(
        **shape,
        crashes={point: frozenset(rng.sample(range(1, 25), rng.randint(1, 4))) for point in points},
        pause=sometimes(0.05),
        gone=sometimes(0.06),
        stop=sometimes(0.02),
        answer_lost=sometimes(0.15),
        answer_twice=sometimes(0.3),
        answer_late=sometimes(0.2),
        nudge_lost=rng.choice([0.0, 0.0, 0.3, 1.0]),
        nudge_twice=sometimes(0.5),
        nudge_late=sometimes(0.5),
        vote_lost=sometimes(0.3),
        poison=rng.choice([0.0, 0.0, 0.0, 0.08]),
        killer=sometimes(0.08),
        rate=sometimes(0.1),
        missed=sometimes(0.5),
        word_twice=sometimes(0.3),
        halts=rng.choice([0, 0, 0, 1, 3]),
        matrix_edits=rng.choice([0, 0, 1, 4]),
        record_edits=rng.choice([0, 0, 2, 12]),
        clock_steps=rng.choice([0, 0, 0, 2]),
    )
