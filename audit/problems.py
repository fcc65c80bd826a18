"""One thing that verification found wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Attributes:
        check: which check found it ("bytes", "chain", "gapless", "projections", "payloads", "heads", "state", "triggers",
            "tree", "signatures", "nodes", "unsealed", "erasures").
        seq: the bad event; 0 if the whole stream is meant, or the database.
        leaf: its place in the tree, if that is known.
    """

    check: str
    stream: str
    seq: int
    why: str
    leaf: int | None = None

    @property
    def place(self) -> str:
        """`<stream>#<seq>`, as pages and the command name an event; else its leaf, the stream, or "" for the whole database."""
        if self.seq:
            return f"{self.stream}#{self.seq}"
        return self.stream if self.leaf is None else f"leaf {self.leaf}"

    def __str__(self) -> str:
        return f"{self.place or 'database'}: {self.why} [{self.check}]"
