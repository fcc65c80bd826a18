"""The one error tree: code, HTTP status and operator text are decided here and nowhere else.

Caught at three edges only: admin pages, API, worker. Everything else lets them pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document: where (JSON pointer, "line:column", or both), what, and the remedy if known.

    Attributes:
        code: which rule found it, as a stable word; "" where nobody tells findings apart. Two faults that differ in it alone
            are the same finding.
    """

    where: str
    what: str
    remedy: str = ""
    code: str = field(default="", compare=False)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.remedy})" if self.remedy else text


def coded(code: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """The same faults, with `code` where they have none of their own."""
    return (fault if fault.code else replace(fault, code=code) for fault in faults)


class AegisError(Exception):
    """Base of every refusal. `str(error)` is one sentence for a person.

    Attributes:
        is_on_record: the journal holds this refusal already, so the edge does not write it again.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    is_on_record: bool = False

    def __init__(self, detail: str = "", *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = tuple(faults)


class Invalid(AegisError):
    """A document, message or form breaks its rules. `faults` names each place."""

    code, http_status, title = "invalid", 422, "The input is not valid"


class Malformed(Invalid):
    """Bytes that are no acceptable JSON/YAML/CSV at all (duplicate keys, NaN, NUL, too deep, too large)."""

    code, http_status, title = "malformed", 400, "The input cannot be read"


class TooLarge(Malformed):
    code, http_status, title = "too_large", 413, "The input is too large"


class NotFound(AegisError):
    """Unknown id, or one the asker may not see: the two must look the same."""

    code, http_status, title = "not_found", 404, "Not found"


class Forbidden(AegisError):
    """Visible, but the verb is missing. Names the right, who holds it, and (the edge adds it) who can give it.

    Attributes:
        can_be_given: False where no grant would help: separation of duties, an act that belongs to one person.
    """

    code, http_status, title = "forbidden", 403, "You may not do this"
    can_be_given: bool = True

    def __init__(self, detail: str = "", *, right: str = "", granted_by: str = "") -> None:
        super().__init__(detail)
        self.right = right
        self.granted_by = granted_by


class NotAuthenticated(AegisError):
    code, http_status, title = "not_authenticated", 401, "Sign in first"


class Conflict(AegisError):
    """The state moved between looking and acting. Never a permission matter."""

    code, http_status, title = "conflict", 409, "The state has changed"


class Stale(Conflict):
    """What was signed is no longer what stands."""

    code, title = "stale", "It changed since you looked"


class IdempotencyMismatch(Invalid):
    code, title = "idempotency_mismatch", "This Idempotency-Key was used with another body"


class Unavailable(AegisError):
    """Not now, for a reason that is ours. `retry_after` is in seconds."""

    code, http_status, title = "unavailable", 503, "Try again in a moment"
    retry_after: float = 1.0


class StorageFull(Unavailable):
    """The database refused a write because its disk, or the size it may have, is used up."""

    code, title = "storage_full", "There is no space left to record this"
    retry_after = 10.0


class Overloaded(AegisError):
    """New work is held back before memory or disk suffer; what is under way goes on.

    Attributes:
        retry_after: seconds after which asking again makes sense.
    """

    code, http_status, title = "overloaded", 429, "AEGIS takes no more work at the moment"

    def __init__(self, detail: str = "", *, faults: Sequence[Fault] = (), retry_after: float = 1.0) -> None:
        super().__init__(detail, faults=faults)
        self.retry_after = retry_after


class IntegrityBroken(AegisError):
    """Stored data contradicts itself. Never repaired silently."""

    code, http_status, title = "integrity_broken", 500, "The record contradicts itself"
