"""A house whose workflow is made of blocks: the clerk answers, and writes notes that can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aegis.core import canonical, clock
from aegis.core.db import in_transaction
from audit import chain, journal
from audit.models import Event, Payload
from orchestration.agents.protocol import Done
from orchestration.engine import state as states
from orchestration.engine.driver import Driver
from orchestration.engine.fold import fold_all
from orchestration.engine.models import InboxItem, Run
from orchestration.records import store
from tests.engine import house

KEPT = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        "note": {"type": "object", "additionalProperties": True, "properties": {"capability": {"const": "note.keep"}}},
    },
}
ENDINGS = ("run.completed", "run.failed", "run.cancelled", "run.rolled_back")
BROKEN = RuntimeError("it broke")
LOOK = {"id": "look", "review": "people", "output": "anything@1"}
FAIL = {"on_failure": {"agent_error": "fail"}}


def keep(key: str) -> Done:
    """The clerk proposes a note that can be undone."""
    note = {
        "capability": "note.keep",
        "resource": {"type": "note", "id": key},
        "parameters": {"text": key},
        "justification": "asked",
    }
    return Done({"note": note}, confidence=0.9)


def ask(step: str, **more: Any) -> dict[str, Any]:
    return {"id": step, "agent": "clerk", "output": "anything@1", **more}


def acts(name: str, **more: Any) -> list[dict[str, Any]]:
    """Ask for a note and write it, so that it is undone if the run gives up."""
    return [
        {"id": f"plan-{name}", "agent": "clerk", "output": "kept@1"},
        {"id": f"keep-{name}", "act": f'steps["plan-{name}"].output.note', "compensate": True, **more},
    ]


def documents(*steps: dict[str, Any], others: Mapping[str, dict[str, Any]] | None = None, **spec: Any) -> list[dict[str, Any]]:
    """The documents of `tests.engine.house`, with `notes` made of these steps, and what undoes a note.

    Args:
        others: name -> spec of further workflows.
    """
    docs = [one for one in house.documents(steps=list(steps)) if one["metadata"]["name"] != "clerk" or one["kind"] != "Role"]
    workflow = docs[-1]
    workflow["spec"] |= spec
    parameters = {"type": "object", "additionalProperties": True}
    local = {"resource": "note", "risk": "low", "safety": "idempotent", "parameters": parameters}
    grants = [{"capability": name, "effect": "allow"} for name in ("note.write", "note.keep", "note.undo")]
    return [
        *docs[:-1],
        house.document("Capability", "note.keep", {**local, "handler": "record.patch", "compensation": "note.undo"}),
        house.document("Capability", "note.undo", {**local, "handler": "record.restore"}),
        house.document("Contract", "kept@1", {"schema": KEPT}),
        house.document("Role", "clerk", {"people": False, "grants": grants}),
        *(
            house.document(
                "Workflow", name, {"business_key": "input.id", "fallback": {"queue": "people"}, **one}, owner="Support leads"
            )
            for name, one in (others or {}).items()
        ),
        workflow,
    ]


def notes(*keys: str) -> None:
    """Records to be changed, with nothing in them yet."""
    at = clock.now()
    seeds = [store.Change("note", key, 0, b'{"text":""}', f"seed/{key}", uuid4(), at) for key in keys]
    in_transaction(lambda: store.compare_and_set_all(seeds))


def drive(*runs: Run) -> None:
    """Everything that is runnable, until nothing is."""
    Driver().drive()
    for run in runs:
        run.refresh_from_db()


def children(run: Run) -> list[Run]:
    return list(Run.objects.filter(parent=run).order_by("parent_step", "parent_visit", "ordinal", "submitted_at"))


def output_of(run: Run, step: str) -> Any:
    """The output of a step as the run's state knows it."""
    place = states.load(run.state).outputs[step]
    stream, _, seq = place.rpartition("/")
    return canonical.parse(Payload.objects.get(stream=stream, seq=int(seq), name="output").body)


def data_of(run: Run, type_: str) -> list[dict[str, Any]]:
    rows = Event.objects.filter(stream=run.stream, type=type_).order_by("seq")
    return [chain.read_line(row.line)["data"] for row in rows]


def sound() -> None:
    """What must hold of every family: state is what the events say, the journal verifies, each child is joined once."""
    assert journal.verify().problems == []
    for run in Run.objects.all():
        lines = [chain.read_line(row.line) for row in Event.objects.filter(stream=run.stream).order_by("seq")]
        assert states.dump(fold_all(run.stream, lines)) == run.state
        told = list(InboxItem.objects.filter(run=run.parent_id, kind="child_ended", ref__startswith=f"{run.pk}#"))
        endings = [line for line in lines if line["type"] in ENDINGS]
        if run.parent_id:
            assert len(told) == len(endings), (run.label, [line["type"] for line in lines])
        if run.status in Run.TERMINAL:
            left = Run.objects.filter(parent=run).exclude(status__in=Run.TERMINAL)
            assert not left.exists(), "a run ends after its children"
    for parent in Run.objects.filter(children__isnull=False).distinct():
        ended = [data["child"] for data in data_of(parent, "child.ended")]
        undone = [data["child"] for data in data_of(parent, "child.undone")]
        for child in children(parent):
            times = sum(type_ in ENDINGS for type_ in house.types_of(child))
            assert ended.count(str(child.pk)) + undone.count(str(child.pk)) == times, child.label


def started(starter: Any, docs: Any, payload: Any = None) -> Run:
    """A run of these documents, driven until it waits or rests."""
    house.bootstrap(docs)
    notes("N-1", "N-2", "N-3")
    run = house.submit(starter, payload)
    drive(run)
    return run


def branches(**names: Any) -> dict[str, Any]:
    return {name: {"steps": steps if isinstance(steps, list) else [steps]} for name, steps in names.items()}


def note(key: str) -> Any:
    """What a note says: nothing at first, its own key once it was written."""
    return store.read("note", key).body["text"]
