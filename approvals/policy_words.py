"""A policy in sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from approvals.policies import Policy, Stage

LAST_SENTENCE = "It never approves by itself."

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def describe(policy: Policy) -> list[str]:
    """The policy in sentences for people; the last one is always that it never approves by itself."""
    sentences = [_stages_sentence(policy)]
    if policy.distinct_groups:
        sentences.append("Each approval stands for a group of its own; who is in two of them counts for one.")
    sentences += _escalation_sentences(policy)
    sentences.append("Nobody who started the run, edited the proposal or owns the proposing agent; this binds superusers too.")
    sentences.append("One rejection settles it.")
    sentences.append(_reason_sentence(policy))
    if sentence := _step_up_sentence(policy):
        sentences.append(sentence)
    if policy.fast_path:
        sentences.append(
            f"No vote is asked where {policy.fast_path} holds; this is recorded, and impossible under a floor lock."
        )
    if policy.reminders:
        before = listed([duration_words(one) for one in policy.reminders], "and")
        sentences.append(f"Those who may decide are reminded {before} before the deadline.")
    where = f" and goes to the queue {policy.fallback_queue}" if policy.fallback_queue else ""
    sentences.append(f"Undecided after {duration_words(policy.deadline)}, it expires{where}.")
    sentences.append(LAST_SENTENCE)
    return sentences


def people_phrase(stage: Stage, groups: Sequence[str]) -> str:
    """ "two of A or B", "everybody in A", "everybody in A, at least two"."""
    if not stage.is_all:
        return f"{count_words(stage.quorum)} of {listed(groups, 'or')}"
    least = f", at least {count_words(stage.quorum)}" if stage.quorum > 1 else ""
    return f"everybody in {listed(groups, 'and')}{least}"


def duration_words(duration: timedelta) -> str:
    """ "24 hours", "7 days", "90 minutes": the largest unit that divides it; 24 hours stay hours, as people say it."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % size == 0 and (unit != "day" or seconds > size):
            return _counted(seconds // size, unit)
    return _counted(seconds, "second")


def count_words(count: int) -> str:
    """ "one", "two", ... "ten", "11"."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def listed(names: Iterable[str], conjunction: str) -> str:
    """ "a", "a or b", "a, b or c"."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _stages_sentence(policy: Policy) -> str:
    total = sum(stage.quorum for stage in policy.stages)
    parts = [people_phrase(stage, stage.groups) for stage in policy.stages]
    asked = parts[0] if len(parts) == 1 else f"first {', then '.join(parts)}"
    if any(stage.is_all for stage in policy.stages):
        return f"{asked[:1].upper()}{asked[1:]}."
    people = f"{count_words(total)} {'person' if total == 1 else 'different people'}".capitalize()
    return f"{people}: {asked}."


def _escalation_sentences(policy: Policy) -> list[str]:
    sentences = []
    for index, stage in enumerate(policy.stages):
        where = f" in stage {index + 1}" if len(policy.stages) > 1 else ""
        for one in stage.escalations:
            how = f"{listed(one.groups, 'and')} {'decide instead' if one.instead else 'may decide, too'}"
            sentences.append(f"Undecided{where} for {duration_words(one.after)}, {how}.")
    return sentences


def _reason_sentence(policy: Policy) -> str:
    match policy.reason:
        case "always":
            return "Every decision needs a reason."
        case "by_risk":
            risks = "high risk" if policy.reason_from == "high" else "medium or high risk"
            return f"A rejection needs a reason, and so does an approval of {risks}."
        case _:
            return "A rejection needs a reason; an approval may have one."


def _step_up_sentence(policy: Policy) -> str:
    if policy.step_up.from_ == "never":
        return "No approval asks for another sign-in."
    which = {"low": "Every approval", "medium": "An approval of medium or high risk", "high": "An approval of high risk"}
    return f"{which[policy.step_up.from_]} asks for a sign-in within the last {duration_words(policy.step_up.within)}."
