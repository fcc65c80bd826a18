"""One request for its page: everything a person needs to decide, in the order of the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from aegis.core import clock
from aegis.core.canonical import Json
from aegis.core.diffs import Diff, diff, pretty
from aegis.identity.models import User
from approvals import electors, evidence, gates, holding, judging, policies, policy_words, questions, seen, signing
from approvals.electors import Eligibility
from approvals.models import ApprovalRequest
from approvals.pages import origins, said, words
from approvals.pages.facts import Fact, facts
from approvals.pages.inbox import places_of
from approvals.pages.origins import Origin
from approvals.pages.standing import OPEN, Standing, standing
from approvals.pages.words import Mark
from approvals.questions import Live
from audit import masking
from audit.models import Event, Payload
from audit.scopes import reach

MAX_ABLE = 100
#: Thin: fields of a record that say what it is about, shown above the diff where the change leaves them as they are. By name
#: only, for every sort of record; a mark in the capability's contract would be the thorough way.
KEY_FIELDS = ("subject", "text", "urgency", "intent")


@dataclass(frozen=True, slots=True)
class Because:
    """Who proposed it, and why. Confidence is the agent's own figure."""

    agent: str
    justification: str
    rationale: str
    confidence: str
    model: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A banner: what moved while the reader looked away."""

    tone: str
    icon: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything the pane shows."""

    request: ApprovalRequest
    title: str
    risk: Mark
    status: Mark | None
    left: Mark
    age: str
    place: str
    sees_run: bool
    notice: Notice | None
    record_label: str
    is_stale: bool
    key_facts: Sequence[Fact]
    diff: Diff | None
    sentences: Sequence[str]
    proposal: Json
    parameters: str
    origins: Sequence[Origin]
    because: Because
    evidence: Sequence[said.EvidenceView]
    policy: Sequence[str]
    stands: Standing
    votes: Sequence[said.Vote]
    eligibility: Eligibility
    may_approve: bool
    may_reject: bool
    may_request_changes: bool
    may_edit: bool
    may_withdraw: bool
    next_groups: Sequence[str]  # to whom the reader may escalate it now
    edits: Sequence[said.Edit]
    able: Sequence[User]  # others who could decide it, to whom it may be given
    comments: Sequence[said.Comment]
    must_type: str
    needs_reason_to_approve: bool
    shown_digest: str
    at: datetime

    @property
    def is_open(self) -> bool:
        return self.request.status in OPEN

    @property
    def act(self) -> str:
        """The question without its mark, for the button that names the act."""
        return self.title.rstrip("?")


def detail(user: User, request: ApprovalRequest) -> Detail:
    """Read the question again, now, and say all about it. The number of queries does not depend on the evidence."""
    now = clock.now()
    whole = questions.get(request.question).live(request.subject)
    live = seen.live(user, request, whole)
    stands = standing(request)
    texts = seen.texts(user, request)
    shown = {name: value for (seq, name), value in texts.items() if seq == evidence.shown_at(request, name)}
    may = gates.eligibility(request, user, live=whole)
    is_open = request.status in OPEN
    is_stale = is_open and (live.digest != request.digest or not live.is_current or _policy_moved(request))
    left = _people_left(request, whole, stands) if is_open else set()
    proposal = shown.get("proposal")
    events = said.events_of(live.evidence)
    return Detail(
        request=request,
        title=live.title,
        risk=words.RISKS.get(request.risk, words.RISKS["high"]),
        status=None if request.status == "open" else words.REQUEST_STATUSES[request.status],
        left=words.left(request.deadline, now),
        age=words.ago(request.opened_at, now),
        place=places_of([request]).get((request.scope, request.scope_id), ""),
        sees_run=sees_run_of(user, request),
        notice=_notice(request, live, stands, left, is_stale=is_stale),
        record_label=live.record_label,
        is_stale=is_stale,
        key_facts=_key_facts(request, live),
        diff=_diff(request, live),
        sentences=_sentences(shown),
        proposal=proposal,
        parameters=pretty(proposal) if proposal is not None else "",
        origins=origins.rows(shown.get("provenance"), shown.get("outside")),
        because=_because(request, _about(user, request, events), proposal, shown.get("reason")),
        evidence=[said.evidence_view(item, events.get(item.pointer)) for item in live.evidence],
        policy=policy_words.describe(stands.policy),
        stands=stands,
        votes=said.votes(texts, stands),
        eligibility=may,
        may_approve=may.may and not is_stale,
        may_reject=may.may,
        may_request_changes=may.may and not is_stale and questions.get(request.question).takes_changes(request),
        may_edit=may.may and may.delegation is None and not is_stale,
        edits=said.edits(request, texts),
        able=_able(left, user) if may.may else (),
        next_groups=_next_groups(user, request, stands, whole, may) if is_open and not is_stale else (),
        may_withdraw=is_open and request.requester_id == user.pk,
        comments=said.comments(request, texts),
        must_type=typed_subject(request, live),
        needs_reason_to_approve=stands.policy.reason == "always",
        shown_digest=live.digest if is_open else request.digest,  # once settled: what was decided on
        at=now,
    )


