"""One review item for its page: why it is there, and what a person needs to answer it. The list is `reviewboard`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from aegis.core import clock
from aegis.core.canonical import Json
from aegis.identity.models import User
from approvals.pages import contractform, words
from approvals.pages.contractform import ContractForm
from approvals.pages.facts import facts
from approvals.pages.words import Mark
from audit import masking
from audit.models import Event, Payload
from orchestration.contracts.marks import is_mask
from orchestration.engine import reviews
from orchestration.engine import standing as ways
from orchestration.engine import state as states
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.standing import Standing
from orchestration.pages import effectview, faulttree, marks, timeline
from orchestration.pages.effectview import EffectView
from orchestration.pages.faulttree import Tree
from orchestration.pages.reviewboard import OPEN
from orchestration.pages.runpage import definition_of
from orchestration.pages.told import Before, parsed, told
from orchestration.workflows import releases
from orchestration.workflows.handoffs import handoffs_of

_TITLES = {"about": "What the agent said about it", "faults": "What is wrong", "message": "What it sent", "why": "Why"}

#: Events that say why an item was opened; the newest before it is told.
WHY = (
    "step.failed", "step.abstained", "step.unsure", "contract.violated", "expression.failed", "verdict.given", "effect.failed",
    "effect.unknown", "effect.diverged", "effect.conflicted", "run.quarantined",
    "run.faulted", "route.chosen", "gate.settled", "step.lost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    value: str
    title: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One item."""

    item: ReviewItem
    mark: Mark
    left: Mark
    why: str
    because: str
    details: Sequence[Before]
    tree: Tree | None  # a message that breaks its contract, with the places marked
    step_title: str
    form: ContractForm | None
    is_prefilled: bool
    cases: Sequence[Case]
    before: Sequence[Before]
    sees_run: bool
    may_work: bool
    workers: str
    is_open: bool
    claimed_by: str
    is_mine: bool
    is_taken: bool  # claimed by somebody else
    answer: Sequence[Before]
    settled_by: str
    at: datetime
    stands: Standing | None  # ways out of an open item
    effect: EffectView | None
    undoable: int  # effects that a cancel would undo

    @property
    def may_settle(self) -> bool:
        """A person may say what became of an effect."""
        return self.stands is not None and (self.stands.may_state or self.stands.may_deny or self.stands.is_undo)

    @property
    def has_answer(self) -> bool:
        return bool(self.cases or self.form)

    @property
    def has_ways_out(self) -> bool:
        return self.stands is not None and (self.stands.may_retry or not self.stands.is_undo)


def visible_item(user: User, item_id: Any) -> ReviewItem:
    """The item with what its page names.

    Raises:
        NotFound
    """
    related = ("queue", "claimed_by", "run__workflow", "run__release", "run__requester")
    return ReviewItem.objects.select_related(*related).get_visible(user, pk=item_id)


def item_page(user: User, item: ReviewItem, form: ContractForm | None = None) -> ItemPage:
    """Everything the page of one item shows.

    Args:
        form: the form as it was sent, when it comes back with faults.
    """
    now = clock.now()
    run, state = item.run, states.load(item.run.state)
    why = _why(item)
    payloads = _payloads(user, run, [*state.outputs.values(), *([f"{why.stream}/{why.seq}"] if why else [])])
    is_open = item.status in OPEN
    fresh, is_prefilled = (form, False) if form else _form(item, payloads, why) if is_open else (None, False)
    bodies = payloads.get((why.stream, why.seq), {}) if why else {}
    tree = faults_in(bodies) if why and why.type == "contract.violated" else None
    hidden = {"message", "faults"} if tree else {"message", "output"} if is_prefilled else set()
    details = _details(bodies, hidden)
    definition = definition_of(run)
    titles = {step.common.id: step.common.title or step.common.id for step in definition.steps} if definition else {}
    answer, settled_by = ([], "") if is_open else _answer(user, item)
    return ItemPage(
        item=item,
        mark=marks.item_status(item.status),
        left=words.left(item.due_at, now),
        why=marks.code_words(item.code),
        because=_sentence(why, run) if why else "",
        details=details,
        tree=tree,
        step_title=titles.get(item.step, item.step),
        form=fresh,
        is_prefilled=is_prefilled,
        cases=[Case(name, titles.get(name, name)) for name in item.choices],
        before=_before(run, state, payloads),
        sees_run=Run.objects.visible_to(user).filter(pk=run.pk).exists(),
        may_work=ReviewItem.objects.visible_to(user, "operate").filter(pk=item.pk).exists(),
        workers=_workers(item),
        is_open=is_open,
        claimed_by=item.claimed_by.display_name if item.claimed_by else "",
        is_mine=item.claimed_by_id == user.pk,
        is_taken=item.claimed_by_id not in (None, user.pk),
        answer=answer,
        settled_by=settled_by,
        at=now,
        stands=ways.of(item) if is_open else None,
        effect=effectview.of(user, item) if is_open else None,
        undoable=len(state.effects),
    )


def _workers(item: ReviewItem) -> str:
    """Groups whose people work on it: those of the queue, and where it asks for a skill, in which of them that is."""
    groups = ", ".join(item.queue.groups.order_by("name").values_list("name", flat=True))
    if not item.skill:
        return groups
    skilled = item.queue.skills.filter(name=item.skill).order_by("group__name").values_list("group__name", flat=True)
    return f"{groups}, who also are in {', '.join(skilled) or 'a group that has it'} (skill “{item.skill}”)"


def empty_form(item: ReviewItem) -> ContractForm | None:
    """The form of the item's contract; None where no output is asked for."""
    schema = None if item.choices else reviews.form_schema(item)
    return contractform.build(schema) if schema is not None else None


