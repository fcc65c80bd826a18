"""The question box: "may X do Y on Z, and why", read from the address and drawn. Answered by `engine.explaining`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from aegis.core.errors import Fault, Invalid
from aegis.identity.seen import people_seen
from aegis.portal.matrix.cells import MARKS
from orchestration.authority.explain import explain
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Verdict
from orchestration.engine import explaining
from orchestration.engine.explaining import MAX_FACTS_BYTES, Asked

MAX_NAME = 200
MAX_CHOICES = 200
_ANSWERS = {"allow": "Yes, without a vote.", "gate": "Only after people approve.", "deny": "No."}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to show: the verdict and its chain, or what is wrong with the question. `held`: what stops it all the same."""

    verdict: Verdict | None = None
    headline: str = ""
    sentences: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    roles: tuple[str, ...] = field(default=())
    held: tuple[str, ...] = ()

    @property
    def mark(self) -> tuple[str, str, str]:
        return MARKS[self.verdict.answer if self.verdict else "empty"]


def read(request: HttpRequest) -> Asked:
    names = {name: text(request, name) for name in ("who", "what", "on", "requester")}
    facts = {name: text(request, name, MAX_FACTS_BYTES) for name in ("parameters", "record")}
    return Asked(**names, **facts)


def text(request: HttpRequest, name: str, limit: int = MAX_NAME) -> str:
    return request.GET.get(name, "").replace("\x00", "").strip()[:limit]


def choices(matrix: Matrix, user: Any) -> list[str]:
    """Principals to choose from: the agents and people the asker may see (at least himself)."""
    agents = explaining.as_seen(matrix, user).agents.values()
    people = people_seen(user).order_by("username").values_list("username", flat=True)[:MAX_CHOICES]
    return [*sorted(f"agent:{agent.name}" for agent in agents), *(f"person:{name}" for name in people)]


def answer(matrix: Matrix, asked: Asked, user: Any) -> Answer:
    try:
        found = explaining.may(matrix, asked, user)
    except Invalid as error:
        return Answer(headline="The question cannot be answered as it is.", faults=error.faults)
    verdict = found.verdict
    return Answer(verdict, _ANSWERS[verdict.answer], _said(asked, verdict), verdict.faults, found.roles, found.held)


def _said(asked: Asked, verdict: Verdict) -> tuple[str, ...]:
    """The chain without its last sentence, which the page shows as the headline."""
    unjudged = () if asked.parameters else ("Parameters not given: conditions that look at them may answer otherwise.",)
    return (*explain(verdict)[:-1], *unjudged)
