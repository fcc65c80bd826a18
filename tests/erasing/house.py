"""A house in which somebody is recorded, and the people who may forget him."""

from __future__ import annotations

from typing import Any

from django.db import connection

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals import gates
from approvals.models import ApprovalRequest
from audit.models import Erasure, Event, Payload
from orchestration.agents.protocol import Done
from orchestration.engine.erasing import verbs
from orchestration.engine.models import Run
from orchestration.workflows.models import Workflow
from tests.engine import house

CANARY = "Zq7Canary"  # part of everything that names the subject
KEY = f"{CANARY}-1"
OTHER = "other-1"
POLICY = house.document(
    "ApprovalPolicy",
    "erasure",
    {"stages": [{"groups": ["Privacy board"], "quorum": 2}], "deadline": "8h", "reason": "on_reject"},
)


def furnished(person: Any, *, effect: str = "gate") -> dict[str, User]:
    """pia asks (edit on the audit, sees the workflow); una and ben decide; zoe starts, max holds too."""
    people = {
        "pia": person("pia", "Privacy officers"),
        "max": person("max", "Privacy officers"),
        "una": person("una", "Privacy board"),
        "ben": person("ben", "Privacy board"),
        "ola": person("ola", "Privacy board"),
        "zoe": person("zoe", "Support leads"),
    }
    house.answers.clear()
    house.bootstrap([*house.documents(effect=effect), POLICY])
    officers = people["pia"].groups.get()
    for verb in ("view", "edit"):
        grants.grant(officers, area("audit"), verb, actor=SYSTEM, reason="test")
    grants.grant(officers, Workflow.objects.get(name="notes"), "view", actor=SYSTEM, reason="test")
    return people


def note(key: str) -> dict[str, Any]:
    return {**house.NOTE, "resource": {"type": "note", "id": f"N-{key}"}, "parameters": {"text": f"about {key}"}}


def lived(zoe: User, sam: User, key: str = KEY, *, idempotency_key: str | None = None) -> Run:
    """A run about `key` that an agent proposed, a person approved, and that wrote a record."""
    house.answers["write"] = Done({"note": note(key)}, confidence=0.9, rationale=f"{key} asked for it")
    run = house.submit(zoe, {"id": key, "text": f"I am {key}"}, key=idempotency_key)
    house.drive(run)
    request = ApprovalRequest.objects.filter(run_id=run.pk, status="open").first()
    if request is not None:
        vote(request, sam, reason=f"{key} may have it")
        house.drive(run)
    assert run.status == "completed", run.status
    return run


def vote(request: ApprovalRequest, who: User, verdict: str = "approve", *, reason: str = "") -> ApprovalRequest:
    request = ApprovalRequest.objects.get(pk=request.pk)
    return gates.decide(
        request.pk,
        person=who,
        auth="session",
        verdict=verdict,
        reason=reason,
        seen_digest=request.digest,
        proved_at=clock.db_now(),
    )


def ask(who: User, *, run: Run | None = None, key: str = "", reason: str = "A request under article 17") -> Erasure:
    return verbs.ask(run_id=run.pk if run else None, key=key, actor=actor(who), reason=reason)


def request_of(erasure: Erasure) -> ApprovalRequest:
    return ApprovalRequest.objects.get(pk=erasure.pk)


def erased(people: dict[str, User], **what: Any) -> Erasure:
    """Asked by pia, approved by una and ben."""
    erasure = ask(people["pia"], **what)
    for name in ("una", "ben"):
        vote(request_of(erasure), people[name])
    erasure.refresh_from_db()
    return erasure


def actor(who: User) -> Any:
    return user_actor(who.pk, auth="session")


def lines_of_type(type_: str) -> list[Event]:
    return list(Event.objects.filter(type=type_).order_by("pk"))


def tables_holding(text: str) -> dict[str, int]:
    """Table -> rows of which some column, read as text, holds `text`. Every table and every column there is."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            where = " OR ".join(f'CAST("{name}" AS text) LIKE %s' for name in columns)
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE {where}', [f"%{text}%"] * len(columns))
            (count,) = cursor.fetchone()
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE {where}', [f"%{text.lower()}%"] * len(columns))
            count += cursor.fetchone()[0]
            if count:
                found[table] = count
    return found


def payloads_holding(text: str) -> list[Payload]:
    return list(Payload.objects.filter(body__contains=text))
