"""Whether as many people are needed as a policy asks. Pure.

What counts is how often a later vote on the same revision differed from the first one in the same stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.canonical import Json
from approvals.advice.bounds import lower, needed, upper
from approvals.advice.cases import Advice, Case, History, Vote, figure, percent
from approvals.policies import Policy, Stage
from approvals.policy_schema import MAX_QUORUM

NEVER: Final = 0.05  # fewer are asked only where disagreement is surely rarer
OFTEN: Final = 0.10  # one more is asked where it is surely more frequent
LEAST_OFTEN: Final = 20


@dataclass(frozen=True, slots=True)
class _Met:
    """Requests on which several people of one stage said something about the same."""

    agreed: tuple[Case, ...]
    split: tuple[Case, ...]
    weak: tuple[Case, ...]

    @property
    def count(self) -> int:
        return len(self.agreed) + len(self.split)


def advise(policy: Policy, spec: Mapping[str, Json], history: History) -> Advice:
    """One stage at a time: more where people disagree often comes before fewer where they never did."""
    met = {index: _meetings(index, stage, history.cases) for index, stage in enumerate(policy.stages) if _is_counted(stage)}
    if not met:
        return Advice("quorum", "Nothing to say: no stage asks several people for one answer, so no vote can differ.")
    for index, one in met.items():
        stage = policy.stages[index]
        if _is_often_split(one) and stage.quorum < MAX_QUORUM:
            return _advice(policy, spec, history, index, one, stage.quorum + 1)
    if why := _kept(policy, history):
        return Advice("quorum", why, figures=_figures(_together(met.values())))
    for index, one in met.items():
        if not one.split and one.count >= needed(NEVER):
            return _advice(policy, spec, history, index, one, policy.stages[index].quorum - 1)
    whole = _together(met.values())
    says = f"As it is: fewer are advised where {needed(NEVER)} weighed decisions never differed, more where they often do."
    return Advice("quorum", says, figures=_figures(whole))


def _is_counted(stage: Stage) -> bool:
    return stage.quorum > 1 and not stage.is_all


def _is_often_split(met: _Met) -> bool:
    return met.count >= LEAST_OFTEN and lower(len(met.split), met.count) > OFTEN


def _kept(policy: Policy, history: History) -> str:
    """Why fewer people are never advised; "" if they may be."""
    if history.is_own:
        return "As it is: changes of AEGIS itself always take two people."
    if history.standing.is_locked:
        return "As it is: a floor lock rests on this policy, and what it asks is the least that must be asked."
    if policy.risk == "high" or history.standing.is_high or any(case.risk == "high" for case in history.cases):
        return "As it is: it decides about high risk, where fewer people are never advised."
    return ""


def _meetings(index: int, stage: Stage, cases: Iterable[Case]) -> _Met:
    agreed, split, weak = [], [], []
    for case in cases:
        revisions: dict[str, list[Vote]] = {}
        for vote in case.votes:
            if vote.stage == index:
                revisions.setdefault(vote.digest, []).append(vote)
        met = [votes for votes in revisions.values() if len({vote.person for vote in votes}) > 1]
        if any(len({vote.verdict for vote in votes}) > 1 for votes in met):
            split.append(case)
        elif any(_weighed(votes) >= stage.quorum for votes in met):
            agreed.append(case)
        elif met:
            weak.append(case)
    return _Met(tuple(agreed), tuple(split), tuple(weak))


def _weighed(votes: Iterable[Vote]) -> int:
    return len({vote.person for vote in votes if not vote.weakness})


def _together(found: Iterable[_Met]) -> _Met:
    """Of all stages; a request that met in two of them counts once, as split where it was."""
    sets = list(found)
    split = dict.fromkeys(case.id for one in sets for case in one.split)
    agreed = {case.id: case for one in sets for case in one.agreed if case.id not in split}
    weak = {case.id: case for one in sets for case in one.weak if case.id not in split and case.id not in agreed}
    by_id = {case.id: case for one in sets for case in one.split}
    return _Met(tuple(agreed.values()), tuple(by_id.values()), tuple(weak.values()))


def _advice(policy: Policy, spec: Mapping[str, Json], history: History, index: int, met: _Met, quorum: int) -> Advice:
    stage, is_more = policy.stages[index], quorum > policy.stages[index].quorum
    stages: list[Any] = [dict(one) for one in spec["stages"]]
    stages[index] = {**stages[index], "quorum": quorum}
    where = f"In the stage “{stage.label}” ask" if len(policy.stages) > 1 else "Ask"
    share = (
        f"With 95 % confidence it happens in at least {percent(lower(len(met.split), met.count), is_least=True)} (exact lower "
        f"bound); one more is advised above {percent(OFTEN)}."
        if is_more
        else f"With 95 % confidence it would happen in at most {percent(upper(0, met.count))} (exact upper bound); fewer are "
        f"advised below {percent(NEVER)}."
    )
    return Advice(
        "quorum",
        f"{where} {quorum} {'person' if quorum == 1 else 'people'} instead of {stage.quorum}: "
        + ("later votes often differed from the first." if is_more else "no later vote ever differed from the first."),
        (
            f"In the last {history.days} days several people voted on the same revision of {met.count} requests, and on "
            f"{len(met.split) or 'none'} of them not all the same.",
            share,
        ),
        _figures(met),
        {**spec, "stages": stages},
    )


def _figures(met: _Met) -> tuple[Any, ...]:
    return (
        figure("agreed", "all said the same", met.agreed),
        figure("split", "a later vote differed", met.split),
        figure("left-out", "left out: too few of the votes were weighed", met.weak),
    )
