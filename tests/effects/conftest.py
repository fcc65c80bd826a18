"""A house on the database whose clerk pays (remote) and writes notes (local), with what undoes both; what the bank hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from aegis.core.kinds import Key, get_kind
from aegis.identity import authority
from aegis.identity.models import User
from approvals import changes, previews
from approvals.models import ChangeSet
from orchestration.agents.protocol import Done
from orchestration.engine.effects import EffectRequest, effect_handler
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house

heard: list[EffectRequest] = []  # everything that reached the bank, in order
says: dict[str, Any] = {}  # handler -> what it answers: a value, an exception, or a callable over the request

ANYTHING = {"type": "object", "additionalProperties": True}
PINNED = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        name: {
            "type": "object",
            "additionalProperties": True,
            "required": ["capability"],
            "properties": {"capability": {"const": capability}},
        }
        for name, capability in (("pay", "note.pay"), ("keep", "note.keep"), ("more", "note.more"))
    },
}


def _bank(name: str) -> Callable[[EffectRequest], object]:
    def handle(request: EffectRequest) -> object:
        heard.append(request)
        answer = says.get(name, {"receipt": len(heard)})
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle


for _name in ("test.pay", "test.refund", "test.more"):
    effect_handler(_name)(_bank(_name))


@pytest.fixture(autouse=True)
def bank() -> Iterator[None]:
    heard.clear()
    says.clear()
    house.answers.clear()
    yield
    heard.clear()
    says.clear()
    house.answers.clear()


def asked(capability: str, key: str = "N-1", **parameters: object) -> dict[str, Any]:
    return {
        "capability": capability,
        "resource": {"type": "note", "id": key},
        "parameters": parameters,
        "justification": "asked",
    }


def capability(name: str, handler: str, *, safety: str = "unsafe", compensation: str = "") -> dict[str, Any]:
    spec = {"resource": "note", "risk": "low", "safety": safety, "handler": handler, "parameters": ANYTHING}
    if compensation:
        spec["compensation"] = compensation
    return house.document("Capability", name, spec)


def documents(steps: list[dict], *, safety: str = "unsafe", **effects: str) -> list[dict]:
    """The house's documents with payments, notes, and what undoes them. `Support leads` hold all, `Support operators` nothing.

    Args:
        effects: capability (dots as "__") -> effect of the clerk's grant; "allow" otherwise, "" for none.
    """
    names = ("note.pay", "note.refund", "note.keep", "note.restore", "note.more")
    cells = {name: effects.get(name.replace(".", "__"), "allow") for name in names}
    grants = [
        {"capability": name, "effect": effect, **({"policy": "leads"} if effect == "gate" else {})}
        for name, effect in cells.items()
        if effect
    ]
    made = [
        document
        for document in house.documents(steps=steps)
        if (document["kind"], document["metadata"]["name"]) not in {("Role", "clerk"), ("Role", "Support leads")}
    ]
    queue = next(document for document in made if document["kind"] == "ReviewQueue")
    queue["spec"]["groups"] = ["Support leads", "Support operators"]
    return [
        *made,
        house.document("Contract", "plan@1", {"schema": PINNED}),
        capability("note.pay", "test.pay", safety=safety, compensation="note.refund"),
        capability("note.refund", "test.refund", safety="keyed"),
        capability("note.keep", "record.create", safety="idempotent", compensation="note.restore"),
        capability("note.restore", "record.restore", safety="idempotent"),
        capability("note.more", "test.more", safety=safety),
        house.document("Role", "clerk", {"people": False, "grants": grants}),
        house.document(
            "Role", "Support leads", {"people": True, "grants": [{"capability": name, "effect": "allow"} for name in names]}
        ),
        house.document("Role", "Support operators", {"people": True, "grants": []}),
    ]


PAY = [
    {"id": "plan", "agent": "clerk", "output": "plan@1"},
    {"id": "pay", "act": "steps.plan.output.pay", "compensate": True},
]


@pytest.fixture
def furnish(ada: User, sam: User, olivia: User) -> Callable[..., None]:
    """Apply the documents; what the clerk plans is what the test puts under "plan"."""

    def apply(steps: list[dict] | None = None, **options: Any) -> None:
        house.bootstrap(documents(steps or PAY, **options))
        house.answers["plan"] = Done({"pay": asked("note.pay", amount=5)}, confidence=0.9)

    return apply


def rewrite(kind: str, name: str, change: Callable[[Any], None]) -> None:
    """Change a document as two people of change control would have, without them."""

    def work() -> None:
        authority.raise_epoch()
        document = get_kind(kind).dump(name)
        change(document["spec"])
        items, now = changes._agreed(previews.judge([(Key(kind, name), document)], None)), clock.db_now()
        change_set = changes._new(None, items, ChangeSet.Status.PROPOSED, now)
        changes._apply(change_set, items, SYSTEM, "a test", now)

    in_transaction(work)


def regrant(role: str, **effects: str) -> None:
    """Give a role other cells: note__more="allow"; "" takes the cell away."""
    cells = {name.replace("__", "."): effect for name, effect in effects.items()}

    def change(spec: Any) -> None:
        kept = [grant for grant in spec["grants"] if grant["capability"] not in cells]
        spec["grants"] = [*kept, *({"capability": name, "effect": effect} for name, effect in cells.items() if effect)]

    rewrite("Role", role, change)


def item_of(run: Run) -> ReviewItem:
    return ReviewItem.objects.select_related("run", "queue").get(run=run, settled_at__isnull=True)
