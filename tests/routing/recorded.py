"""Runs on the database that ask a routing table, then write a note."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import call_command

from aegis.core.actors import user_actor
from aegis.core.kinds import document_key
from aegis.identity.models import User
from approvals import changes
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.engine import house
from tests.routing.writing import row, table

STEPS = [
    {"id": "write", "agent": "clerk", "output": "anything@1"},
    {
        "id": "triage",
        "route": "desk",
        "facts": {"size": "input.text.size()"},
        "cases": {"note": "keep", "long": {"queue": "people"}, "none": {"queue": "people"}},
    },
    {"id": "keep", "act": "steps.write.output.note"},
]


def desk(limit: int = 10, **metadata: Any) -> dict[str, Any]:
    rows = [
        row("short", {"size": f"<= {limit}"}, case="note", days=1),
        row("long", {"size": f"> {limit}"}, case="long", days=5),
    ]
    found = table({"size": "int"}, *rows, outputs={"days": "int"}, default={"case": "none", "days": 9}, hit_policy="Unique")
    found["metadata"] = {"name": "desk", **metadata}
    return found


def found() -> None:
    house.answers.clear()
    house.bootstrap([*house.documents(steps=STEPS)[:-1], desk(), house.documents(steps=STEPS)[-1]])


def run(person: User, text: str, number: int = 1) -> Run:
    note = {**house.NOTE, "resource": {"type": "note", "id": f"N-{number}"}}
    house.answers["write"] = Done({"note": note}, confidence=0.9)
    made = house.submit(person, {"id": f"n-{number}", "text": text})
    house.drive(made)
    return made


def publish(author: User, *documents: dict[str, Any]) -> None:
    actor = user_actor(author.pk, auth="test")
    changes.propose([(document_key(one), one) for one in documents], author=author, actor=actor, reason="a test")


def command(*words: str) -> tuple[int, str, str]:
    """Exit code, output and notes of `manage.py aegis <words>`."""
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command("aegis", *words, stdout=out, stderr=err)
    except SystemExit as exited:
        code = int(str(exited.code))
    return code, out.getvalue(), err.getvalue()
