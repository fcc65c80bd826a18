"""What everybody raises who sees a promise broken."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise was broken. `promise` is a word that stays the same when the plan is shrunk."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise = promise
