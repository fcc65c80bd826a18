"""Workflows of legs: in each an agent plans, then effects follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


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

    def keys(self, run_id: str, kind: str) -> Iterator[tuple[str, str, int]]:
        """(key of the effect, "consent" | "post" | "store", leg) of every effect of a run that completes."""
        for step, act, leg in self.effects(kind):
            yield f"{run_id}/{step}/1/0", act, leg

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
