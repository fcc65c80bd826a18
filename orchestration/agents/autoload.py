"""Import the modules that register python agents. Their names come from settings, so from the environment: never from a row.

A module that is missing does not keep AEGIS from starting (somebody must be able to sign in and see what is wrong); it is a
system check error, and an agent that needs it fails by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

FILES_BESIDE_CALLS = 200  # database, logs, libraries, kept connections

_failed: dict[str, str] = {}


def load(names: Iterable[str]) -> None:
    """Import each module; what fails is kept for the system check."""
    for name in names:
        try:
            import_module(name)
            _failed.pop(name, None)
        except Exception as error:  # an agent module may fail in any way its author can think of
            _failed[name] = f"{type(error).__name__}: {error}"


def configured() -> list[str]:
    names: list[str] = list(settings.AGENT_MODULES)
    return names


@register("aegis")
def check_agent_modules(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    del app_configs  # every module is asked for, whatever app the check was called with
    return [
        Error(
            f"the agent module {name} cannot be imported: {reason}",
            hint="AEGIS_AGENT_MODULES names importable modules, separated by commas.",
            id="aegis.E040",
        )
        for name, reason in sorted(_failed.items())
    ]


@register("aegis")
def check_open_files(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """An isolated call takes two descriptors, one over HTTP takes one."""
    del app_configs
    needed, limit = 2 * settings.CALLS_IN_FLIGHT + FILES_BESIDE_CALLS, getrlimit(RLIMIT_NOFILE)[0]
    if limit >= needed or limit < 0:
        return []
    return [
        Warning(
            f"{settings.CALLS_IN_FLIGHT} calls in flight may need {needed} open files; this process may have {limit}",
            hint="Raise the limit (ulimit -n, LimitNOFILE=) or lower AEGIS_CALLS_IN_FLIGHT.",
            id="aegis.W041",
        )
    ]
