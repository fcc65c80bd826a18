"""What the parts of a block are called, everywhere the same: the branch by its name, the item by its number from 1, the run of
another workflow by that workflow. Pure."""

from __future__ import annotations

from typing import assert_never

from orchestration.workflows.definition import Block, MapStep, ParallelStep, RunStep


def name_of(step: Block, ordinal: int) -> str:
    """ "branch style", "item 1", "workflow billing": the part of a block that its child run number `ordinal` (from 0) walks."""
    match step:
        case ParallelStep():
            names = list(step.branches)
            return f"branch {names[ordinal]}" if ordinal < len(names) else f"branch {ordinal + 1}"
        case MapStep():
            return f"item {ordinal + 1}"
        case RunStep():
            return f"workflow {step.workflow}"
        case _:
            assert_never(step)
