"""One run for its page: what is read, and how it is put together. The queries do not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import Left, Length
from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.visibility import groups_with
from aegis.identity.models import User
from approvals.models import ApprovalRequest
from approvals.pages import standing as requests
from approvals.pages import words
from approvals.pages.words import Mark
from audit import masking
from audit.models import Event, Hold, Payload
from orchestration.agents.models import Agent
from orchestration.engine import planner
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.engine.state import State
from orchestration.pages import erasureboard, family, marks, meetings, standing, timeline
from orchestration.pages.family import Family
from orchestration.pages.standing import Now, Queued, Situation, Waiting
from orchestration.pages.timeline import Entry, Names, Raw, Stored
from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, AgentStep, Definition
from orchestration.workflows.drawing import Drawing, draw
from orchestration.workflows.flowmap import layout
from orchestration.workflows.models import Workflow

MAX_EVENTS = 400  # rows on the page; the audit has them all
INLINE_CHARS = 8_000  # of one payload; more is a page of its own


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything the templates of the run page show."""

    run: Run
    mark: Mark
    success: Mark | None
    priority: Mark
    owner: str
    requester: str
    definition: Definition | None
    sentence: str
    changes: str
    now: Sequence[Now]
    drawing: Drawing | None
    entries: Sequence[Entry]
    shown: Sequence[Entry]
    lanes: Mapping[str, int]
    agents: Mapping[str, int]
    lasts: str
    is_cut: bool
    visible_items: frozenset[str]
    may_operate: bool
    operators: str
    can_cancel: bool
    can_retry: bool
    can_roll_back: bool
    retry_step: str
    at: datetime
    family: Family
    holds: Sequence[Hold]
    erased: Sequence[tuple[datetime, int, str]]


def etag_parts(run: Run, user: User) -> list[object]:
    """Cheap facts that decide what the live part shows. Three queries."""
    requests_seq = ApprovalRequest.objects.filter(run_id=run.pk).aggregate(total=Sum("seq"))["total"]
    items_seq = ReviewItem.objects.filter(run=run).aggregate(total=Sum("seq"))["total"]
    own = [user.pk, run.pk, run.seq, run.status, run.wake, run.seen, requests_seq, items_seq]
    return [*own, *family.etag_parts(run)]


def visible_run(user: User, run_id: UUID) -> Run:
    """The run with what its header names, and whether the reader `may_operate` it.

    Raises:
        NotFound
    """
    operated = Workflow.objects.visible_to(user, "operate").filter(pk=OuterRef("workflow_id"))
    rows = Run.objects.annotate(may_operate=Exists(operated)).select_related("workflow__owner", "release", "requester")
    return rows.get_visible(user, pk=run_id)


