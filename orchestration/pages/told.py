"""A stored payload as somebody reads it: its facts in the order of its contract, or its one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.shape import arranged
from approvals.pages.facts import Fact, facts


@dataclass(frozen=True, slots=True)
class Before:
    """A payload under its title: the input of a run, an output, a reason."""

    title: str
    facts: tuple[Fact, ...]

    @property
    def sentence(self) -> str:
        """What it says, if it is one text without a name."""
        match self.facts:
            case (Fact("", text, False),):
                return text
        return ""


def told(title: str, name: str, body: str, schema: Json = False) -> Before:
    """A payload as facts, in the order of its contract; one that is a single sentence loses its name."""
    value = arranged(schema, parsed(body))
    if isinstance(value, dict) and set(value) == {name}:
        value = value[name]
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if item not in ("", None, [], {})}
        if name == "about" and isinstance(value.get("confidence"), int | float):
            value["confidence"] = f"{value['confidence']:.2f} (the agent’s own figure)"
    return Before(title, facts(_spread(value)))


def _spread(value: Json) -> Json:
    """Lists of objects as objects by number, so that each of their fields is a fact."""
    if isinstance(value, Mapping):
        return {key: _spread(item) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, list | Mapping) for item in value):
        return {str(number): _spread(item) for number, item in enumerate(value, 1)}
    return value


def parsed(body: str) -> Json:
    """A stored payload; None if it is no JSON."""
    try:
        return canonical.parse(body, max_bytes=max(len(body) * 4, 1))
    except Malformed:
        return None
