"""Which fast path history would have supported. Pure.

A border is advised where the exact upper bound of the share of requests that people wanted otherwise stays below `LIMIT`.
Borders are tried from the lowest upward and the first that fails ends the search (a fixed sequence), so trying several costs no
confidence; several parameters share what is left to chance. Which borders are tried depends on the numbers alone, never on how
the requests ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.expressions import ExpressionInvalid, compile_condition
from approvals.advice.bounds import ALPHA, needed, upper
from approvals.advice.cases import DECIDED, Advice, Case, Figure, History, Passage, figure, percent
from approvals.policies import FACTS, Policy, fast_path_of

LIMIT: Final = 0.05  # of the requests of its kind a fast path may let through that people would want otherwise
LEAST_NEAR: Final = 10  # cases in the upper half below a border, or nothing is known of what it adds
MAX_DEPTH: Final = 3
MAX_CHARS: Final = 2_000

_STEPS: Final = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5)
_MOST: Final = 1e15  # beyond, numbers are no longer exact everywhere
_NAME: Final = re.compile(r"[a-zA-Z_]\w{0,63}", re.ASCII)
_CLAUSE: Final = re.compile(
    r'risk == "low" && capability == (?P<capability>"[^"\\]*") && parameters\.(?P<path>[\w.]+) >= 0'
    r" && parameters\.(?P=path) <= (?P<border>[0-9]+(\.[0-9]+)?)",
    re.ASCII,
)

Number = int | float


@dataclass(frozen=True, slots=True)
class Clause:
    """The one shape of condition that advice writes, and reads back."""

    capability: str
    path: str
    border: Number

    @property
    def text(self) -> str:
        named = canonical.dump(self.capability).decode()
        what = f"parameters.{self.path}"
        return f'risk == "low" && capability == {named} && {what} >= 0 && {what} <= {written(self.border)}'

    def holds(self, capability: str, parameters: Mapping[str, Json] | None) -> bool:
        value = _numbers(parameters or {}).get(self.path)
        return capability == self.capability and value is not None and value <= self.border


@dataclass(frozen=True, slots=True)
class Found:
    """A border that history supports, and how surely.

    Attributes:
        alpha: what is left to chance for it.
    """

    clause: Clause
    cases: int
    against: int
    alpha: float

    @property
    def bound(self) -> float:
        return upper(self.against, self.cases, self.alpha)


def read(condition: str) -> Clause | None:
    """The clause that a condition is, if it is one that advice wrote."""
    found = _CLAUSE.fullmatch(condition.strip())
    if found is None:
        return None
    border = float(found["border"])
    return Clause(canonical.parse(found["capability"]), found["path"], int(border) if border.is_integer() else border)


def written(number: Number) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:.10f}".rstrip("0")


def advise(policy: Policy, spec: Mapping[str, Json], history: History) -> Advice:
    """Tighten what let through what was undone; else let through what everybody approved; else say why not."""
    return _tightened(policy, spec, history) or _widened(policy, spec, history)


def borders(values: Iterable[Number]) -> Iterator[Number]:
    """Round numbers from the least value to the greatest, upward."""
    seen = sorted(values)
    if not seen or seen[-1] <= 0:
        return
    power = 10.0**-3
    while power <= seen[-1]:
        for step in _STEPS:
            border = round(step * power, 6)
            if seen[0] <= border <= seen[-1]:
                yield int(border) if border.is_integer() else border
        power *= 10


def climb(clause: Clause, known: Sequence[tuple[Number, bool]], alpha: float) -> Found | None:
    """The last border below which the bound holds.

    Args:
        clause: whose border is looked for.
        known: (value, was it wanted otherwise) of each case.
    """
    best = None
    for border in borders(value for value, _ in known):
        inside = [is_against for value, is_against in known if value <= border]
        near = sum(border / 2 < value <= border for value, _ in known)
        if len(inside) < needed(LIMIT, alpha) or near < LEAST_NEAR or (best is not None and len(inside) == best.cases):
            continue
        found = Found(Clause(clause.capability, clause.path, border), len(inside), sum(inside), alpha)
        if found.bound > LIMIT:
            break
        best = found
    return best


def _widened(policy: Policy, spec: Mapping[str, Json], history: History) -> Advice:
    if why := _never(policy, history):
        return Advice("fast_path", why)
    known = _families(policy, history)
    if not known:
        return Advice("fast_path", _too_few(history), figures=_left_out(history.cases))
    alpha = ALPHA / len(known)
    found = [
        best
        for (capability, path), cases in sorted(known.items())
        if (best := climb(Clause(capability, path, 0), [(value, case.is_against) for value, case in cases], alpha))
    ]
    for best in sorted(found, key=lambda one: (-one.cases, one.clause.text)):
        condition = _joined(policy.fast_path, best.clause)
        cases = [case for _, case in known[best.clause.capability, best.clause.path]]
        if condition != policy.fast_path and (replayed := _replayed(condition, best, cases)) is not None:
            return _advice(spec, history, best, condition, replayed, len(known))
    says = "No border is supported: below each that could be tried, too many were rejected, sent back, edited or undone."
    against = {case.id: case for cases in known.values() for _, case in cases if case.is_against}
    return Advice("fast_path", says, figures=(_against(against.values()), *_left_out(history.cases)))


def _never(policy: Policy, history: History) -> str:
    """Why no fast path is advised whatever history says; "" if one may be."""
    if history.is_own:
        return "No fast path: it decides about changes of AEGIS itself, which always take two people."
    if history.standing.is_locked:
        return "No fast path: a floor lock rests on this policy, and under a lock nothing passes without a vote."
    if policy.risk != "low":
        return f"No fast path: its requests are of {policy.risk} risk at least, and advice is given for low risk only."
    return ""


def _families(policy: Policy, history: History) -> dict[tuple[str, str], list[tuple[Number, Case]]]:
    """(capability, parameter) -> weighed cases with their number, of those with enough of them.

    Left out: what a lock stands over, what is not of low risk, and what the fast path lets through already.
    """
    standing, found = fast_path_of(policy), dict[tuple[str, str], list[tuple[Number, Case]]]()
    for case in history.cases:
        if not _may_count(case, history) or not _says_something(case):
            continue
        if standing is not None and standing.test(case.facts) is True:
            continue
        for path, value in _numbers(case.parameters or {}).items():
            found.setdefault((case.capability, path), []).append((value, case))
    return {key: cases for key, cases in found.items() if len(cases) >= needed(LIMIT)}


def _may_count(case: Case, history: History) -> bool:
    return case.may_pass_fast and case.risk == "low" and case.capability not in history.standing.locked


def _says_something(case: Case) -> bool:
    return case.is_against or (case.is_weighed and case.is_followed)


def _is_left_out(case: Case) -> bool:
    return case.outcome in DECIDED and not _says_something(case)


def _joined(condition: str, clause: Clause) -> str:
    """The condition with the clause: its border moved where it is the same one, else beside it."""
    old = read(condition)
    if not condition:
        return clause.text
    if old is not None and (old.capability, old.path) == (clause.capability, clause.path):
        return clause.text if clause.border > old.border else condition
    joined = f"({condition}) || ({clause.text})"
    return joined if len(joined) <= MAX_CHARS else condition


def _replayed(condition: str, found: Found, cases: Iterable[Case]) -> list[Case] | None:
    """The cases that the condition, as it would stand, lets through; None if these are not the ones the advice rests on."""
    try:
        expression = compile_condition(condition, FACTS)
    except ExpressionInvalid:
        return None
    passing = [case for case in cases if expression.test(case.facts) is True]
    is_same = len(passing) == found.cases and sum(case.is_against for case in passing) == found.against
    return passing if is_same else None


def _advice(
    spec: Mapping[str, Json], history: History, found: Found, condition: str, cases: Sequence[Case], families: int
) -> Advice:
    clause = found.clause
    weak = [case for case in history.cases if _is_left_out(case) and _may_count(case, history)]
    left = [case for case in weak if clause.holds(case.capability, case.parameters)]
    about = f"{clause.capability} with {clause.path}" if clause.capability else clause.path
    shared = f", shared by {families} parameters that were looked at" if families > 1 else ""
    return Advice(
        "fast_path",
        f"Let requests of low risk for {about} of at most {written(clause.border)} pass without a vote.",
        (
            f"In the last {history.days} days {found.cases} requests would have passed; {found.against or 'none'} of them were "
            "rejected, sent back, edited or undone later, all others approved by everybody who voted.",
            f"With 95 % confidence{shared}, at most {percent(found.bound)} of such requests would be wanted otherwise "
            f"(exact upper bound); advice is given below {percent(LIMIT)}.",
        ),
        (figure("passing", "would have passed", cases), _against([one for one in cases if one.is_against]), *_weak(left)),
        {**spec, "fast_path": condition},
    )


def _tightened(policy: Policy, spec: Mapping[str, Json], history: History) -> Advice | None:
    """What to do about a fast path that let through what was undone; None if it did not, or too rarely to tell."""
    passed = list(history.passages)
    undone = [one for one in passed if one.was_undone]
    if not policy.fast_path or not undone or upper(len(undone), len(passed)) <= LIMIT:
        return None
    old, found = read(policy.fast_path), None
    if old is not None:
        known = [(_numbers(one.parameters or {}).get(old.path), one) for one in passed if one.capability == old.capability]
        found = climb(old, [(value, one.was_undone) for value, one in known if value is not None], ALPHA)
        found = found if found is not None and found.clause.border < old.border else None
    rest = {key: value for key, value in spec.items() if key != "fast_path"}
    rest |= {"fast_path": found.clause.text} if found else {}
    what = f"Lower its border to {written(found.clause.border)}" if found else "Take the fast path away"
    kept = (f"Below {written(found.clause.border)} the bound is {percent(found.bound)}.",) if found else ()
    return Advice(
        "fast_path",
        f"{what}: it let through what was undone later.",
        (
            f"In the last {history.days} days {len(passed)} passed without a vote, and {len(undone)} of them were undone.",
            f"With 95 % confidence up to {percent(upper(len(undone), len(passed)))} of what it lets through is undone (exact "
            f"upper bound); more than {percent(LIMIT)} is too much.",
            *kept,
        ),
        (_passages("passed", "passed without a vote", passed), _passages("undone", "undone later", undone)),
        rest,
    )


def _numbers(parameters: Mapping[str, Json], before: str = "", depth: int = 1) -> dict[str, Number]:
    """Dotted path -> number, of those that a border could be put under: whole or not, never negative."""
    found: dict[str, Number] = {}
    for name, value in parameters.items():
        if not _NAME.fullmatch(name):
            continue
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            found |= _numbers(value, f"{before}{name}.", depth + 1)
        elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST:
            found[f"{before}{name}"] = value
    return found


def _too_few(history: History) -> str:
    return (
        f"No fast path yet: it takes {needed(LIMIT)} requests of low risk for one capability, decided by people who weighed "
        "them, with a number among their parameters and no floor lock over them."
    )


def _against(cases: Iterable[Case]) -> Figure:
    return figure("against", "rejected, sent back, edited or undone", cases)


def _left_out(cases: Iterable[Case]) -> tuple[Figure, ...]:
    return _weak([case for case in cases if _is_left_out(case)])


def _weak(cases: Sequence[Case]) -> tuple[Figure, ...]:
    return (
        figure(
            "left-out",
            "left out: approved only in a hurry, by people who approve everything, or in runs you may not see",
            cases,
        ),
    )


def _passages(key: str, label: str, passages: Iterable[Passage]) -> Figure:
    return Figure(key, label, tuple(one.run for one in passages), is_of_runs=True)
