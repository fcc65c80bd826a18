"""Approval policies: who must say yes, how many, until when. Pure.

A policy never says yes by itself: its deadline expires a request, and a fast path is a rule that was approved beforehand,
recorded as such and impossible under a floor lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from aegis.core import canonical, durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import Expression, Failed, VariableType, compile_condition
from aegis.core.kinds import envelope

Risk = Literal["low", "medium", "high"]
ReasonRule = Literal["always", "on_reject"]

RISKS: tuple[Risk, ...] = ("low", "medium", "high")
MAX_STAGES = 5
MAX_QUORUM = 20
MAX_DEADLINE = timedelta(days=90)
LAST_SENTENCE = "It never approves by itself."

#: What a fast path may look at. `parameters`, `record` and `requester` are objects; a missing key is an error, never a yes.
FACTS: Mapping[str, VariableType] = {
    "capability": "string",
    "parameters": "map",
    "record": "map",
    "requester": "map",
    "risk": "string",
}

SCHEMA: Json = envelope(
    "ApprovalPolicy",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["stages", "deadline"],
        "properties": {
            "stages": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STAGES,
                "description": "Asked in this order; a person counts once in all of them.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["groups"],
                    "properties": {
                        "title": {"type": "string", "minLength": 1, "maxLength": 80},
                        "groups": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 20,
                            "uniqueItems": True,
                            "items": {"type": "string", "minLength": 1, "maxLength": 150},
                            "description": "Any of these groups may decide in this stage.",
                        },
                        "quorum": {"type": "integer", "minimum": 1, "maximum": MAX_QUORUM, "default": 1},
                    },
                },
            },
            "deadline": {**durations.SCHEMA, "description": "From opening, such as 30m, 24h, 7d. Then the request expires."},
            "reason": {"enum": ["always", "on_reject"], "default": "on_reject"},
            "fast_path": {
                "type": "string",
                "maxLength": 2000,
                "description": "CEL over capability, parameters, record, requester, risk. Where true, no vote is asked.",
            },
            "risk": {"enum": list(RISKS), "default": "low", "description": "Requests are shown with at least this risk."},
        },
    },
)

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class Stage:
    """One ordered part: `quorum` distinct people out of any of `groups`."""

    groups: tuple[str, ...]
    quorum: int = 1
    title: str = ""

    @property
    def label(self) -> str:
        return self.title or listed(self.groups, "or")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as its document says.

    Attributes:
        digest: hex sha256 of the document's canonical bytes: the version that binds a request.
        fast_path: CEL over `FACTS`; "" for none.
        risk: the least risk its requests are shown with.
    """

    name: str
    title: str
    stages: tuple[Stage, ...]
    deadline: timedelta
    reason: ReasonRule
    fast_path: str
    risk: Risk
    digest: str

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group of every stage, once, in order."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.groups))


