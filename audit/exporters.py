"""Following the journal out of the database: what is handed on to another system, at least once, in the order of the journal.

`following.follow` commits what a follower writes together with its cursor, so nothing may wait in there. An exporter waits for
a network: it takes a hold on its cursor, so that one process sends at a time, sends outside of any transaction, and moves the
cursor after the other side said yes. Whoever dies in between sends the same events again: they must carry ids that tell so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import F, Q

from aegis.core import clock
from audit import following, sealer
from audit.models import Event, Follower

#: Hands on what it finds in these events. Returns what the other side refuses for good, each in words: it was left out.
Send = Callable[[Sequence[Event]], Sequence[str]]

LIMIT: Final = 500
HOLD: Final = timedelta(seconds=60)  # longer than any send takes: then its process is dead
PAUSE: Final = timedelta(seconds=5)  # after a send that failed
_REFUSAL_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Refusals:
    """How much an exporter has left out since the other side refuses it for good, and what that was last."""

    name: str
    count: int
    last: str


def export(name: str, send: Send, *, limit: int = LIMIT) -> int:
    """Send the next events and move the cursor. Returns how many there were; 0 as well while another process sends.

    The first look begins at the end of the journal: what was before is history, and nobody asked for it to be sent.

    Args:
        send: raises if the other side may take them later. Ends within `HOLD`.
    """
    position = Follower.objects.filter(name=name).values_list("position", flat=True).first()
    if position is None:
        Follower.objects.bulk_create([Follower(name=name, position=sealer.size())], ignore_conflicts=True)
        return 0
    if position >= sealer.size():
        return 0
    now = clock.db_now()
    until = now + HOLD
    free = Follower.objects.filter(Q(held_until=None) | Q(held_until__lte=now), name=name)
    if not free.update(held_until=until):
        return 0  # another process is sending, or the pause after a fault is not over
    mine = Follower.objects.filter(name=name, held_until=until)
    refused: Sequence[str] = ()
    try:
        position = Follower.objects.values_list("position", flat=True).get(name=name)
        events = following.Reading().events(position, limit)
        if events:
            refused = send(events)
            position = events[-1].leaf_index + 1  # type: ignore[attr-defined]
    except BaseException:
        mine.update(held_until=clock.db_now() + PAUSE)
        raise
    # Nobody's hold but ours: should it have run out, another process sent the same events and says where it is.
    more = {"refused": F("refused") + len(refused), "refusal": refused[-1][:_REFUSAL_CHARS]} if refused else {}
    mine.update(position=position, moved_at=clock.db_now(), held_until=None, **more)
    return len(events)


def refusals() -> list[Refusals]:
    """Of every exporter that sent anything yet, by name."""
    rows = Follower.objects.filter(name__in=following.exporters()).order_by("name")
    return [Refusals(*row) for row in rows.values_list("name", "refused", "refusal")]


def skip(name: str) -> int:
    """Go to the end of the journal without sending what is in between. Returns how many events were left out."""
    end = sealer.size()
    position = Follower.objects.filter(name=name).values_list("position", flat=True).first()
    if position is None:
        return 0
    Follower.objects.filter(name=name).update(position=end, moved_at=clock.db_now(), held_until=None)
    return max(end - position, 0)
