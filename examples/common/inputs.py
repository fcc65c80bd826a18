"""What an agent needs of its input: said with the JSON pointer where it is missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core.errors import Fault, Invalid


def require(container: Any, key: str, kind: type, *, where: str = "") -> Any:
    """Return container[key].

    Raises:
        Invalid: the input mapping of the step does not fit this agent; the fault carries the JSON pointer.
    """
    value = container.get(key) if isinstance(container, Mapping) else None
    if not isinstance(value, kind):
        pointer = f"{where}/{key}"
        raise Invalid(f"{pointer} is missing or not a {kind.__name__}", faults=[Fault(pointer, f"must be a {kind.__name__}")])
    return value
