"""A change of a workflow in sentences a person can judge. Pure over documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from orchestration.workflows.places import kind_of

_MAX_SHOWN: Final = 120

#: Kind word -> how a step of it is told: what it does to what.
_DOES: Final[Mapping[str, str]] = {
    "agent": "asks the agent {}",
    "act": "carries out {}",
    "route": "asks the routing table {}",
    "gate": "waits for an approval under {}",
    "review": "waits for a person of the queue {}",
    "set": "computes {}",
    "wait": "waits {}",
    "parallel": "walks side by side {}",
    "map": "walks its steps for each of {}",
    "run": "runs the workflow {}",
    "finish": "ends the run as {}",
}
#: Field of a step or of the workflow -> its name for people, where the field's own is not plain.
_FIELDS: Final[Mapping[str, str]] = {
    "input": "input",
    "output": "output contract",
    "confidence_below": "confidence asked for",
    "on_failure": "failure handling",
    "max_visits": "visits at most",
    "skill": "skill of who works on its review items",
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
    "requires": "what must be on record",
    "agent": "agent",
    "act": "proposal carried out",
    "route": "routing table",
    "gate": "approval policy",
    "review": "review queue",
    "set": "values",
    "finish": "outcome",
    "wait": "what it waits for",
    "deadline": "deadline",
    "on_deadline": "what follows a missed deadline",
    "resource": "resource that no two runs act on at once",
    "rollback": "approval of a rollback",
    "parallel": "branches",
    "join": "branches that must be well",
    "map": "list walked",
    "at_once": "items at a time",
    "max_items": "items at most",
    "on_item_failure": "handling of an item that fails",
    "run": "workflow run",
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
        added = f"Adds the {label}, owned by {new['metadata']['owner']}, with {_count(len(steps))}."
        return [added, *_told(steps, "")]
    return list(_changes(old, new, f"W{label[1:]}"))


def _changes(old: Json, new: Json, label: str) -> Iterator[str]:
    for key in _keys(old["metadata"], new["metadata"]):
        yield from _change(label, key, old["metadata"].get(key), new["metadata"].get(key))
    for key in _keys(old["spec"], new["spec"]):
        if key == "samples":
            yield from _sample_changes(old["spec"].get(key, []), new["spec"].get(key, []))
        elif key != "steps":
            yield from _change(label, "input contract" if key == "input" else key, old["spec"].get(key), new["spec"].get(key))
    yield from _list_changes(old["spec"]["steps"], new["spec"]["steps"], "")


def _list_changes(old: list[Json], new: list[Json], inside: str) -> Iterator[str]:
    """Changes of one list of steps.

    Args:
        inside: what it belongs to, as in " of branch “a” of “checks”"; "" for the workflow itself.
    """
    before = {step["id"]: step for step in old}
    after = {step["id"]: step for step in new}
    previous = ""
    for step_id, step in after.items():
        if step_id not in before:
            place = f"after “{previous}”" if previous else f"as the first step{inside}"
            yield f"Adds step “{step_id}” {place}; it {_does(step)}."
            yield from _told_inside(step)
        else:
            yield from _step_changes(step_id, before[step_id], step)
        previous = step_id
    for step_id, step in before.items():
        if step_id not in after:
            yield f"Removes step “{step_id}”, which {_does(step)}."
    kept = [step_id for step_id in before if step_id in after]
    now = [step_id for step_id in after if step_id in before]
    if kept != now:
        yield f"The steps{inside} are now in the order {', '.join(after)}."


def _told(steps: list[Json], inside: str) -> Iterator[str]:
    for step in steps:
        yield f"Step “{step['id']}”{inside} {_does(step)}."
        yield from _told_inside(step)


def _told_inside(step: Json) -> Iterator[str]:
    if "map" in step:
        yield from _told(step["steps"], f" of “{step['id']}”")
    for name, branch in step.get("parallel", {}).items():
        yield from _told(branch["steps"], _of_branch(name, step["id"]))


def _branch_changes(step_id: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    for name in _keys(old, new):
        if name not in old:
            yield f"Step “{step_id}”: adds the branch “{name}” with {_count(len(new[name]['steps']))}."
            yield from _told(new[name]["steps"], _of_branch(name, step_id))
        elif name not in new:
            yield f"Step “{step_id}”: removes the branch “{name}” with {_count(len(old[name]['steps']))}."
        else:
            yield from _list_changes(old[name]["steps"], new[name]["steps"], _of_branch(name, step_id))
            yield from _change(
                f"Branch “{name}” of “{step_id}”", "output of it", old[name].get("output"), new[name].get("output")
            )


def _of_branch(name: str, step_id: str) -> str:
    return f" of branch “{name}” of “{step_id}”"


def _sample_changes(old: list[Json], new: list[Json]) -> Iterator[str]:
    before, after = ({one["name"]: one for one in samples} for samples in (old, new))
    for name, sample in after.items():
        if name not in before:
            yield f"Adds the sample “{name}”."
        elif before[name] != sample:
            for key in _keys(before[name], sample):
                yield from _change(f"Sample “{name}”", key, before[name].get(key), sample.get(key))
    for name in before:
        if name not in after:
            yield f"Removes the sample “{name}”."


def _step_changes(step_id: str, old: Json, new: Json) -> Iterator[str]:
    if old == new:
        return
    if kind_of(old) != kind_of(new):
        yield f"Step “{step_id}” now {_does(new)}; until now it {_does(old)}."
        return
    for key in _keys(old, new):
        before, after = old.get(key), new.get(key)
        if key == "parallel":
            yield from _branch_changes(step_id, before, after)
        elif key == "steps":
            yield from _list_changes(before, after, f" of “{step_id}”")
        elif key == "output" and "map" in new:
            yield from _change(f"Step “{step_id}”", "output of an item", before, after)
        elif (
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
    if kind == "wait":
        way = next(iter(subject))
        subject = f"for the message {subject['message']}" if "message" in subject else f"{way} {subject[way]}"
    return _DOES[kind].format(", ".join(subject) if isinstance(subject, Mapping) else subject)


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical.dump(value).decode()
    text = " ".join(text.split()) or "empty"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
