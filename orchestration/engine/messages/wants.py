"""What a transition says of messages. Pure: the commit's own type satisfies it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from orchestration.engine.intended import Listening


class Wants(Protocol):
    """
    Attributes:
        listening: the message it waits for from now on (or again, after one that broke the contract).
        stops_listening: it did, and does no longer.
    """

    @property
    def run_id(self) -> UUID: ...
    @property
    def at(self) -> datetime: ...
    @property
    def listening(self) -> Listening | None: ...
    @property
    def stops_listening(self) -> bool: ...
