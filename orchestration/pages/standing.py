"""Where a run stands, in words: the status sentence, the pinned "Now", and the mark of every node of the graph. Pure.

Everything is computed from the control state, the pinned definition and what waits; nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis.core import clock_text
from approvals.pages import words
from approvals.pages.words import Mark
from orchestration.engine.state import State
from orchestration.pages import marks
from orchestration.workflows.definition import ActStep, AgentStep, Definition, OnFailure, Step


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open approval request, as the run page tells of it."""

    label: str
    url: str
    sentence: str  # "One of Support leads must approve."
    groups: str
    since: datetime
    deadline: datetime
    may_decide: bool
    progress: str
    fallback_queue: str = ""  # of the policy: where an expired request goes unless the step says otherwise


@dataclass(frozen=True, slots=True)
class Queued:
    """An open review item, as the run page tells of it."""

    label: str
    url: str
    queue: str
    name: str
    groups: str
    code: str
    claimed_by: str
    since: datetime
    due: datetime
    may_work: bool


@dataclass(frozen=True, slots=True)
class Meeting:
    """What the run waits for that is neither a person nor a retry.

    Attributes:
        what: the message or resource.
        holder, url: whoever holds the resource, as this reader may see it; url "" if they may not see that run.
    """

    what: str
    key: str = ""
    holder: str = ""
    url: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """One thing the run waits for: what, who can unblock it, since when, what happens at the deadline.

    Attributes:
        is_of_children: it waits for runs of its own; their pages say who can unblock them.
    """

    tone: str
    icon: str
    title: str
    who: str
    since: datetime | None
    deadline_label: str
    deadline: datetime | None
    deadline_text: str
    url: str = ""
    action: str = ""
    short: str = ""
    is_of_children: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the words depend on.

    Attributes:
        changes: capabilities carried out so far, for "nothing has been changed yet".
        operators: groups that may operate the workflow.
        asked: what an unread inbox message asks ("cancel", "retry"), with who asked.
        since: when the newest event was written.
    """

    state: State
    definition: Definition | None
    now: datetime
    since: datetime
    changes: Sequence[str]
    operators: str
    waiting: Waiting | None = None
    queued: Queued | None = None
    meeting: Meeting | None = None
    asked: str = ""
    asked_by: str = ""

    @property
    def step(self) -> Step | None:
        if self.definition is None or not self.state.step:
            return None
        try:
            return self.definition.step(self.state.step)
        except KeyError:
            return None

    @property
    def step_name(self) -> str:
        step = self.step
        return (step.common.title if step and step.common.title else self.state.step) or "the end"


def sentence(about: Situation) -> str:
    """One sentence: what is going on."""
    state, step = about.state, about.step_name
    if state.ended == "completed":
        return f"It is done: {state.outcome.replace('_', ' ')}."
    if state.ended == "failed":
        return f"It failed at {step}: {state.outcome.replace('_', ' ')}.{_undone(state)}"
    if state.ended == "rolled_back":
        return f"It was rolled back.{_undone(state)}"
    if state.rollback:
        return "It is done, and somebody asks to roll it back. Others decide about that."
    if state.ended == "cancelled":
        return f"It was cancelled at {step}.{_undone(state)}"
    if state.ending:
        return f"It is ending ({state.ending.code.replace('_', ' ')}) and undoes what it did first. {_undoing(about)}"
    if state.stopped_by:
        return f"It is being cancelled. First it must be known what became of the action of {step}."
    match state.phase:
        case "calling":
            return f"{_agent(about)} is working on {step}."
        case "acting":
            return f"The action of {step} is being carried out."
        case "deciding":
            wants = about.waiting.sentence if about.waiting else "A decision is needed."
            return f"{step} waits for a decision. {wants}"
        case "reviewing":
            code = about.queued.code if about.queued else ""
            return f"{step} waits for a person. {marks.code_words(code) if code else ''}".strip()
        case "retrying":
            return f"{step} failed and will be tried again."
        case "held":
            return f"{step} is held: {marks.hold_words(state.hold, state.held_by)}."
        case "sleeping":
            return f"{step} waits for its time."
        case "listening":
            return f"{step} waits for the message {about.meeting.what}." if about.meeting else f"{step} waits for a message."
        case "queueing":
            return f"{step} waits for {_resource(about)}."
        case "joining" | "recalling":
            return f"{_of_children(about)}."
        case _:
            return f"{step} is next; a worker takes it within a second or two."


def _resource(about: Situation) -> str:
    """The resource, and who has it."""
    meeting = about.meeting
    if meeting is None:
        return "a resource"
    return f"{meeting.what}, which {meeting.holder} holds" if meeting.holder else meeting.what


def _undone(state: State) -> str:
    """What compensation came to, behind the sentence of how the run ended."""
    if state.ending is None:
        return ""
    undone, left = state.ending.undone, state.ending.left
    return f" {undone} {'effect was' if undone == 1 else 'effects were'} undone{f', {left} left to stand' if left else ''}."


def _undoing(about: Situation) -> str:
    left = len(about.state.effects)
    more = f"{left} {'effect is' if left == 1 else 'effects are'} left to undo."
    return f"{about.step_name} waits for a person. {more}" if about.state.phase == "reviewing" else more


def changes_sentence(about: Situation) -> str:
    """What the run has changed so far: an approver's first question."""
    if about.changes:
        done = words.listing(list(dict.fromkeys(about.changes)))
        return f"Carried out: {done}." if about.state.ended else f"Carried out so far: {done}."
    return "Nothing was changed." if about.state.ended else "Nothing has been changed yet."


