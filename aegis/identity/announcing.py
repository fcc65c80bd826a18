"""A port: who is told, beyond the screens, of a right taken in an emergency. The room above that reaches people takes it.

`announce` is called inside the transaction that writes the event, and must write what it will tell there too: what did not
happen is not told, and what happened is told though the process dies. Nobody takes a right that nobody could announce: without
a taker of this port the verb fails. A missing one is also system check `aegis.E013`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from aegis.identity.models import TakenRight

#: "late": it is over, and was not reviewed in time.
Occasion = Literal["taken", "ended", "late"]
Announcer = Callable[[TakenRight, Occasion, datetime], None]

_announcer: Announcer | None = None


def register(announcer: Announcer) -> None:
    """Called once at start-up."""
    global _announcer
    _announcer = announcer


def is_registered() -> bool:
    return _announcer is not None


def announce(row: TakenRight, occasion: Occasion, at: datetime) -> None:
    """
    Raises:
        RuntimeError: nobody registered.
    """
    if _announcer is None:
        raise RuntimeError("nobody announces rights taken in an emergency; none can be taken")
    _announcer(row, occasion, at)
