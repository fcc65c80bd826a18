"""What a transition asks for its child runs, and for its parent. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from aegis.core.actors import SYSTEM, Actor
from audit.drafts import Draft
from orchestration.workflows.release import Release


@dataclass(frozen=True, slots=True)
class Child:
    """A run to be forked. Its requester, tier and subject are those of its parent's row.

    Attributes:
        step, visit: of the parent, which forked it.
        first: its first event.
        input_digest, business_key: of another workflow's run; "" = the parent's.
    """

    id: uuid.UUID
    step: str
    visit: int
    ordinal: int
    release: Release
    first: Draft
    input_digest: str = ""
    business_key: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """A word to a child run: an inbox row on it, written in the commit of its parent."""

    run_id: uuid.UUID
    kind: str  # InboxItem.Kind
    actor: Actor = SYSTEM


@dataclass(frozen=True, slots=True)
class Ended:
    """A child run has ended: an inbox row on its parent, written in the commit that ends it.

    Attributes:
        outcome: its status.
        code: why, if it was not well.
        output: position of the event that carries its output; 0 without one.
        effects: how many of its effects stand and could be undone; left: how many a person left standing.
        is_retryable: it failed, and can be tried again where it did.
    """

    parent_id: uuid.UUID
    outcome: str
    code: str
    output: int
    effects: int
    left: int
    is_retryable: bool
