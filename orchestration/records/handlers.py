"""Local effects: what carrying out a capability does to a record of ours. Pure; named, so that capabilities refer to them.

A handler gets the record's body as it is (None: there is none) and the parameters, and returns the body as it shall be. It
decides nothing about rights, versions or keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid

Body = dict[str, Json]
Handler = Callable[[Body | None, Mapping[str, Json]], Body]


class EffectRefused(Invalid):
    """The record is not in a state this effect can act on; trying again changes nothing."""

    code, title = "effect_refused", "The effect does not fit the record"


def create(current: Body | None, parameters: Mapping[str, Json]) -> Body:
    """The parameters become the first body.

    Raises:
        EffectRefused: the record exists.
    """
    if current is not None:
        raise _refused("the record exists already")
    return _bounded(dict(parameters))


def patch(current: Body | None, parameters: Mapping[str, Json]) -> Body:
    """JSON Merge Patch (RFC 7396): objects are merged, null removes a field, everything else replaces.

    Raises:
        EffectRefused: there is no record to change.
    """
    if current is None:
        raise _refused("there is no such record")
    return _bounded(_merged(current, parameters))


def restore(current: Body | None, parameters: Mapping[str, Json]) -> Body:
    """Compensation: `parameters["body"]`, the body of an earlier version, becomes the body again, as a new version.

    Raises:
        EffectRefused: there is no record, or no earlier body (what an effect created has none).
    """
    if current is None:
        raise _refused("there is no such record")
    body = parameters.get("body")
    if not isinstance(body, Mapping):
        raise _refused("there is no earlier body to restore")
    return _bounded(dict(body))


HANDLERS: Final[Mapping[str, Handler]] = {"record.create": create, "record.patch": patch, "record.restore": restore}


def get(name: str) -> Handler:
    """The handler a capability names.

    Raises:
        EffectRefused: unknown; publishing refuses such a capability, so this is a release that lost a handler.
    """
    try:
        return HANDLERS[name]
    except KeyError:
        raise _refused(f"there is no handler {name!r}; known are {', '.join(sorted(HANDLERS))}") from None


def _merged(current: Mapping[str, Json], changes: Mapping[str, Json]) -> Body:
    result = dict(current)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _bounded(body: Body) -> Body:
    size = len(canonical.dump(body))
    if size > canonical.MAX_PAYLOAD_BYTES:
        raise _refused(f"the record would have {size:,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    return body


def _refused(what: str) -> EffectRefused:
    return EffectRefused(what[0].upper() + what[1:], faults=[Fault("", what)])
