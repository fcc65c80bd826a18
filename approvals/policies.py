"""Approval policies: who must say yes, how many, until when. Pure.

A policy never says yes by itself: its deadline expires a request, and a fast path is a rule that was approved beforehand,
recorded as such and impossible under a floor lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from aegis.core import canonical, durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import Expression, Failed, VariableType, compile_condition
from approvals.policy_schema import MAX_ESCALATIONS, MAX_QUORUM, MAX_REMINDERS, MAX_STAGES

Risk = Literal["low", "medium", "high"]
ReasonRule = Literal["always", "on_reject", "by_risk"]
StepUpFrom = Literal["low", "medium", "high", "never"]

RISKS: tuple[Risk, ...] = ("low", "medium", "high")
MAX_DEADLINE = timedelta(days=90)
MAX_STEP_UP = timedelta(hours=12)

#: What a fast path may look at. `parameters`, `record` and `requester` are objects; a missing key is an error, never a yes.
FACTS: Mapping[str, VariableType] = {
    "capability": "string",
    "parameters": "map",
    "record": "map",
    "requester": "map",
    "risk": "string",
}


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who is asked once a stage has been undecided for `after`: beside those asked before, or (`instead`) in their place."""

    after: timedelta
    groups: tuple[str, ...]
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One ordered part: `quorum` distinct people out of any of `groups`.

    Attributes:
        is_all: everybody in these groups who may decide must approve, and at least `quorum` people.
        escalations: in the order in which they come into force.
    """

    groups: tuple[str, ...]
    quorum: int = 1
    title: str = ""
    is_all: bool = False
    escalations: tuple[Escalation, ...] = ()

    @property
    def label(self) -> str:
        return self.title or " or ".join(self.groups)

    def asked(self, level: int) -> tuple[str, ...]:
        """The groups that may vote once `level` escalations are in force."""
        groups = self.groups
        for escalation in self.escalations[: max(level, 0)]:
            groups = escalation.groups if escalation.instead else (*groups, *escalation.groups)
        return tuple(dict.fromkeys(groups))

    def counted(self, level: int) -> tuple[str, ...]:
        """The groups whose votes count at `level`: all that have been asked so far."""
        later = (name for escalation in self.escalations[: max(level, 0)] for name in escalation.groups)
        return tuple(dict.fromkeys((*self.groups, *later)))


@dataclass(frozen=True, slots=True)
class StepUp:
    """From which risk on an approver has signed in at most `within` ago."""

    from_: StepUpFrom = "high"
    within: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as its document says.

    Attributes:
        digest: hex sha256 of the document's canonical bytes: the version that binds a request.
        fast_path: CEL over `FACTS`; "" for none.
        risk: the least risk its requests are shown with.
        reason_from: with reason `by_risk`, the least risk at which an approval needs one.
        distinct_groups: every approval, over all stages, stands for a group of its own.
        reminders: how long before the deadline, the longest first.
        fallback_queue: where an expired request goes; "": the workflow says.
    """

    name: str
    title: str
    stages: tuple[Stage, ...]
    deadline: timedelta
    reason: ReasonRule
    fast_path: str
    risk: Risk
    digest: str
    reason_from: Risk = "high"
    distinct_groups: bool = False
    reminders: tuple[timedelta, ...] = ()
    fallback_queue: str = ""
    step_up: StepUp = StepUp()

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that may ever be asked, once, in order."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.counted(len(stage.escalations))))


