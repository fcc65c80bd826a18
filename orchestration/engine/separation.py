"""Separation of duties: who is bound to a question that a run asks (DESIGN promise 8), from the rows.

Whoever started the run, owns an agent whose work is judged, or wrote any of what led to the question, in its agent's stead:
here, in the blocks and sub-workflows that it rests on, and in the runs that this one is a part of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Q

from audit.models import Event
from orchestration.agents.models import Agent
from orchestration.engine import state as states
from orchestration.engine.models import Run
from orchestration.workflows.makers import Makers

_WRITTEN = Q(type="review.answered", outcome="completed") | Q(type="request.edited")


def bound_people(
    requester_id: UUID | None,
    makers: Makers,
    places: Iterable[str] = (),
    run_id: UUID | None = None,
    *,
    did: str = "step.completed",
) -> dict[str, str]:
    """Who cannot decide, and why (to follow "You ..."). Agents' owners are those of now.

    Args:
        places: "<stream>/<seq>" of the outputs that led to the question.
        run_id: the run that asks; who answered in it is known by the places themselves.
        did: by which events an agent of a child run counts as one of the makers.
    """
    places = list(places)
    above = _above(run_id)
    bound: dict[str, str] = {}
    for author in (
        *authors_of(places),
        *_earlier_editors(places),
        *_authors_below(places, run_id, without={run.pk for run, _ in above}),
        *_authors_above(above),
    ):
        bound[author] = "wrote part of what it rests on"
    agents = {*makers.agents, *_agents_of_blocks(makers.blocks, {run_id, *(run.pk for run, _ in above)}, did)} - {""}
    for owner in Agent.objects.filter(name__in=agents).values_list("owner_id", flat=True) if agents else ():
        if owner:
            bound[str(owner)] = "own the agent that proposed it"
    if requester_id:
        bound[str(requester_id)] = "started the run"
    return bound


def _above(run_id: UUID | None) -> list[tuple[Run, str]]:
    """The runs that this one is a part of, each with the step that forked the part. A query per level."""
    found = []
    run = Run.objects.filter(pk=run_id).first() if run_id else None
    while run is not None and run.parent_id is not None:
        step, run = run.parent_step, Run.objects.get(pk=run.parent_id)
        found.append((run, step))
    return found


def _authors_above(above: Collection[tuple[Run, str]]) -> list[str]:
    """Users who wrote what a part of a run was given: in the runs above it, and in their other blocks. The other parts of the
    same block give it nothing."""
    if not above:
        return []
    written = Event.objects.filter(_WRITTEN, run_id__in=[run.pk for run, _ in above], actor_kind="user")
    places = [place for run, _ in above for place in states.load(run.state).outputs.values()]
    aside = Q(pk__in=[])
    for run, step in above:
        aside |= Q(parent=run) & ~Q(parent_step=step)
    others = set(Run.objects.filter(aside).values_list("pk", flat=True))
    return [*written.values_list("actor_ref", flat=True).distinct(), *authors_of(places), *_authors_in(_with_parts(others))]


def _agents_of_blocks(blocks: Collection[str], runs: Collection[UUID | None], did: str) -> list[str]:
    """The agents at work in the child runs that these steps of these runs forked, and in theirs."""
    if not blocks:
        return []
    forked = Run.objects.filter(parent__in=runs, parent_step__in=blocks).values_list("pk", flat=True)
    done = Event.objects.filter(type=did, run_id__in=_with_parts(set(forked))).exclude(agent="")
    return list(done.values_list("agent", flat=True).distinct())


def _earlier_editors(places: Iterable[str]) -> list[str]:
    """Users who edited what was edited again since: the later words rest on theirs (docs/adr/0034). One query, if any was."""
    wanted = Q()
    for place in places:
        stream, _, seq = place.rpartition("/")
        if stream.startswith("request:"):
            wanted |= Q(stream=stream, seq__lt=int(seq))
    if not wanted:
        return []
    edited = Event.objects.filter(wanted, type="request.edited", actor_kind="user")
    return list(edited.values_list("actor_ref", flat=True).distinct())


def _authors_below(places: Iterable[str], run_id: UUID | None, *, without: Collection[UUID]) -> list[str]:
    """Users who answered or edited inside the blocks and sub-workflows behind these outputs. A block's output stands in the
    parent's stream, what it was made of in those of its child runs; a sub-workflow's stands in its own run's, where people may
    have answered and edited, too.

    Args:
        run_id: the run that asks, whose own answers the places name.
        without: the runs above it, which `_authors_above` reads.
    """
    streams = {place.rpartition("/")[0] for place in places}
    level = {UUID(stream.removeprefix("run:")) for stream in streams if stream.startswith("run:")}
    return _authors_in(_with_parts(level - set(without)) - {run_id})


def _with_parts(runs: Collection[UUID]) -> set[UUID]:
    """These runs and all that are parts of them. A query per level."""
    found = level = set(runs)
    while level:
        level = set(Run.objects.filter(parent__in=level).values_list("pk", flat=True)) - found
        found = found | level
    return found


def _authors_in(runs: Collection[UUID]) -> list[str]:
    """Users who answered or edited in these runs. One query, if there are any."""
    if not runs:
        return []
    authors = Event.objects.filter(_WRITTEN, run_id__in=runs, actor_kind="user")
    return list(authors.values_list("actor_ref", flat=True).distinct())


def authors_of(places: Iterable[str]) -> list[str]:
    """Users who wrote these outputs: answers of review items, messages, edits. Those of steps are their agents'. One query."""
    wanted = Q()
    for place in places:
        stream, _, seq = place.rpartition("/")
        if stream.startswith(("review:", "message:", "request:")):
            wanted |= Q(stream=stream, seq=int(seq))
    if not wanted:
        return []
    return list(Event.objects.filter(wanted, actor_kind="user").values_list("actor_ref", flat=True).distinct())
