"""The work of `bench.resume`: a gate, then an agent that tells at once that it was begun, by a datagram to whoever decided.

The agent is registered on import; a worker imports this module through AEGIS_AGENT_MODULES. As a program it founds the work.
"""

from __future__ import annotations

import os

from bench.stamps import stamp
from orchestration.agents.protocol import AgentRequest, Done, python_agent

PORT_VARIABLE = "BENCH_STAMP_PORT"
WORKFLOW, REQUESTER, APPROVER = "bench-resume", "bench-rita", "bench-lea"


@python_agent("bench.stamp")
def begun(request: AgentRequest) -> Done:
    stamp(request.input["id"], int(os.environ[PORT_VARIABLE]))
    return Done({"id": request.input["id"]})


def found() -> None:
    """People, policy, contract, agent and workflow, on an empty, migrated database."""
    from aegis.core.actors import SYSTEM
    from aegis.core.kinds import document_key
    from aegis.identity import grants, people
    from approvals import changes
    from bench.workload import document
    from orchestration.workflows.models import Workflow

    desk, leads = (people.create_group(name, actor=SYSTEM, reason="bench") for name in ("Bench desk", "Bench leads"))
    people.create_person(REQUESTER, name="Rita", groups=[desk], actor=SYSTEM, reason="bench")
    people.create_person(APPROVER, name="Lea", groups=[leads], actor=SYSTEM, reason="bench")
    text = {"type": "string", "minLength": 1, "maxLength": 60}
    schema = {"type": "object", "additionalProperties": False, "required": ["id"], "properties": {"id": text}}
    steps = [
        {"id": "ask", "gate": "bench-consent", "proposal": "input"},
        {"id": "go", "agent": "bench-stamper", "input": {"id": "input.id"}, "output": "bench-item@1"},
    ]
    workflow = {"input": "bench-item@1", "business_key": "input.id", "fallback": {"queue": "bench-people"}, "steps": steps}
    documents = [
        document("ReviewQueue", "bench-people", {"groups": [leads.name], "service_time": "4h", "owner": leads.name}),
        document("Contract", "bench-item@1", {"schema": schema}),
        document("ApprovalPolicy", "bench-consent", {"stages": [{"groups": [leads.name], "quorum": 1}], "deadline": "8h"}),
        document("Agent", "bench-stamper", {"owner": REQUESTER, "roles": [], "connector": {"python": "bench.stamp"}}),
        document("Workflow", WORKFLOW, workflow, owner=desk.name),
    ]
    changes.bootstrap([(document_key(one), one) for one in documents])
    row = Workflow.objects.get(name=WORKFLOW)
    for verb in ("view", "start", "operate"):
        grants.grant(desk, row, verb, actor=SYSTEM, reason="bench")


if __name__ == "__main__":
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    found()
