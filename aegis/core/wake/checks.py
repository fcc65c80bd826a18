"""System checks of the bell and of what supervises it.

| id | what it refuses (W: warns of) |
|---|---|
| E018 | a canary that is called late before it can arrive: the worker would be restarted for ever |
| W018 | a data folder where no bell can be hung: work starts by the poll of the queue and the sweep only |
| W019 | a crash point: the process is going to kill itself |

E008, that the queue decides nothing, is with the other settings in `aegis.core.checks`.
"""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from aegis.core import env, faults, wake
from aegis.core.wake import local

CANARIES_MISSED = 3


@register()
def the_canary_has_time(**_: Any) -> list[CheckMessage]:
    every, late = (env.number(name, default) for name, default in wake.CANARY_SETTINGS.items())
    if late >= CANARIES_MISSED * every:
        return []
    return [
        Error(
            f"The worker counts as wedged after {late:g} s, with a canary every {every:g} s",
            hint="Set AEGIS_STALL_SECONDS to at least three times AEGIS_CANARY_SECONDS; far more with several worker hosts.",
            id="aegis.E018",
        )
    ]


@register()
def the_bell_can_be_hung(**_: Any) -> list[CheckMessage]:
    if local.is_reachable(wake.bells()):
        return []
    return [
        Warning(
            f"The path {wake.bells()} is too long for a socket on this system",
            hint="Set AEGIS_DATA_DIR to a shorter path. Until then work starts up to a second late.",
            id="aegis.W018",
        )
    ]


@register()
def nobody_is_told_to_die(**_: Any) -> list[CheckMessage]:
    where = os.environ.get(faults.CRASH_AT_VARIABLE)
    if not where:
        return []
    return [
        Warning(
            f"{faults.CRASH_AT_VARIABLE} is {where!r}: processes kill themselves there",
            hint="It is for fault tests alone. Unset it.",
            id="aegis.W019",
        )
    ]