def load(document: Json) -> Policy:
    """Read a policy document.

    Raises:
        Invalid: a field is missing or has a meaning it cannot have; names the pointer.
    """
    try:
        spec = document["spec"]
        stages = tuple(
            Stage(groups=tuple(stage["groups"]), quorum=stage.get("quorum", 1), title=stage.get("title", ""))
            for stage in spec["stages"]
        )
        policy = Policy(
            name=document["metadata"]["name"],
            title=document["metadata"].get("title", ""),
            stages=stages,
            deadline=durations.parse(spec["deadline"]),
            reason=spec.get("reason", "on_reject"),
            fast_path=spec.get("fast_path", ""),
            risk=spec.get("risk", "low"),
            digest=canonical.digest_of(document),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _invalid("/spec", f"not an approval policy ({type(error).__name__}: {error})") from None
    _check(policy)
    return policy


def load_text(text: str) -> Policy:
    """Read a stored policy document (canonical JSON text)."""
    return load(canonical.parse(text))


def fast_path_of(policy: Policy) -> Expression | None:
    """The compiled fast path, or None.

    Raises:
        ExpressionInvalid: with line and column.
    """
    return compile_condition(policy.fast_path, FACTS) if policy.fast_path else None


def passes_fast(policy: Policy, facts: Mapping[str, Json], *, locked: bool = False) -> bool | Failed:
    """May this pass without a vote? An error is no yes (DESIGN promise 10), and nothing passes under a lock (promise 9).

    Args:
        facts: every name of `FACTS`.
        locked: a floor lock stands over the capability.
    """
    if locked or not policy.fast_path:
        return False
    expression = fast_path_of(policy)
    return expression.test(facts) if expression else False


def covers(candidate: Iterable[tuple[frozenset[str], int]], floor: Iterable[tuple[frozenset[str], int]]) -> bool:
    """Would everything the stages of `candidate` let through also pass those of `floor`? Stages are (groups, quorum).

    Each stage of the floor needs a stage of its own in the candidate, in the same order, with at least its quorum and no group
    that the floor does not name. A person counts once per request, so more stages never mean fewer people.
    """
    rest = iter(candidate)
    return all(
        any(groups <= floor_groups and quorum >= floor_quorum for groups, quorum in rest)
        for floor_groups, floor_quorum in floor
    )


def weakened(old: Policy, new: Policy) -> str:
    """Why `new` might let something through that `old` would not, as the end of a sentence ("asks less of ..."); "" if not.

    A fast path cannot be compared with another one: any new or other fast path counts.
    """
    if not covers(_stages_of(new), _stages_of(old)):
        return "asks less in its stages"
    if old.reason == "always" and new.reason != "always":
        return "no longer asks a reason of everybody"
    if new.fast_path and new.fast_path != old.fast_path:
        return "lets more pass without a vote (its fast path)"
    if new.fast_path and RISKS.index(new.risk) < RISKS.index(old.risk):
        return "shows a lower risk to its fast path"
    return ""


def raised_risk(policy: Policy, risk: str) -> Risk:
    """The higher of the policy's least risk and the given one; an unknown word counts as high."""
    asked: Risk = next((known for known in RISKS if known == risk), "high")
    return max(policy.risk, asked, key=RISKS.index)


def describe(policy: Policy) -> list[str]:
    """The policy in sentences for people; the last one is always that it never approves by itself."""
    sentences = [_stages_sentence(policy)]
    sentences.append("Nobody who started the run, edited the proposal or owns the proposing agent; this binds superusers too.")
    sentences.append("One rejection settles it.")
    sentences.append(
        "Every decision needs a reason."
        if policy.reason == "always"
        else "A rejection needs a reason; an approval may have one."
    )
    if policy.fast_path:
        sentences.append(
            f"No vote is asked where {policy.fast_path} holds; this is recorded, and impossible under a floor lock."
        )
    sentences.append(f"Undecided after {duration_words(policy.deadline)}, it expires.")
    sentences.append(LAST_SENTENCE)
    return sentences


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


def listed(names: tuple[str, ...], conjunction: str) -> str:
    """ "a", "a or b", "a, b or c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _stages_of(policy: Policy) -> list[tuple[frozenset[str], int]]:
    return [(frozenset(stage.groups), stage.quorum) for stage in policy.stages]


def _stages_sentence(policy: Policy) -> str:
    total = sum(stage.quorum for stage in policy.stages)
    people = f"{count_words(total)} {'person' if total == 1 else 'different people'}".capitalize()
    parts = [f"{count_words(stage.quorum)} of {listed(stage.groups, 'or')}" for stage in policy.stages]
    if len(parts) == 1:
        return f"{people}: {parts[0]}."
    return f"{people}: first {', then '.join(parts)}."


def _check(policy: Policy) -> None:
    if not 1 <= len(policy.stages) <= MAX_STAGES:
        raise _invalid("/spec/stages", f"needs one to {MAX_STAGES} stages")
    for index, stage in enumerate(policy.stages):
        where = f"/spec/stages/{index}"
        if not stage.groups or not all(isinstance(name, str) and name for name in stage.groups):
            raise _invalid(f"{where}/groups", "a stage names at least one group")
        # A quorum of zero would be a policy that approves by itself.
        if isinstance(stage.quorum, bool) or not isinstance(stage.quorum, int) or not 1 <= stage.quorum <= MAX_QUORUM:
            raise _invalid(f"{where}/quorum", f"a quorum is a whole number from 1 to {MAX_QUORUM}")
    if policy.reason not in ("always", "on_reject"):
        raise _invalid("/spec/reason", "is always or on_reject")
    if policy.risk not in RISKS:
        raise _invalid("/spec/risk", "is low, medium or high")
    if policy.deadline > MAX_DEADLINE:
        raise _invalid("/spec/deadline", f"is at most {duration_words(MAX_DEADLINE)}")


def _invalid(where: str, what: str) -> Invalid:
    fault = Fault(where, what)
    return Invalid(str(fault), faults=[fault])