def load(document: Json) -> Policy:
    """Read a policy document.

    Raises:
        Invalid: a field is missing or has a meaning it cannot have; names the pointer.
    """
    try:
        spec = document["spec"]
        policy = Policy(
            name=document["metadata"]["name"],
            title=document["metadata"].get("title", ""),
            stages=tuple(_stage(stage) for stage in spec["stages"]),
            deadline=durations.parse(spec["deadline"]),
            reason=spec.get("reason", "on_reject"),
            reason_from=spec.get("reason_from", "high"),
            fast_path=spec.get("fast_path", ""),
            risk=spec.get("risk", "low"),
            digest=canonical.digest_of(document),
            distinct_groups=spec.get("distinct_groups", False),
            reminders=tuple(sorted({durations.parse(text) for text in spec.get("reminders", ())}, reverse=True)),
            fallback_queue=spec.get("fallback", {}).get("queue", ""),
            step_up=_step_up(spec.get("step_up", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _invalid("/spec", f"not an approval policy ({type(error).__name__}: {error})") from None
    _check(policy)
    return policy


def load_text(text: str) -> Policy:
    """Read a stored policy document (canonical JSON text)."""
    return load(canonical.parse(text))


def at_level(policy: Policy, stage: int, level: int) -> Policy:
    """The policy by which votes are counted while `level` escalations of `stage` are in force.

    Earlier stages are passed: whoever was asked there in the end is counted there.
    """
    levels = (len(part.escalations) if index < stage else level if index == stage else 0
              for index, part in enumerate(policy.stages))  # fmt: skip
    stages = tuple(replace(part, groups=part.counted(at)) for part, at in zip(policy.stages, levels, strict=True))
    return replace(policy, stages=stages)


def needs_reason(policy: Policy, risk: str) -> bool:
    """Must an approval of this risk say why? A rejection always must."""
    match policy.reason:
        case "always":
            return True
        case "by_risk":
            return RISKS.index(raised_risk(policy, risk)) >= RISKS.index(policy.reason_from)
        case _:
            return False


def sign_in_within(policy: Policy, risk: str) -> timedelta | None:
    """How old the sign-in of an approver may be at this risk; None if it is not asked."""
    if policy.step_up.from_ == "never" or RISKS.index(raised_risk(policy, risk)) < RISKS.index(policy.step_up.from_):
        return None
    return policy.step_up.within


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


def raised_risk(policy: Policy, risk: str) -> Risk:
    """The higher of the policy's least risk and the given one; an unknown word counts as high."""
    asked: Risk = next((known for known in RISKS if known == risk), "high")
    return max(policy.risk, asked, key=RISKS.index)


def _stage(stage: Json) -> Stage:
    quorum = stage.get("quorum", 1)
    if quorum != "all" and "at_least" in stage:
        raise _invalid("/spec/stages", "at_least goes with quorum all")
    return Stage(
        groups=tuple(stage["groups"]),
        quorum=stage.get("at_least", 1) if quorum == "all" else quorum,
        title=stage.get("title", ""),
        is_all=quorum == "all",
        escalations=tuple(
            Escalation(durations.parse(one["after"]), tuple(one["groups"]), one.get("instead", False))
            for one in stage.get("escalate", ())
        ),
    )


def _step_up(spec: Json) -> StepUp:
    within = durations.parse(spec["within"]) if "within" in spec else StepUp().within
    return StepUp(spec.get("from", StepUp().from_), within)


def _check(policy: Policy) -> None:
    if not 1 <= len(policy.stages) <= MAX_STAGES:
        raise _invalid("/spec/stages", f"needs one to {MAX_STAGES} stages")
    for index, stage in enumerate(policy.stages):
        _check_stage(policy, stage, f"/spec/stages/{index}")
    if policy.reason not in ("always", "on_reject", "by_risk"):
        raise _invalid("/spec/reason", "is always, on_reject or by_risk")
    if policy.reason_from not in ("medium", "high"):
        raise _invalid("/spec/reason_from", "is medium or high")
    if policy.risk not in RISKS:
        raise _invalid("/spec/risk", "is low, medium or high")
    if not isinstance(policy.distinct_groups, bool):
        raise _invalid("/spec/distinct_groups", "is true or false")
    if policy.step_up.from_ not in (*RISKS, "never"):
        raise _invalid("/spec/step_up/from", "is low, medium, high or never")
    if policy.step_up.within > MAX_STEP_UP:
        raise _invalid("/spec/step_up/within", "is at most 12 hours")
    if policy.deadline > MAX_DEADLINE:
        raise _invalid("/spec/deadline", f"is at most {MAX_DEADLINE.days} days")
    if len(policy.reminders) > MAX_REMINDERS or any(before >= policy.deadline for before in policy.reminders):
        raise _invalid("/spec/reminders", f"at most {MAX_REMINDERS}, each shorter than the deadline")


def _check_stage(policy: Policy, stage: Stage, where: str) -> None:
    _check_groups(stage.groups, f"{where}/groups")
    # A quorum of zero would be a policy that approves by itself.
    if isinstance(stage.quorum, bool) or not isinstance(stage.quorum, int) or not 1 <= stage.quorum <= MAX_QUORUM:
        raise _invalid(f"{where}/quorum", f"a quorum is a whole number from 1 to {MAX_QUORUM}, or all")
    if stage.is_all and stage.escalations:
        raise _invalid(f"{where}/escalate", "where all must approve, nobody can be asked in their place")
    if stage.is_all and policy.distinct_groups:
        raise _invalid(f"{where}/quorum", "all of a group cannot each stand for a group of their own (distinct_groups)")
    if len(stage.escalations) > MAX_ESCALATIONS:
        raise _invalid(f"{where}/escalate", f"at most {MAX_ESCALATIONS}")
    reached = timedelta(0)
    for index, escalation in enumerate(stage.escalations):
        place = f"{where}/escalate/{index}"
        _check_groups(escalation.groups, f"{place}/groups")
        if not isinstance(escalation.instead, bool):
            raise _invalid(f"{place}/instead", "is true or false")
        if not reached < escalation.after < policy.deadline:
            raise _invalid(f"{place}/after", "is later than the one before and sooner than the deadline")
        reached = escalation.after


def _check_groups(groups: tuple[str, ...], where: str) -> None:
    if not groups or not all(isinstance(name, str) and name for name in groups):
        raise _invalid(where, "names at least one group")


def _invalid(where: str, what: str) -> Invalid:
    fault = Fault(where, what)
    return Invalid(str(fault), faults=[fault])