def gather(user: User, run: Run, lanes: Sequence[str] = (), agent: str = "") -> RunPage:
    """Read the journal and whatever waits, and say it.

    Args:
        run: of `visible_run`.
    """
    now = clock.now()
    state = states.load(run.state)
    definition = definition_of(run)
    may_operate = bool(run.may_operate)  # type: ignore[attr-defined]  # annotated by visible_run
    events = list(Event.objects.visible_to(user).filter(run_id=run.pk).order_by("-id")[: MAX_EVENTS + 1])
    raws = timeline.in_order(timeline.parse(events[:MAX_EVENTS]), run.stream)
    entries = timeline.build(
        raws,
        _payloads(user, raws),
        _names(run, raws),
        run_stream=run.stream,
        now=now,
        started=run.submitted_at,
        ended=run.ended_at,
        pending=_pending(state),
        limits=_limits(definition),
    )
    shown = [entry for entry in entries if (not lanes or entry.lane in lanes) and agent in ("", entry.agent)]
    operators = ", ".join(groups_with(run.workflow, "operate"))
    situation = Situation(
        state=state,
        definition=definition,
        now=now,
        since=raws[-1].event.at if raws else run.submitted_at,
        changes=[entry.capability for entry in entries if entry.type in ("effect.done", "effect.stated") and entry.capability],
        operators=operators,
        waiting=_waiting(user, state, now),
        queued=_queued(user, run, state),
        meeting=meetings.meeting(user, run),
        **_asked(run),
    )
    return RunPage(
        run=run,
        mark=marks.status(run.status),
        success=marks.SUCCESSES.get(_success(raws)) if state.ended == "completed" else None,
        priority=marks.priority(run.priority),
        owner=run.workflow.owner.name,
        requester=run.requester.display_name if run.requester else "AEGIS",
        definition=definition,
        sentence=standing.sentence(situation),
        changes=standing.changes_sentence(situation),
        now=standing.pinned(situation),
        drawing=_drawing(situation, raws, entries, shown, _inside(user, run, definition)),
        entries=entries,
        shown=shown,
        lanes=timeline.lane_counts(entries),
        agents=timeline.agent_counts(entries),
        lasts=words.duration(int(((run.ended_at or now) - run.submitted_at).total_seconds() * 1000)),
        is_cut=len(events) > MAX_EVENTS,
        visible_items=_visible_items(user, run, entries),
        may_operate=may_operate,
        operators=operators,
        can_cancel=planner.may_cancel(state),
        can_roll_back=planner.may_roll_back(state) and run.parent_id is None,
        can_retry=planner.may_retry(state) and not (run.parent_id and state.is_ended),
        family=family.of_run(user, run, definition),
        retry_step=situation.step_name,
        holds=erasureboard.holds_over(run),
        erased=erasureboard.erased_lines(events),
        at=now,
    )


def _success(raws: Sequence[Raw]) -> str:
    """What the newest completion says of the success criterion."""
    return next((str(raw.data["success"]) for raw in reversed(raws) if raw.event.type == "run.completed"), "")


def definition_of(run: Run) -> Definition | None:
    """The definition the run is pinned to, of a branch or an item its body; None if this release cannot read it any more."""
    try:
        return parse.load(canonical.parse(run.release.document)["workflow"]).body(states.load(run.state).path)
    except Exception:  # an old document must not take the page of its runs with it
        return None


def _payloads(user: User, raws: Iterable[Raw]) -> list[Stored]:
    """The payloads of all streams on the page, cut on the database's side where nothing may be hidden. One query then."""
    found = Payload.objects.filter(stream__in={raw.event.stream for raw in raws})
    if masking.masker().is_hiding(user):
        return _masked(user, found)
    rows = (
        found.annotate(size=Length("body"), head=Left("body", INLINE_CHARS))
        .values_list("stream", "seq", "name", "size", "head", "erased_at")
        .order_by("id")
    )
    return [
        Stored(stream, seq, name, size, None if erased_at else head, erased_at)
        for stream, seq, name, size, head, erased_at in rows
    ]


def _masked(user: User, found: QuerySet[Payload]) -> list[Stored]:
    """What is hidden is found in the whole, so the whole is read, masked, and cut then."""
    return [
        Stored(row.stream, row.seq, row.name, len(body), None if row.erased_at else body[:INLINE_CHARS], row.erased_at)
        for row, body in masking.bodies(user, found.order_by("id"))
    ]


def _names(run: Run, raws: Sequence[Raw]) -> Names:
    people = {raw.event.actor_ref for raw in raws if raw.event.actor_kind == "user"}
    people |= {str(raw.line.get("on_behalf") or "") for raw in raws}
    agents = {raw.event.actor_ref for raw in raws if raw.event.actor_kind == "agent"}
    return Names(
        people={str(user.pk): user.display_name for user in User.objects.filter(pk__in=_uuids(people))},
        agents={str(pk): name for pk, name in Agent.objects.filter(pk__in=_uuids(agents)).values_list("pk", "name")},
        subject=run.business_key or run.label,
        run=run.label,
        scope=str(run.workflow),
    )