def pinned(about: Situation) -> list[Now]:
    """What it waits for. Empty once it ended well."""
    items = []
    if about.asked and not about.state.ended:
        word = {"cancel": "cancelled", "retry": "retried", "rollback": "rolled back"}.get(about.asked, about.asked)
        nobody = "Nobody has to. The worker takes the message next."
        title = f"It is being {word}"
        items.append(Now("grey", "clock", title, nobody, None, "Asked by", None, about.asked_by, short=f"being {word}"))
    match about.state:
        case State(ended="failed"):
            items.append(_failed(about))
        case State(ended=""):
            items.append(_open(about))
        case _:
            pass
    return items


def node_marks(about: Situation) -> dict[str, Mark]:
    """What every node of the flow map is doing: each step, and the queue an item lies in."""
    if about.definition is None:
        return {}
    marks = {step.common.id: _mark(about, step) for step in about.definition.steps}
    if about.queued:
        marks[f"queue:{about.queued.name}"] = Mark("amber", "queue", "claimed" if about.queued.claimed_by else "waits")
    if about.state.ending:
        over = about.state.is_ended
        marks["undo:effects"] = Mark("grey" if over else "amber", "undo", "undone" if over else "under way")
    return marks


def _open(about: Situation) -> Now:
    state, step = about.state, "The rollback" if about.state.rollback else about.step_name
    nobody = "Nobody has to."
    match state.phase:
        case "deciding" if about.waiting:
            wait = about.waiting
            return Now(
                "violet", "hourglass", f"{step} waits for a decision",
                f"You, and others in {wait.groups}" if wait.may_decide else f"People in {wait.groups}",
                wait.since, "At the deadline", wait.deadline,
                f"it expires{_expired(about, wait)}. It never approves by itself.",
                url=wait.url, action=f"{'Decide' if wait.may_decide else 'Open'} {wait.label}",
                short=f"{step} waits for a decision, {wait.progress}",
            )  # fmt: skip
        case "reviewing" if about.queued:
            item = about.queued
            who = f"{item.claimed_by} has claimed it" if item.claimed_by else f"People in {item.groups or 'no group yet'}"
            return Now(
                "amber", "queue", f"{step} waits for a person in {item.queue}", who, item.since, "Service time",
                item.due, "then the item is late; nothing happens by itself.",
                url=item.url, action=f"{'Work on' if item.may_work else 'Open'} {item.label}",
                short=f"{step} waits for a person in {item.queue}",
            )  # fmt: skip
        case "retrying":
            until = clock_text.parse(state.until) if state.until else None
            attempts = _attempts(about)
            title = f"{step} is being retried: attempt {state.attempt} of {attempts} failed"
            then = f"attempt {state.attempt + 1} of {attempts}."
            return Now("amber", "spin", title, nobody, about.since, "Next attempt", until, then, short=title)
        case "held":
            title = f"{step} is held: {marks.hold_words(state.hold, state.held_by)}"
            who = "Whoever may resume it" if state.hold == "halt" else nobody
            until = clock_text.parse(state.until) if state.until else None
            return Now(
                "amber", "hand", title, who, about.since, "Looks again" if until else "Then", until, "it goes on in its turn.",
                short=f"{step} is held",
            )  # fmt: skip
        case "sleeping" | "listening" | "queueing":
            return _meeting(about)
        case "joining" | "recalling":
            title = _of_children(about)
            return Now(
                "blue", "fork", title, "", about.since, "Then", None, "it goes on when the last has ended.",
                short=title, is_of_children=True,
            )  # fmt: skip
        case "calling" | "acting":
            title = f"{_agent(about)} works on {step}" if state.phase == "calling" else f"The action of {step} is under way"
            limit = about.step.timeout if isinstance(about.step, AgentStep | ActStep) else None
            return Now(
                "blue", "play", title, nobody, about.since, "Time limit", about.since + limit if limit else None,
                f"then attempt {state.attempt} counts as failed.", short=title,
            )  # fmt: skip
        case "deciding" | "reviewing":
            return Now("violet", "hourglass", f"{step} waits for people", "", about.since, "", None, "", short=f"{step} waits")
        case _:
            return Now(
                "blue", "clock", f"{step} is next", nobody, about.since, "Then", None, "a worker takes it.",
                short=f"{step} is next",
            )  # fmt: skip


