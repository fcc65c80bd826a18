"""What is counted of requests, votes and changes of configuration (audit.metrics). Pure."""

from __future__ import annotations

from typing import Final, get_args

from approvals.questions import Outcome
from audit.metrics.measures import Measure

_VERDICTS: Final = frozenset({"approve", "reject", "request_changes"})

MEASURES: Final = (
    Measure(  # how requests ended, and how long they stood open, halts included
        "requests",
        ("request.settled", "request.withdrawn"),
        ("policy", "outcome"),
        lambda seen: (seen.text("policy"), seen.outcome),
        amount=lambda seen: seen.age_ms,
        has_spread=True,
        needs_first=True,
        closed={"outcome": frozenset(get_args(Outcome))},
    ),
    Measure(  # how long a request had stood open when this person voted
        "votes",
        ("decision.made",),
        ("policy", "person", "verdict"),
        lambda seen: (seen.text("policy"), seen.actor, seen.text("verdict")),
        amount=lambda seen: seen.age_ms,
        has_spread=True,
        needs_first=True,
        closed={"verdict": _VERDICTS},
    ),
    Measure(
        "changes",
        ("config.applied",),
        ("kind", "action"),
        lambda seen: (seen.text("kind"), seen.text("action")),
    ),
)
