"""What a vote is signed with, beside the digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Signature:
    """What a vote is signed with, beside the digest.

    Attributes:
        name: the person's, as it was then.
        meaning: what the act means, in one sentence.
        proved_at: when the person last proved who it is; None if that is not known.
        seconds_open: how long the page had been open; None if it was not decided on a page.
    """

    name: str
    meaning: str
    proved_at: datetime | None = None
    seconds_open: int | None = None
