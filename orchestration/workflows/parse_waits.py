"""What a Workflow document says about time, messages and resources. Pure; a part of `parse`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.workflows.definition import OnFailure, ResourceClaim

DURATION_REMEDY: Final = "write a duration such as 30s, 15m or 4h"

_WAYS: Final = ("for", "until", "message")


def spec_faults(spec: Mapping[str, Json]) -> Iterator[Fault]:
    """Of what stands beside the steps, in a document that keeps the schema."""
    for place in ("deadline", "resource/wait"):
        yield from duration_faults(spec, "/spec", place)
    if "on_deadline" in spec and "deadline" not in spec:
        yield Fault("/spec/on_deadline", "there is no deadline that could pass", "say how long a run may take: deadline: 2h")


def wait_faults(wait: Mapping[str, Json], where: str) -> Iterator[Fault]:
    """A wait is for exactly one thing, and only one for a message has more to say."""
    ways = [way for way in _WAYS if way in wait]
    if not ways:
        yield Fault(where, "does not say what is waited for", "write for: 15m, until: EXPRESSION, or message, key and output")
    elif len(ways) > 1:
        yield Fault(where, f"waits for {' and '.join(ways)} at once", "make two steps of it")
    elif ways == ["message"]:
        for name, remedy in (
            ("key", "say what the message is about: key: input.id"),
            ("output", "name the contract of the message, such as payment@1"),
        ):
            if name not in wait:
                yield Fault(f"{where}/{name}", "is missing", remedy)
    else:
        for name in ("key", "output", "within"):
            if name in wait:
                yield Fault(f"{where}/{name}", "belongs to a message", f"remove it, or wait for a message instead of {ways[0]}")
    for place in ("for", "within"):
        yield from duration_faults(wait, where, place)


def duration_faults(holder: Mapping[str, Json], where: str, place: str) -> Iterator[Fault]:
    """The duration at `place` ("retry/cap") of `holder`, if there is one, is one."""
    value: Any = holder
    for part in place.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return
    try:
        durations.parse(value)
    except durations.DurationInvalid as error:
        yield Fault(f"{where}/{place}", error.detail, DURATION_REMEDY)


def of_spec(spec: Mapping[str, Json], action: Callable[[Json], OnFailure]) -> dict[str, Any]:
    """Fields of the `Definition`."""
    resource = spec.get("resource")
    return {
        "deadline": _duration(spec, "deadline"),
        "on_deadline": action(spec["on_deadline"]) if "on_deadline" in spec else None,
        "resource": ResourceClaim(resource["key"], resource.get("hold", "until_end"), _duration(resource, "wait"))
        if resource
        else None,
        "rollback": spec.get("rollback", {}).get("gate", ""),
    }


def of_wait(wait: Mapping[str, Json]) -> dict[str, Any]:
    """Fields of the `WaitStep`."""
    texts = {name: wait.get(name, "") for name in ("until", "message", "key", "output")}
    return {**texts, "lasting": _duration(wait, "for"), "within": _duration(wait, "within")}


def _duration(holder: Mapping[str, Json], name: str) -> Any:
    return durations.parse(holder[name]) if name in holder else None
