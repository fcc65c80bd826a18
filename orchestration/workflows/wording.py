"""A change of a workflow in sentences a person can judge. Pure over documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from orchestration.workflows.parse import kind_of

_MAX_SHOWN: Final = 120

#: Kind word -> how a step of it is told: what it does to what.
_DOES: Final[Mapping[str, str]] = {
    "agent": "asks the agent {}",
    "act": "carries out {}",
    "route": "asks the routing table {}",
    "gate": "waits for an approval under {}",
    "review": "waits for a person of the queue {}",
    "set": "computes {}",
    "finish": "ends the run as {}",
}
#: Field of a step or of the workflow -> its name for people, where the field's own is not plain.
_FIELDS: Final[Mapping[str, str]] = {
    "input": "input",
    "output": "output contract",
    "confidence_below": "confidence asked for",
    "on_failure": "failure handling",
    "max_visits": "visits at most",
    "compensate": "undone when the run gives up or is cancelled",
    "abstain_queue": "queue for “I do not know”",
    "business_key": "business key",
    "success": "success criterion",
    "fallback": "fallback",
    "priority": "priority",
    "owner": "owner",
    "title": "title",
    "description": "description",
    "dual_control": "dual control",
    "next": "step after it",
    "requires": "steps that must be on record",
    "agent": "agent",
    "act": "proposal carried out",
    "route": "routing table",
    "gate": "approval policy",
    "review": "review queue",
    "set": "values",
    "finish": "outcome",
}


def sentences(old: Json | None, new: Json | None, name: str) -> list[str]:
    """What changes, in document order.

    Args:
        old, new: documents that keep the schema; None = there is none.
    """
    label = f"workflow “{name}”"
    if new is None:
        return [f"Removes the {label}. Runs under way keep the version they started with."]
    if old is None:
        steps = new["spec"]["steps"]
        added = [f"Adds the {label}, owned by {new['metadata']['owner']}, with {_count(len(steps))}."]
        return [*added, *(f"Step “{step['id']}” {_does(step)}." for step in steps)]
    return list(_changes(old, new, f"W{label[1:]}"))


def _changes(old: Json, new: Json, label: str) -> Iterator[str]:
    for key in _keys(old["metadata"], new["metadata"]):
        yield from _change(label, key, old["metadata"].get(key), new["metadata"].get(key))
    for key in _keys(old["spec"], new["spec"]):
        if key != "steps":
            yield from _change(label, "input contract" if key == "input" else key, old["spec"].get(key), new["spec"].get(key))
    before = {step["id"]: step for step in old["spec"]["steps"]}
    after = {step["id"]: step for step in new["spec"]["steps"]}
    previous = ""
    for step_id, step in after.items():
        if step_id not in before:
            place = f"after “{previous}”" if previous else "as the first step"
            yield f"Adds step “{step_id}” {place}; it {_does(step)}."
        else:
            yield from _step_changes(step_id, before[step_id], step)
        previous = step_id
    for step_id, step in before.items():
        if step_id not in after:
            yield f"Removes step “{step_id}”, which {_does(step)}."
    kept = [step_id for step_id in before if step_id in after]
    now = [step_id for step_id in after if step_id in before]
    if kept != now:
        yield f"The steps are now in the order {', '.join(after)}."


def _step_changes(step_id: str, old: Json, new: Json) -> Iterator[str]:
    if old == new:
        return
    if kind_of(old) != kind_of(new):
        yield f"Step “{step_id}” now {_does(new)}; until now it {_does(old)}."
        return
    for key in _keys(old, new):
        before, after = old.get(key), new.get(key)
        if (
            isinstance(before, Mapping)
            and isinstance(after, Mapping)
            and key in ("input", "facts", "cases", "on_failure", "set")
        ):
            for inner in _keys(before, after):
                yield from _change(f"Step “{step_id}”", f"{key} “{inner}”", before.get(inner), after.get(inner))
        else:
            yield from _change(f"Step “{step_id}”", key, before, after)


def _change(label: str, key: str, old: Json, new: Json) -> Iterator[str]:
    if old == new and type(old) is type(new):
        return
    field = _FIELDS.get(key, key)
    if old is None:
        yield f"{label}: {field} is now {_shown(new)}."
    elif new is None:
        yield f"{label}: {field} is no longer set; it was {_shown(old)}."
    else:
        yield f"{label}: {field} was {_shown(old)}, now {_shown(new)}."


def _keys(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    return list(dict.fromkeys([*old, *new]))


def _does(step: Json) -> str:
    kind = kind_of(step)
    subject = step[kind]
    return _DOES[kind].format(", ".join(subject) if isinstance(subject, Mapping) else subject)


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical.dump(value).decode()
    text = " ".join(text.split()) or "empty"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
