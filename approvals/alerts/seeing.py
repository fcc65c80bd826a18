"""Who may see what alerts found: `view` on the area "alerts", and the scope that the counts behind it belong to.

A rule over everything counts what happened in every workflow, so its episodes belong to the scope `alert`, which is for those
who see all there is: `view` on each area whose objects are counted. A rule of one workflow belongs to that workflow; a state to
whatever it is the state of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aegis.core.visibility import Viewer, remembered
from aegis.identity.models import Area

AREA: Final = "alerts"
SCOPE: Final = "alert"
#: Areas whose objects the metrics count: who views them all learns nothing from a count over everything.
EVERYTHING: Final = frozenset({"workflows", "agents", "approvals", "queues", "audit"})
#: Verbs of the area that let a person acknowledge, note and silence.
ACTING: Final = ("operate", "edit")


def areas_of(user: Viewer, verb: str = "view") -> frozenset[str]:
    """Names of the areas on which a person holds a right. Inside `one_look` asked once."""
    return remembered(
        ("areas", verb, user.pk), lambda: frozenset(Area.objects.visible_to(user, verb).values_list("name", flat=True))
    )


def sees_everything(user: Viewer) -> bool:
    return areas_of(user) >= EVERYTHING


def visible_alerts(user: Viewer) -> Iterable[str] | None:
    """The port of the audit scope `alert`: all of it, or nothing."""
    return None if sees_everything(user) else ()


def may_act(user: Viewer) -> bool:
    return any(AREA in areas_of(user, verb) for verb in ACTING)
