"""A draft of a routing table, asked what it would have answered to recorded inputs. Nothing is changed or recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from django.db.models import QuerySet

from aegis.core import canonical
from aegis.core.visibility import Viewer
from audit import masking
from audit.models import Event
from orchestration.engine.decisions import Decision, newest_routes
from orchestration.engine.models import Run
from orchestration.routing import tables
from orchestration.routing.tables import Route, RoutingTable

DEFAULT_LAST: Final = 500
MAX_LAST: Final = 5_000
MAX_EVENTS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Move:
    """One recorded input that the draft answers otherwise.

    Attributes:
        is_case: the run would take another way; else only other outputs differ.
        label: of the run, for people; "" where the reader may see its events but not the run.
    """

    place: str
    run: str
    label: str
    before_rule: str
    before_case: str
    after_rule: str
    after_case: str
    is_case: bool
    error: str = ""


@dataclass(slots=True)
class Replay:
    """What a draft would move.

    Attributes:
        asked: recorded inputs the draft was asked about; the newest there are, at most as many as wished.
        erased: inputs that are gone, so nobody can ask about them.
        looked: route events looked through; `is_bounded`: there are more behind them.
    """

    table: str
    wished: int
    asked: int = 0
    erased: int = 0
    looked: int = 0
    is_bounded: bool = False
    moves: list[Move] = field(default_factory=list)

    @property
    def moved(self) -> int:
        return sum(move.is_case for move in self.moves)

    @property
    def differing(self) -> int:
        """Same case, other outputs."""
        return len(self.moves) - self.moved

    @property
    def sentence(self) -> str:
        if not self.asked:
            return "There is no recorded input of this table that you may see."
        others = f"; {self.differing:,} would keep the case and get other outputs" if self.differing else ""
        return f"{self.moved:,} of {self.asked:,} would move{others}."


def replay(draft: RoutingTable, *, last: int = DEFAULT_LAST, viewer: Viewer | None) -> Replay:
    """Ask a draft about the newest recorded inputs of the table of its name.

    Args:
        last: at most so many, up to `MAX_LAST`.
        viewer: whose rights say which events count; None = the command line, which sees all.
    """
    wished = max(1, min(last, MAX_LAST))
    found = Replay(draft.name, wished)
    events: QuerySet[Event] = Event.objects.all() if viewer is None else Event.objects.visible_to(viewer)
    closed = masking.masker().unsearchable(viewer) if viewer is not None else None
    if closed is not None:  # a draft is a question about its inputs: which of them moved would tell what is masked
        events = events.filter(~closed)
    for looked, decisions in newest_routes(events, draft.name, at_most_events=MAX_EVENTS):
        found.looked = looked
        for decision in decisions:
            if found.asked == wished:
                break
            _ask(found, draft, decision)
        if found.asked == wished:
            break
    found.is_bounded = found.looked >= MAX_EVENTS and found.asked < wished
    _label(found, viewer)
    return found


def _ask(found: Replay, draft: RoutingTable, decision: Decision) -> None:
    if "facts" not in decision.payloads or "output" not in decision.payloads:
        found.erased += 1
        return
    found.asked += 1
    route, data = tables.choose(draft, decision.payloads["facts"]), decision.data
    if route.case == data["case"] and canonical.dump(route.output) == canonical.dump(decision.payloads["output"]):
        return
    found.moves.append(_move(decision, route))


def _move(decision: Decision, route: Route) -> Move:
    data = decision.data
    return Move(
        place=decision.place,
        run=decision.run,
        label="",
        before_rule=str(data["rule"]),
        before_case=str(data["case"]),
        after_rule=route.rule,
        after_case=route.case,
        is_case=route.case != data["case"],
        error=route.errors[0] if route.errors else "",
    )


def _label(found: Replay, viewer: Viewer | None) -> None:
    """Names of the runs, in one query."""
    runs = Run.objects.all() if viewer is None else Run.objects.visible_to(viewer)
    labels = {str(run.pk): run.label for run in runs.filter(pk__in={move.run for move in found.moves if move.run})}
    found.moves = [replace(move, label=labels.get(move.run, "")) for move in found.moves]