def typed_subject(request: ApprovalRequest, live: Live) -> str:
    """What a person types to approve a high risk: the record's name as the diff shows it, else the request's label."""
    if signing.risk_of(request) != "high":
        return ""
    return live.record_label.rpartition(", version")[0] or live.record_label or request.label


def _policy_moved(request: ApprovalRequest) -> bool:
    return policies.load_text(request.policy.document).digest != request.policy_digest


def sees_run_of(user: User, request: ApprovalRequest) -> bool:
    """Eligible people see the request and its evidence, not the run behind it (DESIGN section 6)."""
    ids = reach(user).ids.get(request.scope, frozenset())
    return request.run_id is not None and (ids is None or request.scope_id in ids)


def _notice(request: ApprovalRequest, live: Live, stands: Standing, left: set[str], *, is_stale: bool) -> Notice | None:
    if request.status == "frozen":
        return Notice("blue", "pause", "Frozen by a halt", "Its deadline stands still until the halt ends.")
    if live.aftermath:
        return Notice("amber", "alert", "Approved, but not applied", live.aftermath)
    if request.status not in OPEN:
        return _ended(request, stands)
    if not is_stale:
        return _stuck(stands, left)
    if not live.is_current:
        return Notice("amber", "refresh", "What it would change is no longer there in that form", "It can only be rejected.")
    what = "The policy changed after this was asked" if _policy_moved(request) else "The record changed after this was proposed"
    return Notice("amber", "refresh", what, "Nobody can approve the old version; earlier votes do not count for the new one.")


def _people_left(request: ApprovalRequest, live: Live, stands: Standing) -> set[str]:
    """Ids of those in the groups asked now who could still decide. Two queries."""
    spoken = {who for vote in stands.decisions if not vote.is_void for who in electors.silenced_by(vote, request.stage)}
    asked = stands.policy.stages[stands.stage].asked(stands.level)
    people = electors.active_people(asked, without=holding.barred_by(request, live, clock.now()) | spoken)
    return {person for members in people.values() for person in members}


def _next_groups(user: User, request: ApprovalRequest, stands: Standing, whole: Live, may: Eligibility) -> Sequence[str]:
    """Whom the next escalation of the stage would ask, for a reader who may put it in force; nobody under a floor lock."""
    waiting = stands.policy.stages[stands.stage].escalations[stands.level :] if stands.stage < len(stands.policy.stages) else ()
    question = questions.get(request.question)
    if not waiting or question.is_locked(request):
        return ()
    may = may if may.may else judging.may_escalate(request, question, stands.policy, user, whole, clock.db_now())
    return waiting[0].groups if may.may else ()


