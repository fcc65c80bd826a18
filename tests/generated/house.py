"""The house of `tests.simulation`, with contracts that hold lists, an input that names a resource and a moment, and agents
of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from aegis.core import clock_text
from aegis.core.kinds import Key
from orchestration.agents.protocol import CallFailed, Done, Reply
from tests.simulation import house, outside
from tests.workflows.documents import closed, document, proposal

Json = Any

LIST: Final = "list@1"
ACTIONS: Final = "actions@1"
DESKS: Final = ("north", "south", "east")  # few, so that runs meet at one resource
MESSAGES: Final = ("news", "payment")
CONNECTOR: Final = "generated.agent"

_LISTED: Final = {"type": "array", "items": {"type": "integer"}, "maxItems": 6}


def surroundings() -> dict[Key, Json]:
    """Everything but workflows and routing tables."""
    found = dict(house.surroundings())
    actions = {"type": "array", "items": proposal("note.patch", "note"), "maxItems": 6}
    request = house.request_schema()["properties"]
    text = {"type": "string"}
    schemas = {
        "request@1": closed(**request, desk=text, list=_LISTED, at=text),
        LIST: house.facts_shape(list=_LISTED),
        ACTIONS: house.facts_shape(actions=actions),
    }
    found |= {Key("Contract", name): document("Contract", name, {"schema": schema}) for name, schema in schemas.items()}
    for key in [key for key in found if key.kind == "Agent"]:
        spec = {**found[key]["spec"], "connector": {"python": CONNECTOR}}
        found[key] = document("Agent", key.name, spec)
    return found


def more_of(rng: Random, now: datetime, moments: Sequence[int] = (-60, 9, 40)) -> Json:
    """What a request holds beside that of `tests.simulation.house`.

    Args:
        moments: seconds from now, of which one is drawn for `at`.
    """
    at = now + timedelta(seconds=rng.choice(moments))
    return {
        "desk": rng.choice(DESKS),
        "list": [rng.randrange(100) for _ in range(rng.randint(0, 4))],
        "at": clock_text.render(at),
    }


def message(rng: Random, contract: str) -> Json:
    """A value that keeps the contract."""
    value = outside.message(rng, contract)
    return value | _lists(rng, contract)


def reply_to(rng: Random, contract: str, *, calm: bool = False) -> Reply | CallFailed:
    """As `outside.reply_to`: sense mostly, and everything else an agent may come up with."""
    answer = outside.reply_to(rng, contract, calm=calm)
    if isinstance(answer, Done):
        return Done({**answer.output, **_lists(rng, contract)}, confidence=answer.confidence)
    return answer


def _lists(rng: Random, contract: str) -> Json:
    if contract == LIST:
        return {"list": [rng.randrange(100) for _ in range(rng.randint(0, 4))]}
    if contract == ACTIONS:
        return {"actions": [outside.action(rng, "note.patch") for _ in range(rng.randint(0, 3))]}
    return {}
