"""The house of `tests.engine.house` with a clerk that does what the test put behind its step, and a clock that moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.identity.models import User
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent
from orchestration.engine import verbs
from orchestration.engine.guards import waking
from orchestration.engine.models import Run
from tests.engine import house

behind: dict[str, Reply | Exception | Callable[[AgentRequest], Reply]] = {}
_offset = [timedelta(0)]
_db_now = clock.db_now


@python_agent("test.guarded")
def guarded(request: AgentRequest) -> Reply:
    """Answers, raises or calls what the test put behind the step; proposes a note if nothing."""
    found = behind.get(request.step, propose)
    if isinstance(found, Exception):
        raise found
    return found(request) if callable(found) else found


def propose(request: AgentRequest) -> Done:
    """A note of the run's own."""
    note = {**house.NOTE, "resource": {"type": "note", "id": request.run_id}}
    return Done({"note": note}, confidence=0.9)


def documents(*, effect: str = "allow", retry: Any = None, agent: Any = None, capability: Any = None) -> list[dict]:
    """Those of the house; `agent` and `capability` are added to their specs (limits, breaker)."""
    docs = house.documents(effect=effect)
    by_key = {(doc["kind"], doc["metadata"]["name"]): doc for doc in docs}
    by_key["Agent", "clerk"]["spec"].update({"connector": {"python": "test.guarded"}, **(agent or {})})
    by_key["Capability", "note.write"]["spec"].update(capability or {})
    write = by_key["Workflow", "notes"]["spec"]["steps"][0]
    if retry:
        write["retry"] = retry
    return docs


def submit_many(person: User, count: int) -> list[Run]:
    actor = user_actor(person.pk, auth="test")
    wanted = [verbs.Submission({"id": f"n-{index}"}) for index in range(count)]
    return [done.run for done in verbs.submit_many("notes", wanted, person=person, actor=actor)]


def pass_time(**delta: float) -> None:
    """Move the clock of the database on, for this process."""
    _offset[0] += timedelta(**delta)


def moved_now() -> Any:
    return _db_now() + _offset[0]


def sweep(*held: Run) -> int:
    """A second passes, the sweep wakes what it may, a worker drives. Returns how many were woken."""
    pass_time(seconds=1)
    woken = waking.wake_due()
    house.drive(*held)
    return woken


__all__ = ["Abstain", "Done", "behind", "documents", "moved_now", "pass_time", "submit_many", "sweep"]
