"""A verdict as a chain of sentences: "may X do Y, and why". Pure.

The sentences quote configuration and, for conditions that could not be judged, facts: show them only to who may see the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aegis.core.canonical import Json
from orchestration.authority.grant_documents import words
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Bounds, Considered, Principal, Resource, Verdict, decide
from orchestration.contracts.checker import compile_schema

_EFFECTS = {"allow": "allows it", "gate": "lets it pass with an approval", "deny": "denies it"}
_ANSWERS = {"allow": "Allowed", "gate": "Needs an approval", "deny": "Denied"}
_ANY_PARAMETERS: Final = compile_schema({"type": "object"})


def ask(
    matrix: Matrix,
    principal: Principal,
    capability: str,
    resource: Resource,
    facts: Mapping[str, Json],
    *,
    bounds: Bounds = "all",
) -> Verdict:
    """What grants and locks answer when no parameters are known yet. For questions of people only, never for an effect.

    `verdicts.decide` refuses parameters that break the capability's contract; here there are none to judge, so a copy of the
    matrix asks for nothing. Conditions that look at parameters cannot be judged and widen nothing.
    """
    known = matrix.capabilities.get(capability)
    if known is not None:
        matrix = replace(matrix, capabilities={**matrix.capabilities, capability: replace(known, parameters=_ANY_PARAMETERS)})
    return decide(matrix, principal, capability, resource, {**facts, "parameters": {}}, bounds=bounds)


def explain(verdict: Verdict) -> list[str]:
    """Every cell that was asked and what came of it, then the locks, then the answer."""
    sentences = [_sentence(one) for one in verdict.considered]
    if not sentences and verdict.code in ("no_grant", "requester"):
        sentences.append("No role that counts has a cell for it; an empty cell is a deny.")
    if verdict.raised_by:
        sentences.append(f"Floor lock {', '.join(verdict.raised_by)} raised the answer.")
    elif verdict.locks:
        sentences.append(f"Floor lock {', '.join(verdict.locks)} is on it; the answer is strict enough as it is.")
    sentences += [f"At {fault}." for fault in verdict.faults]
    answer = _ANSWERS[verdict.answer] + (f" under policy {verdict.policy}" if verdict.policy else "")
    return [*sentences, f"{answer}. {verdict.reason} (matrix version {verdict.matrix})"]


def _sentence(one: Considered) -> str:
    if not one.grant.limits:
        return _cell(one)
    reached = f" Reached: {'; '.join(one.limits.why)}." if one.is_reached else ""
    return f"{_cell(one)} Its limits: {words(one.grant.limits)}.{reached}"


def _cell(one: Considered) -> str:
    grant = one.grant
    whose = "Role" if one.asked == "principal" else "The requester's role"
    effect = _EFFECTS[grant.effect] + (f" under policy {grant.policy}" if grant.policy else "")
    if not grant.when:
        return f"{whose} {grant.role} {effect}."
    head = f"{whose} {grant.role} {effect} if {grant.when}"
    if one.holds is None:
        meaning = "so it grants nothing" if grant.effect == "allow" else "so it counts as met"
        return f"{head}: this could not be judged ({one.error}), {meaning}."
    return f"{head}: {'true' if one.holds else 'false, so this cell says nothing'}."
