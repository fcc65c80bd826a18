"""What is counted of runs, agents, routing and hand-overs (audit.metrics). Each reads one event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audit.metrics.measures import Measure, Seen
from orchestration.engine.deadletters import CODES
from orchestration.engine.state import ENDINGS

#: Event of an answer -> what it counts as.
ANSWERS: Final[Mapping[str, str]] = {
    "step.completed": "done",
    "step.unsure": "unsure",
    "step.abstained": "abstained",
    "step.failed": "failed",
    "contract.violated": "failed",  # its code among the failures is "contract"
}
#: Ends of the name of an ending are its outcome ("run.rolled_back").
_OUTCOMES: Final = frozenset(name.removeprefix("run.") for name in ENDINGS)
_SUCCESSES: Final = frozenset({"yes", "no", "unknown", "none", ""})
_FAILURES: Final = ("step.failed", "contract.violated", "effect.failed")
_USED: Final = ("step.completed", "step.unsure", "step.abstained", "contract.violated")
#: The agent version as people compare it: the beginning of its digest.
VERSION_CHARS: Final = 12


def _ending(seen: Seen) -> tuple[str, ...] | None:
    """Runs that somebody submitted: a branch or an item of one ends inside it."""
    if seen.first is None or seen.first.type != "run.submitted":
        return None
    return seen.type.removeprefix("run."), seen.text("success")


def _answer(seen: Seen) -> tuple[str, ...] | None:
    return (seen.agent, ANSWERS[seen.type]) if seen.agent else None


def _failure(seen: Seen) -> tuple[str, ...] | None:
    code = "contract" if seen.type == "contract.violated" else seen.text("code")
    return (seen.agent, seen.agent_digest[:VERSION_CHARS], seen.step, code) if seen.agent else None


def _used(name: str) -> Measure:
    return Measure(
        name,
        _USED,
        ("agent",),
        lambda seen: (seen.agent,) if seen.agent and seen.number(name) else None,
        amount=lambda seen: seen.number(name),
    )


MEASURES: Final = (
    Measure("started", ("run.submitted",), (), lambda seen: ()),
    Measure(
        "runs",
        ENDINGS,
        ("outcome", "success"),
        _ending,
        amount=lambda seen: seen.age_ms,
        has_spread=True,
        needs_first=True,
        closed={"outcome": _OUTCOMES, "success": _SUCCESSES},
    ),
    Measure("routes", ("route.chosen",), ("table", "case"), lambda seen: (seen.text("table"), seen.text("case"))),
    Measure(
        "answers",
        tuple(ANSWERS),
        ("agent", "answer"),
        _answer,
        amount=lambda seen: seen.duration_ms,
        has_spread=True,
        closed={"answer": frozenset(ANSWERS.values())},
    ),
    Measure("failures", _FAILURES, ("agent", "version", "step", "code"), _failure),
    Measure(  # the safe default when a chain breaks: something failed, or a person's judgement is wanted
        "handed",
        ("review.opened",),
        ("kind", "code", "queue"),
        lambda seen: ("failure" if seen.text("code") in CODES else "judgement", seen.text("code"), seen.text("queue")),
        closed={"kind": frozenset({"failure", "judgement"})},
    ),
    _used("tokens"),
    _used("cost"),
)
