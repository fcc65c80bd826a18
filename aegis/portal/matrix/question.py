"""The question box: "may X do Y on Z, and why". Answered by the same function that judges every effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from django.http import HttpRequest

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.identity.models import Area, User
from aegis.portal.matrix.cells import MARKS
from orchestration.authority.explain import ask, explain
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide, readings
from orchestration.engine.guards import spending

MAX_FACTS_BYTES = 16 * 1024
MAX_NAME = 200
_ANSWERS = {"allow": "Yes, without a vote.", "gate": "Only after people approve.", "deny": "No."}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks. `who` is "agent:<name>" or "person:<user name>"."""

    who: str = ""
    what: str = ""
    on: str = ""
    requester: str = ""
    parameters: str = ""
    record: str = ""

    @property
    def is_asked(self) -> bool:
        return bool(self.who and self.what)

    @property
    def has_facts(self) -> bool:
        return bool(self.requester or self.parameters or self.record)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to show: the verdict and its chain, or what is wrong with the question."""

    verdict: Verdict | None = None
    headline: str = ""
    sentences: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    roles: tuple[str, ...] = field(default=())

    @property
    def mark(self) -> tuple[str, str, str]:
        return MARKS[self.verdict.answer if self.verdict else "empty"]


def read(request: HttpRequest) -> Asked:
    def text(name: str, limit: int) -> str:
        return request.GET.get(name, "").replace("\x00", "").strip()[:limit]

    names = {name: text(name, MAX_NAME) for name in ("who", "what", "on", "requester")}
    return Asked(**names, parameters=text("parameters", MAX_FACTS_BYTES), record=text("record", MAX_FACTS_BYTES))


def choices(matrix: Matrix, user: Any) -> list[str]:
    """Principals to choose from: agents of the matrix, and the people the asker may see (at least himself)."""
    agents = sorted(f"agent:{agent.name}" for agent in matrix.agents.values())
    return [*agents, *sorted(f"person:{name}" for name in people_to_ask_about(user).values_list("username", flat=True)[:200])]


def answer(matrix: Matrix, asked: Asked, user: Any) -> Answer:
    """Judge the question under the matrix as it stands.

    The record is not read: what it holds may be more than the asker may see. Conditions that look at it are judged on the facts
    typed here.
    """
    try:
        principal = _principal(matrix, asked.who, user)
        facts: dict[str, Json] = {
            "parameters": _facts("parameters", asked.parameters),
            "record": _facts("record", asked.record),
            "requester": _requester(asked.requester, user),
        }
    except Invalid as error:
        return Answer(headline="The question cannot be answered as it is.", faults=error.faults)
    known = matrix.capabilities.get(asked.what)
    resource = Resource(known.resource if known else "", asked.on)
    facts["clock"] = clock_fact(clock.now(), matrix.zones)
    if asked.parameters:
        wanted = readings(matrix, principal, asked.what, resource, facts)
        facts["limits"] = {one.key: spending.used(one.key, one.per, clock.now()) for one in wanted}
        verdict = decide(matrix, principal, asked.what, resource, facts)
    else:
        verdict = ask(matrix, principal, asked.what, resource, facts, bounds="hours")
    roles = principal.roles if principal.kind == "user" else tuple(sorted(matrix.agents[principal.ref].roles))
    return Answer(verdict, _ANSWERS[verdict.answer], _said(asked, verdict), verdict.faults, roles)


def _said(asked: Asked, verdict: Verdict) -> tuple[str, ...]:
    """The chain without its last sentence, which the page shows as the headline."""
    unjudged = () if asked.parameters else ("Parameters not given: conditions that look at them may answer otherwise.",)
    return (*explain(verdict)[:-1], *unjudged)


def _principal(matrix: Matrix, who: str, user: Any) -> Principal:
    kind, _, name = who.partition(":")
    if kind == "agent" or not name:
        for ref, entry in matrix.agents.items():
            if entry.name == (name or kind):
                return Principal("agent", ref)
    person = people_to_ask_about(user).filter(username=name or kind).first()
    if person is not None:
        return Principal("user", str(person.pk), _roles(person))
    raise _fault("who", f"there is no agent or person “{who}” that you may ask about")


def _requester(name: str, user: Any) -> Json:
    if not name:
        return {}
    person = people_to_ask_about(user).filter(username=name.removeprefix("person:")).first()
    if person is None:
        raise _fault("requester", f"there is no person “{name}” that you may ask about")
    return {"id": str(person.pk), "roles": list(_roles(person))}


def people_to_ask_about(user: Any) -> Any:
    rows = User.objects.filter(is_active=True)
    sees_people = Area.objects.visible_to(user).filter(name="people").exists()
    return rows if sees_people else rows.filter(pk=cast(User, user).pk)


def _roles(person: User) -> tuple[str, ...]:
    return tuple(person.groups.order_by("name").values_list("name", flat=True))


def _facts(name: str, text: str) -> Json:
    if not text:
        return {}
    try:
        value = canonical.parse(text, max_bytes=MAX_FACTS_BYTES)
    except Invalid as error:
        raise _fault(name, str(error)) from None
    if not isinstance(value, dict):
        raise _fault(name, "must be a JSON object")
    return value


def _fault(where: str, what: str) -> Invalid:
    return Invalid(what, faults=[Fault(where, what)])
