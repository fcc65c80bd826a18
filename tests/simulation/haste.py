"""Generated workflows in a hurry: their waits and limits are minutes, and the faults of one seed last half a minute."""

from __future__ import annotations

from typing import Any, Final

from aegis.core import durations

Json = Any

TIMES: Final = 10
_LASTING: Final = ("deadline", "for", "within", "wait")


def hastened(document: Json) -> Json:
    """The same document with every wait and every limit of one `TIMES` times shorter, a second at least."""
    if isinstance(document, list):
        return [hastened(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {name: _shorter(value) if name in _LASTING and isinstance(value, str) else _inside(name, value)
            for name, value in document.items()}  # fmt: skip


def _inside(name: str, value: Json) -> Json:
    return value if name == "on_failure" else hastened(value)  # "deadline" is a code there


def _shorter(text: str) -> str:
    return f"{max(1, int(durations.parse(text).total_seconds()) // TIMES)}s"