def _expired(about: Situation, wait: Waiting) -> str:
    """What an expired request leads to, as `Scene.give_up` does it."""
    if about.definition is None or about.step is None or about.state.rollback:
        return ""
    if about.state.ending:
        return ", and a person looks at it"
    match about.step.common.given_up("expired", wait.fallback_queue):
        case OnFailure(action="fail"):
            return ", and the run fails"
        case OnFailure(action="compensate"):
            return ", what the run did is undone, and it fails"
        case OnFailure(action="step", target=target):
            return f", and the run goes on with {_title(about.definition, target)}"
        case action:
            queue = (action.target if action else "") or wait.fallback_queue or about.definition.fallback_queue
            return f", and a person in the queue {queue} takes over"


def _title(definition: Definition, step: str) -> str:
    try:
        return definition.step(step).common.title or step
    except KeyError:
        return step


def _of_children(about: Situation) -> str:
    state, fork = about.state, about.state.fork
    if state.phase == "recalling" or fork is None:
        return f"A run of {about.step_name} undoes what it did"
    ended = len(fork.done) + len(fork.failed)
    return f"{about.step_name} waits for its runs: {ended} of {fork.of} have ended"


def _meeting(about: Situation) -> Now:
    """What ends the wait, and what happens if nothing does."""
    state, step, meeting = about.state, about.step_name, about.meeting or Meeting("")
    match state.phase:
        case "sleeping":
            until = clock_text.parse(state.until)
            title = f"{step} waits for its time"
            return Now("blue", "hourglass", title, "Nobody has to.", about.since, "Then", until, "it goes on.", short=title)
        case "listening":
            title = f"{step} waits for the message {meeting.what}"
            who = f"Whoever sends it for {meeting.key}" if meeting.key else "Whoever sends it"
            return Now(
                "blue", "hourglass", title, who, about.since, "At the latest" if meeting.until else "Then", meeting.until,
                "the step gives up with no_message." if meeting.until else "it goes on.", short=title,
            )  # fmt: skip
        case _:
            title = f"{step} waits for {_resource(about)}"
            return Now(
                "amber", "lock", title, "The holder, when it lets go", about.since,
                "At the latest" if meeting.until else "Then", meeting.until,
                "the step gives up with resource_wait." if meeting.until else "it goes on in its turn.",
                url=meeting.url, action=f"Open {meeting.holder}" if meeting.url else "", short=title,
            )  # fmt: skip


def _failed(about: Situation) -> Now:
    if about.state.is_compensated:
        title, who = f"It failed at {about.step_name}; what it did is undone", "Nobody has to. Submit the work again instead."
        return Now(
            "grey", "undo", title, who, about.since, "If nobody acts", None, "it stays failed.",
            short=f"failed at {about.step_name}, undone",
        )  # fmt: skip
    who = (
        f"People in {about.operators} may retry it" if about.operators else "Nobody may retry it; an admin can grant “operate”"
    )
    return Now(
        "red", "x-circle", f"It failed at {about.step_name} and waits for nobody", who, about.since, "If nobody acts", None,
        "it stays failed.", short=f"failed at {about.step_name}",
    )  # fmt: skip


def _mark(about: Situation, step: Step) -> Mark:
    state, name = about.state, step.common.id
    if name == state.step and not state.is_ended:
        return _mark_here(about)
    if name == state.step and state.ended == "failed":
        return Mark("red", "x-circle", "failed")
    if name == state.step and state.ended == "cancelled":
        return Mark("grey", "skip", "cancelled")
    if state.ending and name == state.ending.step and name != state.step:
        return Mark("red", "x-circle", "gave up")
    if name in state.cases:
        return Mark("green", "check-circle", f"case {state.cases[name]}")
    visits = state.visits.get(name, 0)
    if visits:
        return Mark("green", "check-circle", f"done, {visits} visits" if visits > 1 else "done")
    return Mark("grey", "skip", "not taken") if state.is_ended else Mark("grey", "dot", "not started")


def _mark_here(about: Situation) -> Mark:
    state = about.state
    match state.phase:
        case "deciding":
            return Mark("violet", "hourglass", f"waits, {about.waiting.progress}" if about.waiting else "waits")
        case "reviewing":
            return Mark("amber", "queue", "in review")
        case "retrying":
            return Mark("amber", "spin", f"retry {state.attempt} of {_attempts(about)}")
        case "held":
            return Mark("amber", "hand", "held")
        case "joining" | "recalling":
            return Mark("blue", "fork", "under way")
        case "sleeping" | "listening":
            return Mark("blue", "hourglass", "waits")
        case "queueing":
            return Mark("amber", "lock", "resource taken")
        case "calling" | "acting":
            return Mark("blue", "play", f"attempt {state.attempt}" if state.attempt > 1 else "under way")
        case _:
            return Mark("blue", "clock", "next")


def _agent(about: Situation) -> str:
    step = about.step
    return step.agent if isinstance(step, AgentStep) else "An agent"


def _attempts(about: Situation) -> int:
    step = about.step
    return step.retry.attempts if isinstance(step, AgentStep | ActStep) else 1
