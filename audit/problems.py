"""One thing that verification found wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Attributes:
        check: which check found it ("bytes", "chain", "gapless", "projections", "payloads", "heads", "state", "triggers").
        seq: the bad event; 0 if the whole stream is meant, or the database.
    """

    check: str
    stream: str
    seq: int
    why: str

    @property
    def place(self) -> str:
        """`<stream>#<seq>`, as pages and the command name an event; the stream, or "" for the database as a whole."""
        return f"{self.stream}#{self.seq}" if self.seq else self.stream

    def __str__(self) -> str:
        return f"{self.place or 'database'}: {self.why} [{self.check}]"
