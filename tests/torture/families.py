"""A workflow whose runs have children, wait for a message and meet at a resource; and what must come of each of its orders."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.torture.legs import Shape

#: As in `orchestration.engine.scene`: ids of children follow from their parents'.
NAMESPACE: Final = uuid.UUID("6f1d2f0a-5b1e-4b6e-9d53-0a6e61c5a3f7")
MESSAGE: Final = "shipped"
SUB: Final = "family-sub"
CHILDREN: Final = 6  # of a run that completes: two branches, three items, one run of another workflow


@dataclass(frozen=True, slots=True)
class Family(Shape):
    """An agent plans; one branch posts, the other stores; a message is waited for; three items; a run of another workflow.

    Runs of one kind of order meet at one dock, which they hold while they run.
    """

    def keys(self, run_id: str, kind: str) -> Iterator[tuple[str, str, int]]:
        yield f"{_child(run_id, 'both', 0)}/post1/1/0", "post", 1
        yield f"{_child(run_id, 'both', 1)}/store1/1/0", "store", 1

    def document(self) -> dict[str, Any]:
        plan = {"id": "plan1", "agent": "fault-planner", "input": {"id": "input.id + '.1'", "kind": "input.kind"}}
        retry = {"attempts": 9, "backoff": "1s", "jitter": True}
        return _workflow(
            self.name,
            [
                {**plan, "output": "fault-plan@1", "timeout": "10s", "retry": {**retry, "attempts": 3}},
                {
                    "id": "both",
                    "parallel": {
                        "left": {
                            "steps": [{"id": "post1", "act": "steps.plan1.output.post", "timeout": "10s", "retry": retry}]
                        },
                        "right": {"steps": [{"id": "store1", "act": "steps.plan1.output.store"}]},
                    },
                },
                {"id": "news", "wait": {"message": MESSAGE, "key": "input.id", "output": "fault-request@1", "within": "1h"}},
                {"id": "each", "map": "[1, 2, 3]", "at_once": 2, "steps": [{"id": "one", "set": {"it": "item"}}]},
                {"id": "other", "run": SUB},
                {"id": "done", "finish": "done"},
            ],
            resource={"key": "'dock/' + input.kind", "hold": "while_running", "wait": "5m"},
        )


def sub() -> dict[str, Any]:
    """The workflow that families run."""
    return _workflow(SUB, [{"id": "note", "set": {"about": "input.id"}}, {"id": "done", "finish": "done"}])


def _workflow(name: str, steps: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    about = {"input": "fault-request@1", "business_key": "input.id", "fallback": {"queue": "fault-people"}}
    return {
        "apiVersion": "aegis/v1",
        "kind": "Workflow",
        "metadata": {"name": name, "owner": "Fault desk"},
        "spec": {**about, **spec, "steps": steps},
    }


def _child(run_id: str, step: str, ordinal: int) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{run_id}/{step}/1/child/{ordinal}/0")