def _why(item: ReviewItem) -> Event | None:
    """The event that led to the item: the newest telling one of its step before it was opened."""
    events = Event.objects.filter(stream=item.run.stream, step=item.step, type__in=WHY, at__lte=item.opened_at)
    return events.order_by("-seq").first()


def _payloads(user: User, run: Run, places: Sequence[str]) -> dict[tuple[str, int], dict[str, str]]:
    """The payloads at some places, and the run's input, as this person may see them. One query, and those of masking."""
    wanted = Q(stream=run.stream, seq=1, name="input")
    for place in places:
        source, _, position = place.rpartition("/")
        wanted |= Q(stream=source, seq=int(position))
    found: dict[tuple[str, int], dict[str, str]] = {}
    rows = Payload.objects.filter(wanted, erased_at__isnull=True).values_list("stream", "seq", "name", "body")
    for row in masking.shown(user, rows):
        found.setdefault((row.stream, row.seq), {})[row.name] = row.body
    return found


def faults_in(bodies: Mapping[str, str], *, max_rows: int = faulttree.MAX_ROWS) -> Tree | None:
    """The message of a `contract.violated` as a tree with its faults; None if it was erased.

    Args:
        bodies: the payloads of the event, as the reader may see them.
    """
    if "message" not in bodies:
        return None
    faults = parsed(bodies.get("faults", "[]"))
    listed = [fault for fault in faults if isinstance(fault, dict)] if isinstance(faults, list) else []
    pairs = [(str(fault.get("pointer", "")), str(fault.get("fault", ""))) for fault in listed]
    return faulttree.build(parsed(bodies["message"]), pairs, max_rows=max_rows)


def _details(bodies: Mapping[str, str], hidden: Collection[str]) -> list[Before]:
    """What the agent or AEGIS said about it. What the form or the tree shows already is not said twice."""
    names = ("reason", "detail", "why", "about", "faults", "message", "output", "proposal")
    shown = [name for name in names if name in bodies and name not in hidden]
    return [told(_TITLES.get(name, name.capitalize()), name, bodies[name]) for name in shown]


def _form(
    item: ReviewItem, payloads: Mapping[tuple[str, int], Mapping[str, str]], why: Event | None
) -> tuple[ContractForm | None, bool]:
    """The form, filled in with what the agent had answered if it had: the person judges it, nobody types it anew."""
    form = empty_form(item)
    if form is None or why is None:
        return form, False
    bodies = payloads.get((why.stream, why.seq), {})
    body = bodies.get("output") if why.type == "step.unsure" else bodies.get("message")
    value = parsed(body) if body else None
    if not isinstance(value, dict) and not (form.is_whole and value is not None):
        return form, False
    return form.filled(without_masks(value)), True


def without_masks(value: Json) -> Json:
    """A value for a form: what is masked is left out, so that nobody sends a mask back as if it were the value."""
    if isinstance(value, Mapping):
        return {name: without_masks(item) for name, item in value.items() if not is_mask(item)}
    return [without_masks(item) for item in value if not is_mask(item)] if isinstance(value, list) else value


def _before(run: Run, state: states.State, payloads: Mapping[tuple[str, int], Mapping[str, str]]) -> list[Before]:
    rows = []
    schemas = _schemas(run, state)
    entered = payloads.get((run.stream, 1), {}).get("input")
    if entered is not None:
        rows.append(told("What was submitted", "input", entered, schemas.get("input", False)))
    for step, stream, seq in _made(run, state):
        body = payloads.get((stream, seq), {}).get("output")
        if body is not None:
            rows.append(told(f"Output of {step}", "output", body, schemas.get(step, False)))
    return rows


def _schemas(run: Run, state: states.State) -> dict[str, Json]:
    """The schema of the input and of each step's output, as pinned; nothing of a release that cannot be read any more."""
    try:
        release = releases.load(run.release_id, state.path)
    except Exception:  # an old release must not take the page of its items with it
        return {}
    return {handoff.place: release.contracts[handoff.contract].schema for handoff in handoffs_of(release.definition)}


def _made(run: Run, state: states.State) -> list[tuple[str, str, int]]:
    """Step, stream and position of each output, in the order they came; those of other streams (its own review items) last."""
    places = [(step, *place.rpartition("/")[::2]) for step, place in state.outputs.items()]
    return sorted(((step, stream, int(seq)) for step, stream, seq in places), key=lambda at: (at[1] != run.stream, at[2]))


def _sentence(why: Event, run: Run) -> str:
    raw = timeline.parse([why])[0]
    names = timeline.Names({}, {}, run.business_key or run.label, run.label, str(run.workflow))
    return timeline.sentence(raw, names)


def _answer(user: User, item: ReviewItem) -> tuple[list[Before], str]:
    """How it was answered, and by whom: from the item's own stream."""
    event = Event.objects.filter(stream=item.stream, type="review.answered").order_by("-seq").first()
    if event is None:
        return [], ""
    person = User.objects.filter(pk=event.actor_ref).first() if event.actor_kind == "user" else None
    rows = Payload.objects.filter(stream=item.stream, seq=event.seq, erased_at__isnull=True)
    bodies = {row.name: row.body for row in masking.shown(user, rows.values_list("stream", "seq", "name", "body"))}
    schemas = {"output": reviews.form_schema(item)}
    said = [
        told(name.capitalize(), name, bodies[name], schemas.get(name, False)) for name in ("reason", "output") if name in bodies
    ]
    case = timeline.parse([event])[0].data.get("case")
    if case:
        said.insert(0, Before("Case", facts(case)))
    return said, person.display_name if person else "AEGIS"
