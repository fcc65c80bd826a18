"""Which handler names a capability may use. The rooms that carry effects out say so at start-up; authority knows none."""

from __future__ import annotations

from collections.abc import Callable

_known: list[Callable[[str], bool]] = []


def accept(is_known: Callable[[str], bool]) -> None:
    """Called from `AppConfig.ready` by whoever holds handlers."""
    _known.append(is_known)


def is_known(name: str) -> bool:
    return any(ask(name) for ask in _known)
