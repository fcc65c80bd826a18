"""The work that the engine is measured by: five inline agent steps with a contract each, then one governed effect.

Everything is on as in production: release and matrix through change control, journal with chain and payload commitments,
append-only triggers, indexes, leases and fences, the authority epoch. A run writes 14 events: `run.submitted`, five times
`step.started` and `step.completed`, `verdict.given` (the live matrix, one CEL condition), `effect.done` (a record made by
compare-and-set) and `run.completed`. It counts as five steps, although it has six.

The agents are registered on import; a worker imports this module through AEGIS_AGENT_MODULES.
"""

from __future__ import annotations

from typing import Any

from orchestration.agents.protocol import AgentRequest, Done, python_agent

STEPS = 5
EVENTS = 14
WORKFLOW = "bench-run"
PERSON = "bench-rita"
DESK = "Bench desk"
BATCH = 200  # runs submitted in one transaction

Document = dict[str, Any]


@python_agent("bench.step")
def step(request: AgentRequest) -> Done:
    """The inline agent of the first four steps: one more than it was given."""
    return Done({"x": request.input["x"] + 1, "reason": "one more"}, rationale="counted", confidence=0.9)


@python_agent("bench.propose")
def propose(request: AgentRequest) -> Done:
    """The fifth step: the same, and a proposal."""
    parameters = {"text": f"counted to {request.input['x'] + 1}", "x": request.input["x"] + 1}
    proposal = {"capability": "bench.keep", "resource": {"type": "bench", "id": request.input["id"]}, "parameters": parameters}
    output = {"x": request.input["x"] + 1, "reason": "one more", "proposal": proposal}
    return Done(output, rationale="counted", confidence=0.9)


def document(kind: str, name: str, spec: Document, **metadata: str) -> Document:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _object(required: Document, **more: Any) -> Document:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": required, **more}


NUMBER = {"type": "integer", "minimum": 0, "maximum": 1_000_000}
TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
PARAMETERS = _object({"text": TEXT, "x": NUMBER})
PROPOSAL = _object(
    {
        "capability": {"const": "bench.keep"},
        "resource": _object({"type": {"const": "bench"}, "id": TEXT}),
        "parameters": PARAMETERS,
    }
)


def documents() -> list[Document]:
    """The configuration, in an order that change control takes whole."""
    agent = {"owner": PERSON, "roles": ["bench-hands"]}
    steps: list[Document] = [
        {
            "id": f"s{number}",
            "agent": "bench-counter",
            "input": {"x": f"steps.s{number - 1}.output.x" if number > 1 else "input.x"},
            "output": "bench-count@1",
        }
        for number in range(1, STEPS)
    ]
    last = {"x": f"steps.s{STEPS - 1}.output.x", "id": "input.id"}
    steps += [
        {"id": f"s{STEPS}", "agent": "bench-proposer", "input": last, "output": "bench-proposal@1"},
        {"id": "keep", "act": f"steps.s{STEPS}.output.proposal"},
    ]
    return [
        document("ReviewQueue", "bench-people", {"groups": [DESK], "service_time": "4h", "owner": DESK}),
        document("Contract", "bench-request@1", {"schema": _object({"id": TEXT, "x": NUMBER})}),
        document("Contract", "bench-count@1", {"schema": _object({"x": NUMBER, "reason": TEXT})}),
        document("Contract", "bench-proposal@1", {"schema": _object({"x": NUMBER, "reason": TEXT, "proposal": PROPOSAL})}),
        document(
            "Capability",
            "bench.keep",
            {"resource": "bench", "risk": "low", "safety": "idempotent", "handler": "record.create", "parameters": PARAMETERS},
        ),
        document(
            "Role",
            "bench-hands",
            {
                "people": False,
                "grants": [
                    {
                        "capability": "bench.keep",
                        "effect": "allow",
                        "when": "parameters.x < 1000000 && requester.id != '' && parameters.text.size() < 200",
                    }
                ],
            },
        ),
        document("Agent", "bench-counter", {**agent, "connector": {"python": "bench.step"}}),
        document("Agent", "bench-proposer", {**agent, "connector": {"python": "bench.propose"}}),
        document(
            "Workflow",
            WORKFLOW,
            {"input": "bench-request@1", "business_key": "input.id", "fallback": {"queue": "bench-people"}, "steps": steps},
            owner=DESK,
        ),
    ]


def found() -> None:
    """One person in one group, and the configuration. On an empty, migrated database."""
    from aegis.core.actors import SYSTEM
    from aegis.core.kinds import document_key
    from aegis.identity import grants, people
    from approvals import changes
    from orchestration.workflows.models import Workflow

    desk = people.create_group(DESK, actor=SYSTEM, reason="bench")
    people.create_person(PERSON, name="Rita", groups=[desk], actor=SYSTEM, reason="bench")
    changes.bootstrap([(document_key(one), one) for one in documents()])
    for verb in ("view", "start", "operate"):
        grants.grant(desk, Workflow.objects.get(name=WORKFLOW), verb, actor=SYSTEM, reason="bench")


def submit(count: int, *, batch: int = BATCH) -> None:
    """Start runs, `batch` in one transaction."""
    import uuid

    from aegis.core.actors import user_actor
    from aegis.identity.models import User
    from orchestration.engine import verbs

    person = User.objects.get(username=PERSON)
    actor = user_actor(person.pk, auth="bench")
    for begin in range(0, count, batch):
        work = [verbs.Submission({"id": uuid.uuid4().hex, "x": 0}) for _ in range(min(batch, count - begin))]
        verbs.submit_many(WORKFLOW, work, person=person, actor=actor)
