"""How long people take, and what deadline or reminder fits that. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Final

from aegis.core import durations
from aegis.core.canonical import Json
from approvals.advice.bounds import ALPHA, lower, needed, upper
from approvals.advice.cases import DECIDED, Advice, History, figure, percent
from approvals.policies import MAX_DEADLINE, Policy
from approvals.policy_words import duration_words

LIMIT: Final = 0.05  # of requests may expire
PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)

_HOUR: Final = 3_600
#: Lengths of time that people say, in seconds.
_NEAT: Final = tuple(
    [900, 1_800] + [hours * _HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 16, 24, 36)]
    + [days * 24 * _HOUR for days in (2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90)]
)  # fmt: skip


def advise(policy: Policy, spec: Mapping[str, Json], history: History) -> Advice:
    """A reminder or a longer deadline where many expire, a shorter one where none does and all are decided long before."""
    decided = [case for case in history.cases if case.is_weighed and case.outcome in DECIDED]
    expired = [case for case in history.cases if case.outcome == "expired"]
    weak = [case for case in history.cases if case.is_weak]
    figures = (
        figure("decided", "decided", decided),
        figure("expired", "expired", expired),
        figure("left-out", "left out: decided only in a hurry, or by people who approve everything", weak),
    )
    total = len(decided) + len(expired)
    if total < needed(LIMIT) or not decided:
        return Advice("deadline", f"As it is: it takes {needed(LIMIT)} requests to say more.", figures=figures)
    times = [percentile([case.seconds for case in decided], share) for share in PERCENTILES]
    because = (
        f"In the last {history.days} days half of {len(decided)} decisions were made within {_words(times[0])} of opening, "
        f"90 in 100 within {_words(times[1])}, 95 within {_words(times[2])}, 99 within {_words(times[3])}, halts included.",
        f"{len(expired)} of {total} expired: with 95 % confidence between "
        f"{percent(lower(len(expired), total, ALPHA / 2), is_least=True)} and "
        f"{percent(upper(len(expired), total, ALPHA / 2))}.",
    )
    if lower(len(expired), total) > LIMIT:
        says, change = _sooner(policy, times[1])
    elif upper(len(expired), total) <= LIMIT:
        says, change = _shorter(policy, times[3])
    else:
        says, change = "As it is: what expires is neither surely much nor surely little.", {}
    return Advice("deadline", says, because, figures, {**spec, **change} if change else None)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(ceil(share * len(ordered)), 1) - 1]


def _sooner(policy: Policy, p90: float) -> tuple[str, dict[str, Json]]:
    """Many expire: remind when nine in ten of the others are done; where that is asked already, wait longer."""
    left = _neat_below(policy.deadline.total_seconds() - p90)
    if left is not None and not policy.reminders:
        words = f"{duration_words(left)} before the deadline"
        said = f"Remind those who may decide {words}: by then nine in ten of what is decided is."
        return said, {"reminders": [durations.describe(left)]}
    longer = _neat_above(policy.deadline.total_seconds() * 1.5)
    if longer is None or longer > MAX_DEADLINE:
        return "As it is: many expire, and the deadline is as long as it may be.", {}
    said = f"Wait {duration_words(longer)} instead of {duration_words(policy.deadline)}: many expire before anybody decides."
    return said, {"deadline": durations.describe(longer)}


def _shorter(policy: Policy, p99: float) -> tuple[str, dict[str, Json]]:
    """Nearly none expires: twice what 99 in 100 take, if that is half of today's or less and nothing is due after it."""
    shorter = _neat_above(2 * p99)
    after = [one.after for stage in policy.stages for one in stage.escalations]
    if shorter is None or shorter * 2 > policy.deadline or any(due >= shorter for due in (*after, *policy.reminders)):
        return "As it is: nearly all are decided in time.", {}
    words = f"{duration_words(shorter)} instead of {duration_words(policy.deadline)}"
    return f"Let it expire after {words}: twice the time within which 99 in 100 are decided.", {
        "deadline": durations.describe(shorter)
    }


def _neat_above(seconds: float) -> timedelta | None:
    return next((timedelta(seconds=one) for one in _NEAT if one >= seconds), None)


def _neat_below(seconds: float) -> timedelta | None:
    return next((timedelta(seconds=one) for one in reversed(_NEAT) if one <= seconds), None)


def _words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / _HOUR:.1f} hours" if seconds < 48 * _HOUR else f"{seconds / 24 / _HOUR:.1f} days"