def _able(left: set[str], reader: User) -> Sequence[User]:
    return list(User.objects.filter(pk__in=left).exclude(pk=reader.pk).order_by("first_name", "username")[:MAX_ABLE])


def _stuck(stands: Standing, left: set[str]) -> Notice | None:
    """An alarm: the groups asked now have too few people left who could still approve."""
    needed = stands.tally.needed
    if stands.tally.status != "open" or needed <= 0:
        return None
    if len(left) >= needed:
        return None
    who = f"{stands.groups} must give {words.plural(needed, 'more approval')}, and too few there could"
    text = f"{who}. It expires at its deadline unless people join."
    return Notice("red", "alert", "Too few people can decide this any more", text)


def _ended(request: ApprovalRequest, stands: Standing) -> Notice:
    mark = words.REQUEST_STATUSES[request.status]
    last = next((vote for vote in reversed(stands.decisions) if not vote.is_void), None)
    at = f" at {words.clock(request.settled_at)}" if request.settled_at else ""
    if last is not None and request.status in ("approved", "rejected", "changes_requested"):
        title = f"{last.person.display_name} {last.get_verdict_display()} this at {words.clock(last.at)}"
        return Notice(mark.tone, mark.icon, title, "One gate has one outcome.")
    if request.status == "expired":
        return Notice(mark.tone, mark.icon, f"It expired{at}", "Nobody decided in time. Time never approves.")
    return Notice(mark.tone, mark.icon, f"{mark.word}{at}", "Nothing can be decided here any more.")


def _diff(request: ApprovalRequest, live: Live) -> Diff | None:
    before, after = live.before, live.after
    if not isinstance(after, Mapping) or not (before is None or isinstance(before, Mapping)):
        return None
    if request.question == "change":  # documents by name: one that is new or goes away is None on the other side
        before = {name: document for name, document in (before or {}).items() if document is not None}
        after = {name: document for name, document in after.items() if document is not None}
    return diff(before, after)


def _key_facts(request: ApprovalRequest, live: Live) -> tuple[Fact, ...]:
    """What the record is about, as it stands and stays; what changes is in the diff."""
    before, after = live.before, live.after
    if request.question != "effect" or not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return ()
    kept = {name: before[name] for name in KEY_FIELDS if name in before and after.get(name) == before[name]}
    return facts(kept) if kept else ()


def _sentences(shown: Mapping[str, Json]) -> list[str]:
    """A change of configuration told in sentences, as it was when it was asked."""
    told = shown.get("diff")
    return [str(line) for line in told] if isinstance(told, list) else []


def _because(request: ApprovalRequest, about: Mapping[str, Any], proposal: Json, reason: Json) -> Because:
    """
    Args:
        reason: what the person said who proposed a change of configuration; an agent says it in its proposal.
    """
    justification = proposal.get("justification", "") if isinstance(proposal, Mapping) else reason
    confidence = about.get("confidence")
    sources = about.get("sources")
    return Because(
        agent=request.agent,
        justification=str(justification or ""),
        rationale=str(about.get("rationale") or ""),
        confidence=f"{confidence:.2f}" if isinstance(confidence, int | float) else "",
        model=str(about.get("model") or ""),
        sources=tuple(str(source) for source in sources) if isinstance(sources, list) else (),
    )


def _about(user: User, request: ApprovalRequest, events: Mapping[str, Event]) -> Mapping[str, Any]:
    """What the proposing agent said beside its output: the newest `about` payload of an event of that agent."""
    own = [event for event in events.values() if request.agent and event.agent == request.agent]
    if not own:
        return {}
    newest = max(own, key=lambda event: event.seq)
    rows = Payload.objects.filter(stream=newest.stream, seq=newest.seq, name="about", erased_at__isnull=True)
    bodies = [row.body for row in masking.shown(user, rows.values_list("stream", "seq", "name", "body"))]
    value = orjson.loads(bodies[0]) if bodies else None
    return value if isinstance(value, dict) else {}
