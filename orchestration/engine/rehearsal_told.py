"""What a rehearsal has to tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aegis.core.canonical import Json

#: Who answered: the script, an agent that was really asked, nobody (assumed).
Source = Literal["given", "asked", "assumed"]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the run that would be.

    Attributes:
        values: its payloads by name ("output", "request", "proposal", "facts", ...).
        source: who answered, where the event records an answer.
    """

    step: str
    visit: int
    type: str
    data: Mapping[str, Json]
    values: Mapping[str, Json]
    outcome: str = ""
    matrix: int = 0
    agent: str = ""
    capability: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who would be waited for.

    Attributes:
        kind: decision, review, answer (of an agent nobody asked), message, guard.
        what: the policy, queue, agent, message or guard; who: groups.
        code: why it lies in a queue, or is held.
        within: the parts of blocks around the step ("checks: branch facts, claims: item 2"); "" in the run itself.
    """

    kind: str
    step: str
    what: str
    who: tuple[str, ...] = ()
    code: str = ""
    within: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One child run of a block, told like a run of its own.

    Attributes:
        step, visit: of the block, in the run around it.
        name: what the pages call it ("branch style", "item 1", "workflow billing").
        item: its number from 1, in a `map`; 0 elsewhere.
        is_run: it is a run of another workflow.
    """

    step: str
    visit: int
    name: str
    item: int
    is_run: bool
    played: Rehearsal


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would come of it.

    Attributes:
        path: steps entered, in order, until it ended or began to undo.
        status: as a run has it, or waiting_answer (also of a part), runaway.
        outcome: the named one of a completed run, the code of a failed one.
        waits_for: the first who would be waited for, in the run or, while it waits for children, in one of its parts.
        parts: the child runs of its blocks, in the order in which they were begun.
        given_up: why the rehearsal was given up, of a runaway.
    """

    status: str
    outcome: str
    success: str
    path: tuple[str, ...]
    happenings: tuple[Happening, ...]
    waits_for: Waiting | None
    business_key: str
    values: Mapping[str, Json]
    output: Json = None
    parts: tuple[Part, ...] = ()
    given_up: str = ""
