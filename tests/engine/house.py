"""A small house on the real database: documents through change control, runs through verbs, drives through the driver."""

from __future__ import annotations

from collections.abc import Iterable

from aegis.core.actors import Actor, user_actor
from aegis.core.errors import AegisError
from aegis.core.kinds import document_key
from aegis.identity.models import User
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done, Reply, python_agent
from orchestration.engine import verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import Run
from tests.support.configuration import configured

answers: dict[str, Reply | Exception] = {}


@python_agent("test.scripted")
def scripted(request: AgentRequest) -> Reply:
    """Answers what the test put under the step's name, else done with its input."""
    answer = answers.get(request.step, Done(request.input, confidence=0.9))
    if isinstance(answer, Exception):
        raise answer
    return answer


def document(kind: str, name: str, spec: object, **metadata: object) -> dict:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


OPEN = {"type": "object", "additionalProperties": True}
NOTE = {
    "capability": "note.write",
    "resource": {"type": "note", "id": "N-1"},
    "parameters": {"text": "hello"},
    "justification": "asked",
}


def documents(*, effect: str = "allow", steps: object = None, fast_path: str = "") -> list[dict]:
    """A workflow `notes` whose clerk proposes `note.write`, allowed or gated by `leads`."""
    grant = {"capability": "note.write", "effect": effect}
    if effect == "gate":
        grant["policy"] = "leads"
    policy = {"stages": [{"groups": ["Support leads"], "quorum": 1}], "deadline": "1h", "reason": "always"}
    if fast_path:
        policy["fast_path"] = fast_path
    strict = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id"],
        "properties": {"id": {"type": "string", "maxLength": 40}, "text": {"type": "string"}},
    }
    return [
        document("Role", "Support leads", {"people": True, "grants": []}),
        document("ReviewQueue", "people", {"groups": ["Support leads"], "service_time": "4h", "owner": "Support leads"}),
        document("ApprovalPolicy", "leads", policy),
        document("Contract", "request@1", {"schema": strict}),
        document("Contract", "anything@1", {"schema": OPEN}),
        document(
            "Capability",
            "note.write",
            {
                "resource": "note",
                "risk": "low",
                "safety": "idempotent",
                "handler": "record.create",
                "parameters": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"text": {"type": "string"}},
                },
            },
        ),
        document("Role", "clerk", {"people": False, "grants": [grant]}),
        document(
            "Agent", "clerk", {"owner": "ada", "roles": ["clerk"], "connector": {"python": "test.scripted"}, "settings": {}}
        ),
        document(
            "Workflow",
            "notes",
            {
                "input": "request@1",
                "business_key": "input.id",
                "fallback": {"queue": "people"},
                "steps": steps
                or [
                    {"id": "write", "agent": "clerk", "output": "anything@1"},
                    {"id": "keep", "act": "steps.write.output.note"},
                ],
            },
            title="Notes",
            owner="Support leads",
        ),
    ]


def bootstrap(docs: Iterable[dict]) -> None:
    try:
        configured((document_key(doc), doc) for doc in docs)
    except AegisError as error:
        raise AssertionError("; ".join(map(str, error.faults)) or error.detail) from error


def submit(person: User, payload: object = None, *, key: str | None = None) -> Run:
    actor = user_actor(person.pk, auth="test")
    return verbs.submit("notes", verbs.Submission(payload or {"id": "n-1"}, key), person=person, actor=actor).run


def drive(*runs: Run) -> None:
    Driver(among=[run.pk for run in runs]).drive()
    for run in runs:
        run.refresh_from_db()


def actor_for(person: User) -> Actor:
    return user_actor(person.pk, auth="test")


def types_of(run: Run) -> list[str]:
    return list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("type", flat=True))


def request_of(run: Run) -> ApprovalRequest:
    return ApprovalRequest.objects.get(run_id=run.pk, status="open")
