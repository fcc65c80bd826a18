"""An event before it has a place: what verbs and the planner make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.canonical import Json


@dataclass(frozen=True, slots=True)
class Draft:
    """One event to append.

    Attributes:
        type: a registered event type ("run.submitted").
        data: what `fold` and the sentence need: opaque ids, names from configuration, codes, integers, booleans. Never text
            that a person or an agent typed; that is a payload.
        payloads: name -> canonical bytes; each gets a salted commitment in the line.
        on_behalf: user ref of the requester an agent acts for.
        cause: what led to it: "<stream>/<seq>", "inbox:<ordinal>", "change:<id>".
        matrix: number of the matrix version asked, if one was.
        agent_digest: digest of the agent version that acted, if one did.
    """

    type: str
    actor: Actor
    data: Mapping[str, Json] = field(default_factory=dict)
    payloads: Mapping[str, bytes] = field(default_factory=dict)
    on_behalf: str = ""
    cause: str = ""
    step: str = ""
    agent: str = ""
    agent_digest: str = ""
    capability: str = ""
    outcome: str = ""
    matrix: int = 0
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What all events of one stream share in one append.

    Attributes:
        scope, scope_id: whose visibility rule governs the event (audit.scopes).
        subject: random id standing for the business key.
        definition: digest of the workflow release.
    """

    stream: str
    scope: str
    scope_id: str = ""
    run_id: UUID | None = None
    subject: str = ""
    trace: str = ""
    definition: str = ""
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stands: the last seq and its leaf hash (64 zeros before the first line)."""

    seq: int = 0
    leaf: str = "0" * 64