def _uuids(texts: Iterable[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _pending(state: State) -> Mapping[str, Json] | None:
    if state.phase != "retrying" or not state.until:
        return None
    return {"step": state.step, "visit": state.visit, "attempt": state.attempt, "until": state.until}


def _waiting(user: User, state: State, now: datetime) -> Waiting | None:
    if state.phase != "deciding" or not state.request:
        return None
    request = ApprovalRequest.objects.select_related("policy", "requester").filter(pk=state.request).first()
    if request is None or request.status not in (ApprovalRequest.Status.OPEN, ApprovalRequest.Status.FROZEN):
        return None
    stands = requests.standing(request)
    return Waiting(
        label=request.label,
        url=reverse("approvals:request", args=[request.pk]),
        sentence=stands.tally.sentence,
        groups=stands.groups,
        since=request.opened_at,
        deadline=request.deadline,
        may_decide=ApprovalRequest.objects.awaiting(user, now).filter(pk=request.pk).exists(),
        progress=stands.progress,
        fallback_queue=stands.policy.fallback_queue,
    )


def _queued(user: User, run: Run, state: State) -> Queued | None:
    if state.phase != "reviewing" or not state.item:
        return None
    item = ReviewItem.objects.select_related("queue", "claimed_by").filter(pk=state.item, run=run).first()
    if item is None:
        return None
    return Queued(
        label=item.label,
        url=reverse("review:item", args=[item.pk]),
        queue=str(item.queue),
        name=item.queue.name,
        groups=", ".join(item.queue.groups.order_by("name").values_list("name", flat=True)),
        code=item.code,
        claimed_by=item.claimed_by.display_name if item.claimed_by else "",
        since=item.opened_at,
        due=item.due_at,
        may_work=ReviewItem.objects.visible_to(user, "operate").filter(pk=item.pk).exists(),
    )


def _visible_items(user: User, run: Run, entries: Iterable[Entry]) -> frozenset[str]:
    """Ids of the review items whose page this reader may open: a link never leads to a 404."""
    if not any(entry.item for entry in entries):
        return frozenset()
    return frozenset(str(pk) for pk in ReviewItem.objects.visible_to(user).filter(run=run).values_list("pk", flat=True))


def _asked(run: Run) -> dict[str, str]:
    """The newest message the run has not read yet, if it asks to cancel or retry."""
    kinds = (InboxItem.Kind.CANCEL, InboxItem.Kind.RETRY, InboxItem.Kind.ROLLBACK)
    rows = InboxItem.objects.filter(run=run, ordinal__gt=run.seen, kind__in=kinds).order_by("-ordinal")
    message = rows.first()
    if message is None:
        return {}
    person = User.objects.filter(pk=message.actor_ref).first() if message.actor_kind == "user" else None
    return {"asked": message.kind, "asked_by": person.display_name if person else "AEGIS"}


def _inside(user: User, run: Run, definition: Definition | None) -> Mapping[str, Mark]:
    has_blocks = definition is not None and any(scope is not definition for scope in definition.scopes())
    return family.inner_marks(user, run) if has_blocks else {}


def _limits(definition: Definition | None) -> dict[str, int]:
    """How many attempts each step has."""
    steps = definition.steps if definition else ()
    return {step.common.id: step.retry.attempts for step in steps if isinstance(step, AgentStep | ActStep)}


def _drawing(
    about: Situation, raws: Sequence[Raw], entries: Sequence[Entry], shown: Sequence[Entry], inside: Mapping[str, Mark]
) -> Drawing | None:
    """The graph, each node a link to the newest event of its step; past the filter, where that hides it."""
    if about.definition is None:
        return None
    here, seen = reverse("runs:run", args=[raws[0].event.run_id]) if raws else "", {entry.anchor for entry in shown}
    hrefs = {
        entry.step: f"#{entry.anchor}" if entry.anchor in seen else f"{here}#{entry.anchor}" for entry in entries if entry.step
    }
    taken = {(raw.event.step, str(raw.data["next"])) for raw in raws if raw.event.step and raw.data.get("next")}
    if about.queued:
        taken.add((about.state.step, f"queue:{about.queued.name}"))
    if about.state.ending:
        taken.add((about.state.ending.step, "undo:effects"))
    return draw(
        layout(about.definition), {**inside, **standing.node_marks(about)}, hrefs, default_href="#timeline", taken=taken
    )
