"""Remote effects: handlers that act outside this database, registered by name. Called after their intent is committed.

At least once, under a key that is stable over attempts (DESIGN promise 3): a handler passes `key` on as its idempotency key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aegis.core.canonical import Json


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """One try of one effect. `fence` grows with every takeover of the run: a receiver may refuse an older one.

    `traceparent` is the W3C header of this attempt: a handler sends it along, so that what it calls joins the run's trace.
    """

    key: str
    attempt: int
    fence: int
    resource: Mapping[str, str]
    parameters: Mapping[str, Json]
    traceparent: str = ""


class EffectRefused(Exception):
    """The other side said no; nothing happened there. Tried again as often as the step says, whatever the safety class."""


class EffectUnavailable(Exception):
    """Nothing happened there, and it may go well later: nobody answered the door, too much to do.

    Args:
        retry_after: seconds the other side asked to wait; honoured up to the `cap` of the step's retry.
    """

    def __init__(self, detail: str, *, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after if 0 < retry_after < math.inf else 0.0


class EffectUnknown(Exception):
    """It may or may not have happened (no answer, broken connection). So is whatever else a handler raises."""


EffectHandler = Callable[[EffectRequest], Json]

_registry: dict[str, EffectHandler] = {}


def effect_handler(name: str) -> Callable[[EffectHandler], EffectHandler]:
    """Register a handler under the name capabilities use. Names starting with "record." are the local ones."""

    def register(handler: EffectHandler) -> EffectHandler:
        if _registry.get(name, handler) is not handler:
            raise ValueError(f"two effect handlers are named {name!r}")
        _registry[name] = handler
        return handler

    return register


def registered(name: str) -> EffectHandler | None:
    return _registry.get(name)
