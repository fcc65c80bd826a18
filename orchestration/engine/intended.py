"""What a turn asks for beside its events: calls to start, records to patch, questions to open, waits to begin. Data only; the
commit makes it true together with the events, or none of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from aegis.core.canonical import Json
from orchestration.agents.protocol import AgentRequest
from orchestration.engine.world_port import RecordSnapshot
from orchestration.workflows.definition import AgentVersion
from orchestration.workflows.makers import Makers


@dataclass(frozen=True, slots=True)
class AgentCall:
    """An agent call whose intent is in this transition; started after the commit."""

    step: str
    visit: int
    attempt: int
    agent: AgentVersion
    request: AgentRequest
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class EffectCall:
    """A remote effect whose intent is in this transition."""

    step: str
    visit: int
    attempt: int
    key: str
    handler: str
    resource: Mapping[str, str]
    parameters: Mapping[str, Json]
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Patch:
    """A local effect: compare-and-set on a record."""

    record: RecordSnapshot
    body: bytes
    effect_key: str


@dataclass(frozen=True, slots=True)
class Opening:
    """An approval request to open."""

    id: uuid.UUID
    question: str  # "effect" or "step"
    subject: str
    policy: str
    digest: str
    risk: str
    capability: str
    agent: str  # the first behind it, as lists name it
    makers: Makers  # all whose work is judged
    evidence: Mapping[str, bytes]
    places: tuple[str, ...]  # of the outputs shown as evidence
    asked_by: str = ""  # user who asked for it, if that was a person: nobody decides his own wish


@dataclass(frozen=True, slots=True)
class ItemOpening:
    """A review item to open."""

    id: uuid.UUID
    queue: str
    step: str
    visit: int
    code: str
    contract: str
    choices: tuple[str, ...]
    skill: str = ""  # what its step asks of the person


@dataclass(frozen=True, slots=True)
class Listening:
    """The message that a run waits for."""

    id: uuid.UUID  # of the wait
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Queueing:
    """The resource that a run waits for."""

    id: uuid.UUID  # of the wait
    resource: str
