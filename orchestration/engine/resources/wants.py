"""What a transition says of resources. Pure: the commit's own type satisfies it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from orchestration.engine.intended import Queueing


class Wants(Protocol):
    """
    Attributes:
        claims: key of the resource that the run takes; "" for none.
        queueing: the resource it waits for from now on.
        lets_go: it neither holds nor waits for one any more.
    """

    @property
    def run_id(self) -> UUID: ...
    @property
    def at(self) -> datetime: ...
    @property
    def claims(self) -> str: ...
    @property
    def queueing(self) -> Queueing | None: ...
    @property
    def lets_go(self) -> bool: ...
