"""Which of two policies is the stricter. Pure.

`covers(candidate, floor)` is the promise behind floor locks and behind every change of a policy by one person alone: whatever
the candidate lets through, the floor would have let through, too. It is judged by what the documents say, never by who is in
which group today, so it holds for every electorate. Where it cannot tell, it says no.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from aegis.core.canonical import Json
from approvals.policies import RISKS, Escalation, Policy, Risk, Stage, StepUp, needs_reason, sign_in_within


@dataclass(frozen=True, slots=True)
class Differences:
    """What a candidate asks less of than a floor; each "" if it does not.

    Attributes: each the end of a sentence ("asks less in its stages").
    """

    stages: str = ""
    reason: str = ""
    step_up: str = ""

    def first(self) -> str:
        return self.stages or self.reason or self.step_up


def covers(candidate: Policy, floor: Policy) -> bool:
    """Would everything that `candidate` lets through by votes also pass `floor`?"""
    return not differences(candidate, floor).first()


def differences(candidate: Policy, floor: Policy) -> Differences:
    """Where `candidate` might let something through that `floor` would not."""
    stages = ""
    if not _stages_cover(candidate.stages, floor.stages):
        stages = "asks less in its stages"
    elif floor.distinct_groups and not candidate.distinct_groups and sum(stage.quorum for stage in floor.stages) > 1:
        stages = "no longer asks each approval to stand for a group of its own"
    return Differences(stages, _reason(candidate, floor), _step_up(candidate, floor))


def weakened(old: Policy, new: Policy) -> str:
    """Why `new` might let something through that `old` would not, as the end of a sentence ("asks less of ..."); "" if not.

    A fast path cannot be compared with another one: any new or other fast path counts.
    """
    if why := differences(new, old).first():
        return why
    if new.fast_path and new.fast_path != old.fast_path:
        return "lets more pass without a vote (its fast path)"
    if new.fast_path and RISKS.index(new.risk) < RISKS.index(old.risk):
        return "shows a lower risk to its fast path"
    return ""


def dump(policy: Policy) -> Json:
    """As much of a policy as `covers` looks at, for compiled matrices and kept floors.

    What is as it would be by default is left out, so that rules kept before a field was known read as they were meant.
    """
    rules: dict[str, Json] = {"stages": [_dump_stage(stage) for stage in policy.stages], "reason": policy.reason}
    if policy.reason == "by_risk":
        rules["reason_from"] = policy.reason_from
    if policy.risk != "low":
        rules["risk"] = policy.risk
    if policy.distinct_groups:
        rules["distinct_groups"] = True
    if policy.step_up != StepUp():
        rules["step_up"] = {"from": policy.step_up.from_, "within_seconds": int(policy.step_up.within.total_seconds())}
    return rules


def read(name: str, rules: Json) -> Policy:
    """The policy that `dump` wrote, as far as `covers` looks at it."""
    step_up = rules.get("step_up")
    return Policy(
        name=name,
        title="",
        stages=tuple(_read_stage(stage) for stage in rules["stages"]),
        deadline=timedelta(days=1),
        reason=rules["reason"],
        fast_path="",
        risk=rules.get("risk", "low"),
        digest="",
        reason_from=rules.get("reason_from", "high"),
        distinct_groups=rules.get("distinct_groups", False),
        step_up=StepUp(step_up["from"], timedelta(seconds=step_up["within_seconds"])) if step_up else StepUp(),
    )


def _stages_cover(candidate: Iterable[Stage], floor: Iterable[Stage]) -> bool:
    """Each stage of the floor needs a stage of its own in the candidate, in the same order, that asks at least as much. A
    person counts once per request, so more stages never mean fewer people."""
    rest = iter(candidate)
    return all(any(_stage_covers(stage, wanted) for stage in rest) for wanted in floor)


def _stage_covers(stage: Stage, floor: Stage) -> bool:
    if not set(stage.groups) <= set(floor.groups) or stage.quorum < floor.quorum:
        return False
    if floor.is_all and not (stage.is_all and set(stage.groups) == set(floor.groups)):
        return False
    return all(_is_asked_by_then(escalation, floor) for escalation in stage.escalations)


def _is_asked_by_then(escalation: Escalation, floor: Stage) -> bool:
    """Could the groups of an escalation vote under the floor as early? A candidate's stage never begins before the floor's."""
    level = sum(other.after <= escalation.after for other in floor.escalations)
    return set(escalation.groups) <= set(floor.counted(level))


def _reason(candidate: Policy, floor: Policy) -> str:
    if all(needs_reason(candidate, risk) or not needs_reason(floor, risk) for risk in RISKS):
        return ""
    return "no longer asks a reason of everybody" if floor.reason == "always" else "asks for fewer reasons"


def _step_up(candidate: Policy, floor: Policy) -> str:
    return "" if all(_proves_as_well(candidate, floor, risk) for risk in RISKS) else "asks fewer approvers to sign in again"


def _proves_as_well(candidate: Policy, floor: Policy, risk: Risk) -> bool:
    wanted, asked = sign_in_within(floor, risk), sign_in_within(candidate, risk)
    return wanted is None or (asked is not None and asked <= wanted)


def _dump_stage(stage: Stage) -> Json:
    dumped: dict[str, Json] = {"groups": sorted(stage.groups), "quorum": stage.quorum}
    if stage.is_all:
        dumped["all"] = True
    if stage.escalations:
        dumped["escalate"] = [
            {"after_seconds": int(one.after.total_seconds()), "groups": sorted(one.groups)} for one in stage.escalations
        ]
    return dumped


def _read_stage(stage: Json) -> Stage:
    return Stage(
        groups=tuple(stage["groups"]),
        quorum=int(stage["quorum"]),
        is_all=stage.get("all", False),
        escalations=tuple(
            Escalation(timedelta(seconds=one["after_seconds"]), tuple(one["groups"])) for one in stage.get("escalate", ())
        ),
    )
