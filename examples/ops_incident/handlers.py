"""The remote effects of ops-incident: calls of the platform that runs the services, which remembers keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from examples.outside import OtherContent
from orchestration.engine.effects import EffectRefused, EffectRequest, effect_handler

from . import fleet


@effect_handler("fleet.act")
def act(request: EffectRequest) -> Any:
    """Parameters: {action, ...}: the capability says which actions it stands for."""
    action = str(request.parameters["action"])
    return _call(request, lambda state: fleet.act(state, request.resource["id"], action))


@effect_handler("fleet.restore")
def restore(request: EffectRequest) -> Any:
    """Parameters: {effect, parameters, result} of the action."""
    result = request.parameters["result"]
    return _call(
        request,
        lambda state: fleet.restore(state, request.resource["id"], before=result["before"], revision=result["revision"]),
    )


def _call(request: EffectRequest, change: Callable[[fleet.State], Any]) -> Any:
    try:
        return fleet.FLEET.change(request.key, dict(request.parameters), change)
    except (fleet.Refused, OtherContent) as error:
        raise EffectRefused(str(error)) from None
