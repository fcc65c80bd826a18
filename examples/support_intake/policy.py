"""The written policy: what each intent means for queue, tier, urgency, legal review and automatic replies."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aegis.core.errors import Fault, Invalid

COLUMNS: Final = ("intent", "queue", "tier", "urgency", "legal_review", "auto_reply_allowed")
URGENCIES: Final = ("P1", "P2", "P3", "P4")  # P1: now; P4: days
TIERS: Final = ("L1", "L2", "SPECIALIST")
INTENT_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_?./-]{0,79}")
MAX_BYTES: Final = 1_000_000

_QUEUE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_FLAGS: Final = {"yes": True, "no": False}


class PolicyRefused(Invalid):
    code, title = "policy_refused", "The support policy cannot be used"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the policy."""

    intent: str
    queue: str
    tier: str
    urgency: str
    legal_review: bool
    auto_reply_allowed: bool


def parse_policy(content: bytes) -> Mapping[str, Line]:
    """Return intent -> line.

    Raises:
        PolicyRefused: any row is incomplete, unknown or repeated; `faults` names "row N, column".
    """
    if len(content) > MAX_BYTES:
        raise PolicyRefused(f"the policy is larger than {MAX_BYTES} bytes")
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PolicyRefused(f"the first row must be: {','.join(COLUMNS)}")
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as broken:
        raise PolicyRefused(f"not a CSV file in UTF-8: {broken}") from broken
    policy: dict[str, Line] = {}
    faults: list[Fault] = []
    for number, row in enumerate(rows, start=2):
        found = _faults_of(number, row, policy)
        faults += found
        if not found:
            policy[row["intent"]] = Line(
                row["intent"],
                row["queue"],
                row["tier"],
                row["urgency"],
                _FLAGS[row["legal_review"]],
                _FLAGS[row["auto_reply_allowed"]],
            )
    if faults:
        raise PolicyRefused(f"{faults[0]}", faults=faults)
    return policy


def most_urgent(*urgencies: str) -> str:
    """The most pressing of some urgencies; P1 comes first in the alphabet too."""
    return min(urgencies)


def _faults_of(number: int, row: Mapping[str, str], seen: Mapping[str, Line]) -> list[Fault]:
    checks = {
        "intent": bool(INTENT_PATTERN.fullmatch(row["intent"] or "")) and row["intent"] not in seen,
        "queue": bool(_QUEUE.fullmatch(row["queue"] or "")),
        "tier": row["tier"] in TIERS,
        "urgency": row["urgency"] in URGENCIES,
        "legal_review": row["legal_review"] in _FLAGS,
        "auto_reply_allowed": row["auto_reply_allowed"] in _FLAGS,
    }
    return [
        Fault(f"row {number}, {column}", f"{row[column]!r} is not acceptable here or repeated")
        for column, fits in checks.items()
        if not fits
    ]
