"""The platform of the example: services with settings, what ails them, and what an action does to that. Pure, over a dict.

Fleet: {"services": {"production:payments": {version, previous, replicas, disk_percent, watched, trouble, revision}}}. `trouble`
is what ails it ("" if nothing); nobody is told, the health of a service follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from examples.outside import World

FLEET: Final = World("fleet", Path(__file__).resolve().parent / "fleet.json")
MOST_REPLICAS: Final = 8
SETTINGS: Final = ("version", "previous", "replicas", "disk_percent", "watched")

State = dict[str, Any]
Service = dict[str, Any]


class Refused(Exception):
    """The platform says no; nothing was changed."""


def act(state: State, service: str, action: str) -> dict[str, Any]:
    """Do one action to one service. Returns what its settings were, and its revision now.

    Raises:
        Refused: unknown service or action, or nothing to do it with.
    """
    found = _service(state, service)
    if action not in _ACTIONS:
        raise Refused(f"{action} is nothing that can be done to a service")
    before = {name: found[name] for name in SETTINGS}
    cures = _ACTIONS[action](found)
    if found["trouble"] == cures:
        found["trouble"] = ""
    found["revision"] += 1
    return {"service": service, "action": action, "before": before, "revision": found["revision"]}


def restore(state: State, service: str, *, before: Mapping[str, Any], revision: int) -> dict[str, Any]:
    """Put the settings back as they were before an action, unless somebody changed them since."""
    found = _service(state, service)
    if found["revision"] != revision:
        raise Refused(f"{service} was changed again since revision {revision}")
    found.update({name: before[name] for name in SETTINGS})
    found["revision"] += 1
    return {"service": service, "revision": found["revision"]}


def health(state: Mapping[str, Any], service: str) -> list[str] | None:
    """What a probe finds wrong, empty if it is well; None where there is no such service to probe."""
    found = state["services"].get(service)
    if found is None:
        return None
    wrong = [f"answers like a service with {found['trouble'].replace('_', ' ')}"] if found["trouble"] else []
    if found["disk_percent"] >= 95:
        wrong.append(f"its disk is {found['disk_percent']} % full")
    return wrong


def _service(state: State, name: str) -> Service:
    found: Service | None = state["services"].get(name)
    if found is None:
        raise Refused(f"there is no service {name}")
    return found


def _restart(service: Service) -> str:
    return "out_of_memory"


def _scale(service: Service) -> str:
    if service["replicas"] >= MOST_REPLICAS:
        raise Refused(f"it has {MOST_REPLICAS} replicas already")
    service["replicas"] += 1
    return "overload"


def _roll_back(service: Service) -> str:
    if not service["previous"]:
        raise Refused("there is no release before this one")
    service["version"], service["previous"] = service["previous"], ""
    return "bad_release"


def _free_space(service: Service) -> str:
    service["disk_percent"] = min(service["disk_percent"], 60)
    return "disk_full"


def _watch(service: Service) -> str:
    service["watched"] = True
    return "a passing trouble"


#: What each does to the settings; it returns the trouble that it cures.
_ACTIONS: Final[Mapping[str, Callable[[Service], str]]] = {
    "service.restart": _restart,
    "service.scale": _scale,
    "service.rollback": _roll_back,
    "service.free-space": _free_space,
    "service.watch": _watch,
}
