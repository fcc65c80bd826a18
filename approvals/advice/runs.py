"""What advice must know of runs, which live above: the port, which their owner implements and registers at start-up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from aegis.core.visibility import Viewer
from approvals.advice.cases import Passage, Standing


class Runs(Protocol):
    """Each a few queries, whatever is asked."""

    def undone(self, reader: Viewer, run_ids: Collection[UUID]) -> Mapping[UUID, bool]:
        """Of those of some runs that the reader may see: did they undo what they had done, or were they rolled back?"""

    def passed(self, reader: Viewer, policy: str, since: datetime, most: int) -> Sequence[Passage]:
        """What the policy's fast path let through since then, the newest first, at most so many."""

    def standing(self, policy: str) -> Standing:
        """What stands over the policy in the live matrix."""


class _NoRuns:
    def undone(self, reader: Viewer, run_ids: Collection[UUID]) -> Mapping[UUID, bool]:
        return {}

    def passed(self, reader: Viewer, policy: str, since: datetime, most: int) -> Sequence[Passage]:
        return ()

    def standing(self, policy: str) -> Standing:
        return Standing(is_locked=True, is_high=True)  # nothing is known, so nothing is loosened


_runs: Runs = _NoRuns()


def register(runs: Runs) -> None:
    global _runs
    _runs = runs


def owner() -> Runs:
    """Whoever registered; else one who knows of no run, and lets nothing be loosened."""
    return _runs
