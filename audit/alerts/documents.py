"""An alert as a manifest (kind `Alert`), and the rule it stands for. Dimensions and measures go by the names rooms gave them.

spec:
  by: [agent]
  anomaly:
    percentile: {of: {measure: answers}, percent: 95}
    direction: up
  notify: {group: Site reliability}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.kinds import envelope
from audit.alerts import states
from audit.alerts.rules import (
    MOST_HOURS,
    MOST_WEEKS,
    Absence,
    Anomaly,
    Condition,
    Count,
    Figure,
    Measured,
    NewValue,
    Percentile,
    Rule,
    Share,
    StateRule,
    Threshold,
)
from audit.metrics import measures
from audit.metrics.measures import MAX_DIMENSIONS, Measure

KIND: Final = "Alert"
CONDITIONS: Final = ("threshold", "anomaly", "absence", "new_value", "state")
#: What a rule of windows has and a state has not.
_OF_WINDOWS: Final = ("hours", "by", "workflow")
MEASURED: Final = ("count", "share", "percentile")

_TEXT: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 120}
_EVENTS: Final[Json] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_NUMBER: Final[Json] = {"type": "number"}
_FIGURE: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["measure"],
    "properties": {
        "measure": {**_TEXT, "description": "What the metrics count, such as runs or answers."},
        "where": {"type": "object", "maxProperties": MAX_DIMENSIONS, "additionalProperties": _TEXT},
        "within": {"type": "integer", "minimum": 0, "description": "Only what took at most so many milliseconds."},
    },
}


def _part(required: list[str], properties: Mapping[str, Json]) -> Json:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": dict(properties)}


_MEASURED: Final[Mapping[str, Json]] = {
    "count": _FIGURE,
    "share": _part(["part", "whole"], {"part": _FIGURE, "whole": _FIGURE}),
    "percentile": _part(["of", "percent"], {"of": _FIGURE, "percent": {"type": "integer", "minimum": 1, "maximum": 99}}),
}
_PAST: Final[Mapping[str, Json]] = {
    "weeks": {"type": "integer", "minimum": 1, "maximum": MOST_WEEKS},
    "samples": {"type": "integer", "minimum": 3, "maximum": 5 * MOST_WEEKS},
    "least": _EVENTS,
}
SCHEMA: Final[Json] = envelope(
    KIND,
    _part(
        [],
        {
            "hours": {"enum": [hours for hours in range(1, MOST_HOURS + 1) if MOST_HOURS % hours == 0]},
            "by": {"type": "array", "maxItems": MAX_DIMENSIONS, "uniqueItems": True, "items": _TEXT},
            "threshold": _part([], {**_MEASURED, "above": _NUMBER, "below": _NUMBER, "least": _EVENTS}),
            "anomaly": _part(
                [],
                {
                    **_MEASURED, **_PAST, "direction": {"enum": ["up", "down", "both"]},
                    "factor": {"type": "number", "minimum": 1, "maximum": 100},
                },
            ),
            "absence": _part(["of"], {"of": _FIGURE, **_PAST}),
            "new_value": _part(["of"], {"of": _FIGURE, "after": {"type": "integer", "minimum": 1, "maximum": 10_000}}),
            "state": _part(
                ["is"],
                {
                    "is": {**_TEXT, "description": "What stands that should not, such as breaker_open."},
                    "within": {**durations.SCHEMA, "description": "How far it looks ahead or back, such as 4h."},
                    "only": {"type": "array", "minItems": 1, "maxItems": 50, "uniqueItems": True, "items": _TEXT},
                },
            ),
            "workflow": {**_TEXT, "maxLength": 80, "description": "The one whose events alone count."},
            "notify": {
                **_part([], {"group": {**_TEXT, "maxLength": 80}, "owner": {**_TEXT, "maxLength": 150}}),
                "minProperties": 1, "maxProperties": 1,
                "description": "Who answers for it and hears of it: a group, or a person by username.",
            },
        },
    ),
)  # fmt: skip


def read(document: Json) -> Rule | StateRule:
    """What a document that keeps the schema stands for.

    Raises:
        Invalid: it makes no sense, or names what nobody counts; each fault with its JSON pointer.
    """
    return _state(document) if "state" in document["spec"] else load(document)


def load(document: Json) -> Rule:
    """The rule over windows of a document that keeps the schema.

    Raises:
        Invalid: as `read`; or it is about a state, of which there are no windows.
    """
    spec = document["spec"]
    kind = _one(spec, CONDITIONS, "/spec")
    where = f"/spec/{kind}"
    if kind == "state":
        raise _invalid(where, "is judged as it stands now, not by windows")
    condition = _condition(kind, spec[kind], where)
    by = tuple(_place(_measure_of(spec[kind], where), name, "/spec/by") for name in spec.get("by", ()))
    try:
        return Rule(document["metadata"]["name"], condition, spec.get("hours", 1), by, spec.get("workflow", ""))
    except ValueError as error:
        raise _invalid("/spec", str(error)) from None


def _state(document: Json) -> StateRule:
    spec, where = document["spec"], "/spec/state"
    _one(spec, CONDITIONS, "/spec")
    if wrong := [name for name in _OF_WINDOWS if name in spec]:
        raise _invalid(f"/spec/{wrong[0]}", "is for rules over windows; a state is judged as it stands")
    said = spec["state"]
    state = states.get(said["is"])
    if state is None:
        known = ", ".join(one.name for one in states.all_states())
        raise _invalid(f"{where}/is", f"nobody watches the state {said['is']!r}", f"watched are {known}")
    within = None
    if "within" in said:
        if state.within is None:
            raise _invalid(f"{where}/within", f"{state.name} looks neither ahead nor back")
        try:
            within = durations.parse(said["within"])
        except durations.DurationInvalid as error:
            raise _invalid(f"{where}/within", error.faults[0].what) from None
    for place, name in enumerate(said.get("only", ())):
        if state.names and name not in state.names:
            raise _invalid(
                f"{where}/only/{place}", f"there is no {state.about} {name!r}", f"there are {', '.join(sorted(state.names))}"
            )
    return StateRule(document["metadata"]["name"], state.name, within, frozenset(said.get("only", ())))


def _condition(kind: str, spec: Json, where: str) -> Condition:
    settings = {name: spec[name] for name in ("above", "below", "least", "direction", "factor", "weeks", "samples", "after")
                if name in spec}  # fmt: skip
    try:
        match kind:
            case "threshold":
                return Threshold(_measured(spec, where), **settings)
            case "anomaly":
                return Anomaly(_measured(spec, where), **settings)
            case "absence":
                return Absence(_figure(spec["of"], f"{where}/of"), **settings)
            case _:
                return NewValue(_figure(spec["of"], f"{where}/of"), **settings)
    except ValueError as error:
        raise _invalid(where, str(error)) from None


def _measured(spec: Json, where: str) -> Measured:
    kind = _one(spec, MEASURED, where)
    match kind:
        case "count":
            return Count(_figure(spec["count"], f"{where}/count"))
        case "share":
            part, whole = (_figure(spec["share"][name], f"{where}/share/{name}") for name in ("part", "whole"))
            if part.metric != whole.metric:
                raise _invalid(f"{where}/share", "a part and its whole are of one measure")
            return Share(part, whole)
        case _:
            figure = _figure(spec["percentile"]["of"], f"{where}/percentile/of", needs_spread=True)
            return Percentile(figure, spec["percentile"]["percent"] / 100)


def _figure(spec: Json, where: str, *, needs_spread: bool = False) -> Figure:
    measure = _known(spec["measure"], f"{where}/measure")
    if (needs_spread or "within" in spec) and not measure.has_spread:
        raise _invalid(where, f"of {measure.name} it is not known how its amounts spread")
    values = [""] * len(measure.dimensions)
    for name, value in spec.get("where", {}).items():
        values[_place(measure, name, f"{where}/where")] = value
    return Figure(measure.name, tuple(values), spec.get("within"))


def _measure_of(spec: Json, where: str) -> Measure:
    """Whose dimensions `by` names."""
    inner: Any = (
        spec.get("of") or spec.get("count") or spec.get("percentile", {}).get("of") or spec.get("share", {}).get("whole")
    )
    return _known(inner["measure"], where)


def _known(name: str, where: str) -> Measure:
    measure = measures.get(name)
    if measure is None:
        names = ", ".join(known.name for known in measures.all_measures())
        raise _invalid(where, f"nobody counts {name!r}", f"counted are {names}")
    return measure


def _place(measure: Measure, name: str, where: str) -> int:
    if name not in measure.dimensions:
        remedy = f"it has {', '.join(measure.dimensions)}" if measure.dimensions else "it has none"
        raise _invalid(where, f"{measure.name} has no dimension {name!r}", remedy)
    return measure.dimensions.index(name)


def _one(spec: Json, names: tuple[str, ...], where: str) -> str:
    found = [name for name in names if name in spec]
    if len(found) != 1:
        raise _invalid(where, f"has exactly one of {', '.join(names)}")
    return found[0]


def _invalid(where: str, what: str, remedy: str = "") -> Invalid:
    fault = Fault(where, what, remedy)
    return Invalid(str(fault), faults=[fault])
