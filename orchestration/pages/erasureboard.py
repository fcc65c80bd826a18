"""What the page of erasures shows: what may be asked for, what was asked, holds that stand, how long classes are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from aegis.core import canonical, clock
from aegis.identity.models import Area, User
from approvals.models import ApprovalRequest
from approvals.pages.words import Mark
from audit.erasures import holds as kept
from audit.models import Erasure, Event, Hold, Payload
from orchestration.engine.erasing import retention, subjects, verbs
from orchestration.engine.models import Run
from orchestration.pages import marks

MAX_LISTED: Final = 50
SOON: Final = timedelta(days=30)  # how long before it empties something the page warns

_STATUSES: Final[Mapping[str, Mark]] = {
    "asked": Mark("violet", "hourglass", "Waits for two others"),
    "applied": Mark("green", "check-circle", "Erased"),
    "rejected": Mark("grey", "x-circle", "Not approved"),
    "blocked": Mark("amber", "alert", "Approved, not erased"),
}


@dataclass(frozen=True, slots=True)
class Covered:
    """One run that a request would cover."""

    run: Run
    status: Mark
    payloads: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be emptied, for whoever may ask: counts, no contents.

    Attributes:
        run_id, key: what was looked for.
        obstacle: why nothing of it can be erased now; "" if it can.
        holds: that stand over it.
    """

    run_id: str
    key: str
    rows: Sequence[Covered]
    records: int
    shared_records: int
    obstacle: str
    holds: Sequence[Hold]
    is_too_much: bool

    @property
    def payloads(self) -> int:
        return sum(row.payloads for row in self.rows)


@dataclass(frozen=True, slots=True)
class Line:
    """One erasure that was asked for, all of whose runs the reader may see."""

    row: Erasure
    status: Mark
    by: str
    reason: str
    request: str  # label of its approval request
    runs: Sequence[Run]
    why_not: str


@dataclass(frozen=True, slots=True)
class HoldLine:
    hold: Hold
    run: Run | None
    by: str
    reason: str
    may_lift: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A class of retention, and when the next of it reaches its time.

    Attributes:
        next_at: None if nothing waits, or it is kept for ever.
        is_soon: within `SOON`, or due.
    """

    title: str
    days: int
    next_at: datetime | None
    is_soon: bool


@dataclass(frozen=True, slots=True)
class Board:
    may_ask: bool
    erasures: Sequence[Line]
    holds: Sequence[HoldLine]
    classes: Sequence[Kept]


def may_ask(user: User) -> bool:
    return Area.objects.visible_to(user, "edit").filter(name="audit").exists()


def board(user: User) -> Board:
    """A dozen queries, however much there is."""
    found = list(Erasure.objects.order_by("-asked_at")[:MAX_LISTED])
    runs = {run.pk: run for run in _runs(user, {UUID(pk) for row in found for pk in row.runs})}
    shown = [row for row in found if all(UUID(pk) in runs for pk in row.runs)]
    standing = verbs.visible_holds(user, Hold.objects.filter(lifted_at__isnull=True).order_by("-placed_at")[:MAX_LISTED])
    held = {run.pk: run for run in _runs(user, {hold.run_id for hold in standing if hold.run_id})}
    names = _names([*(row.asked_by for row in shown), *(hold.placed_by for hold in standing)])
    reasons = _reasons([*(row.place for row in shown), *(hold.place for hold in standing)])
    may = may_ask(user)
    return Board(
        may_ask=may,
        erasures=[
            Line(
                row=row,
                status=_STATUSES[row.status],
                by=names.get(row.asked_by, "?"),
                reason=reasons.get(row.place, ""),
                request=ApprovalRequest(pk=row.pk).label,
                runs=[runs[UUID(pk)] for pk in row.runs],
                why_not=subjects.OBSTACLES.get(row.code, ""),
            )
            for row in shown
        ],
        holds=[
            HoldLine(
                hold=hold,
                run=held.get(hold.run_id) if hold.run_id else None,
                by=names.get(hold.placed_by, "?"),
                reason=reasons.get(hold.place, ""),
                may_lift=may and hold.placed_by != str(user.pk),
            )
            for hold in standing
        ],
        classes=[_kept(one) for one in retention.classes()],
    )


def preview(user: User, text: str) -> Preview | None:
    """What `text` names, a label or id of a run or a business key; None if that is nothing the person may see."""
    run = _called(user, text)
    runs = subjects.covered(user, run_id=run.pk if run else None, key="" if run else text)
    if not runs:
        return None
    is_too_much = len(runs) > subjects.MAX_RUNS
    rows = runs[:MAX_LISTED]
    records, shared = subjects.records_of(runs)
    return Preview(
        run_id=str(run.pk) if run else "",
        key="" if run else text,
        rows=[Covered(row, marks.status(row.status), len(subjects.spots_of(row))) for row in rows],
        records=len(records),
        shared_records=shared,
        obstacle=subjects.OBSTACLES.get(subjects.obstacle(runs), ""),
        holds=kept.standing({row.pk: row.business_key for row in runs}),
        is_too_much=is_too_much,
    )


def holds_over(run: Run) -> Sequence[Hold]:
    """Those that stand over one run, for its page. One query."""
    return kept.standing({run.pk: run.business_key})


def erased_lines(events: Iterable[Event]) -> list[tuple[datetime, int, str]]:
    """(when, how many payloads, by what) of each emptying told on a run's page."""
    told = []
    for event in events:
        if event.type == "payload.erased":
            data = canonical.parse(event.line)["data"]
            told.append((event.at, int(data["count"]), str(data.get("by") or "")))
    return sorted(told)


def _called(user: User, text: str) -> Run | None:
    label = text.upper().removeprefix("RUN-")
    visible = Run.objects.visible_to(user)
    try:
        return visible.filter(pk=UUID(text)).first()
    except ValueError:
        pass
    if not text.upper().startswith("RUN-") or len(label) != 6 or any(char not in "0123456789ABCDEF" for char in label):
        return None
    first, last = UUID(f"{label:0<32}"), UUID(f"{label:f<32}")
    found = list(visible.filter(pk__gte=first, pk__lte=last)[:2])
    return found[0] if len(found) == 1 else None


def _kept(one: retention.Class) -> Kept:
    at = retention.next_at(one) if one.days else None
    return Kept(one.title, one.days, at, at is not None and at <= clock.db_now() + SOON)


def _runs(user: User, ids: set[UUID]) -> list[Run]:
    return list(Run.objects.visible_to(user).filter(pk__in=ids).only("id", "business_key")) if ids else []


def _names(ids: Sequence[str]) -> dict[str, str]:
    return {str(one.pk): one.display_name for one in User.objects.filter(pk__in=set(ids))} if ids else {}


def _reasons(places: Sequence[str]) -> dict[str, str]:
    wanted = {tuple(place.rsplit("/", 1)) for place in places}
    rows = Payload.objects.filter(
        stream__in={stream for stream, _ in wanted}, seq__in={int(seq) for _, seq in wanted}, name="reason"
    )
    found = {f"{row.stream}/{row.seq}": str(canonical.parse(row.body)) for row in rows if row.erased_at is None}
    return {place: found[place] for place in places if place in found}
