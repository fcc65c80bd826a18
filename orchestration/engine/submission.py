"""Submitting work: the one door by which runs come in, singly and in batches.

The order is the promise (docs/adr/0018). What was accepted before under the same key is found first and answered as it was,
whatever has changed since: a client whose answer was lost never meets a new contract, a full backlog or a full disk by asking
again. Only what is new is asked whether there is room for it, held to the contract and written: run rows and first lines in one
transaction, all or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Fault, IdempotencyMismatch, Invalid
from aegis.core.idempotency import check_key
from aegis.core.tracing import Parent
from aegis.identity.models import User
from audit import journal
from audit.drafts import Context, Draft
from orchestration.engine import pressure, starting
from orchestration.engine.models import Run, SubmittedBatch
from orchestration.engine.starting import InputRefused, Item, Plan
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow
from orchestration.workflows.release import Release

__all__ = [
    "MAX_BATCH",
    "InputRefused",
    "Refused",
    "Submission",
    "Submitted",
    "check_each",
    "submit",
    "submit_each",
    "submit_many",
]

MAX_BATCH_KEY_CHARS: Final = 110  # the keys made from it for its items are longer
MAX_BATCH: Final = 1_000  # items in one call: SQLite's writer lock is held for all of them
MAX_FAULTS: Final = 100  # told in the refusal of one batch
RECORDED_FAULTS: Final = 20

# Index of an item and a pointer into its payload (None: the item as a whole) -> the `where` of a fault.
Place = Callable[[int, str | None], str]


@dataclass(frozen=True, slots=True)
class Submission:
    """One piece of work to start."""

    payload: Json
    idempotency_key: str | None = None
    parent: Parent | None = None  # the span it comes from; the first submission under a key decides


@dataclass(frozen=True, slots=True)
class Submitted:
    """The run of a submission, and whether this call made it (False: the key was used before, with the same body)."""

    run: Run
    is_new: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A submission that became no run, and why."""

    error: AegisError


Answer = Submitted | Refused


def submit(workflow: str, submission: Submission, *, person: User, actor: Actor) -> Submitted:
    """Start one run. See `submit_many`.

    Raises:
        InputRefused: with a fault per JSON pointer; the refusal is on record.
    """
    return submit_many(workflow, [submission], person=person, actor=actor)[0]


def submit_many(
    workflow: str,
    submissions: Sequence[Submission],
    *,
    person: User,
    actor: Actor,
    batch_key: str | None = None,
    place: Place | None = None,
) -> list[Submitted]:
    """Start runs of one workflow in one transaction: all of them or none.

    Args:
        batch_key: idempotency key of the call as a whole; items without a key of their own get one made from it.
        place: how the place of a fault is told; "/<index><pointer>" if None, the pointer alone for a single item.

    Raises:
        NotFound, Forbidden: the workflow is not visible to `person`, or they may not `start` it.
        InputRefused: a payload breaks the input contract.
        IdempotencyMismatch: a key was used before with another body.
        Overloaded: there is no room for what is new; says when to come again.
        Invalid, Malformed: a payload or key is no acceptable text; more than `MAX_BATCH` items.
    """
    where = place or (_by_index if len(submissions) > 1 else _alone)
    done = _Batch(workflow, submissions, person, actor, batch_key, is_partial=False).take(where)
    return [answer for answer in done if isinstance(answer, Submitted)]


def submit_each(
    workflow: str, submissions: Sequence[Submission], *, person: User, actor: Actor, batch_key: str | None = None
) -> list[Answer]:
    """Start runs of one workflow in one transaction, leaving out what is refused. Answers in the order of the items.

    Raises:
        NotFound, Forbidden, Overloaded, Invalid: as `submit_many`, if they are about the call and not about one item.
    """
    return _Batch(workflow, submissions, person, actor, batch_key, is_partial=True).take(_by_index)


def _by_index(index: int, where: str | None) -> str:
    return f"/{index}{where or ''}"


def _alone(index: int, where: str | None) -> str:
    return where or ""


def check_each(workflow: str, submissions: Sequence[Submission], *, person: User, actor: Actor) -> list[Refused | None]:
    """What would be refused of a call of `submit_each`, without submitting or recording anything.

    Raises:
        NotFound, Forbidden, Invalid: as `submit_each`.
    """
    return _Batch(workflow, submissions, person, actor, None, is_partial=True).check()


class _Batch:
    """One call: the items, and the answer of each as it becomes known."""

    def __init__(
        self,
        workflow: str,
        submissions: Sequence[Submission],
        person: User,
        actor: Actor,
        key: str | None,
        *,
        is_partial: bool,
    ) -> None:
        self.workflow = Workflow.objects.get_visible(person, "start", name=workflow)
        if len(submissions) > MAX_BATCH:
            raise Invalid(f"{len(submissions):,} items; at most {MAX_BATCH:,} are taken at once")
        if key is not None:
            check_key(key, max_chars=MAX_BATCH_KEY_CHARS)
        self.person, self.actor, self.key, self.is_partial = person, actor, key, is_partial
        keys = (None if key is None else f"{key}#{index}" for index in range(len(submissions)))
        self.items: list[Item | Refused] = [_item(one, made) for one, made in zip(submissions, keys, strict=True)]
        self.answers: dict[int, Answer] = {}

    def take(self, place: Place) -> list[Answer]:
        try:
            return self._try(place)
        except IntegrityError:  # a key was committed between our look and our insert: look again
            return self._try(place)

    def check(self) -> list[Refused | None]:
        twins = self._answer_known()
        new = self._new(twins)
        if new:
            self._plan(releases.load(releases.release_for(self.workflow).pk), new)
        answers = [self.answers.get(twins.get(index, index)) for index in range(len(self.items))]
        return [answer if isinstance(answer, Refused) else None for answer in answers]

    def _try(self, place: Place) -> list[Answer]:
        self.answers = {}
        batch = self._new_batch()
        twins = self._answer_known()
        new = self._new(twins)
        # With nothing new there is nothing to make room for: what is known is answered whatever the load.
        with pressure.room(self.person.pk, len(new), actor=self.actor) if new else nullcontext() as room:
            release = releases.load(releases.release_for(self.workflow).pk) if new else None
            plans = self._plan(release, new) if release else {}
            refused = {index: answer.error for index, answer in sorted(self.answers.items()) if isinstance(answer, Refused)}
            if refused and not self.is_partial:
                self._record(release, refused)
                raise _joined(refused, len(self.items), place)
            if plans or batch:
                self._start(release, plans, batch)
            if room is not None:
                room.used = len(plans)
        self._record(release, refused)
        for index, first in twins.items():
            answer = self.answers[first]
            self.answers[index] = Submitted(answer.run, is_new=False) if isinstance(answer, Submitted) else answer
        return [self.answers[index] for index in range(len(self.items))]

    def _new(self, twins: Mapping[int, int]) -> dict[int, Item]:
        return {
            index: item
            for index, item in enumerate(self.items)
            if isinstance(item, Item) and index not in self.answers and index not in twins
        }

    def _new_batch(self) -> SubmittedBatch | None:
        """The row that will stand for this call's key; None without a key, and for a call that is repeated.

        Raises:
            IdempotencyMismatch: the key was used for another batch.
        """
        if self.key is None:
            return None
        items = [[item.digest, item.key] if isinstance(item, Item) else None for item in self.items]
        digest = canonical.digest_of([self.workflow.name, self.is_partial, items])
        earlier = SubmittedBatch.objects.filter(requester=self.person, idempotency_key=self.key).first()
        if earlier is None:
            return SubmittedBatch(requester=self.person, idempotency_key=self.key, digest=digest, submitted_at=clock.db_now())
        if earlier.digest != digest:
            raise IdempotencyMismatch(f"Idempotency-Key {self.key!r} was used for another batch")
        return None

    def _answer_known(self) -> dict[int, int]:
        """Answer what is no item, and every item whose key was used before. Returns the items that repeat an earlier one of
        this batch under its key, as index -> index of that one.
        """
        keys = {item.key for item in self.items if isinstance(item, Item) and item.key}
        found = Run.objects.filter(requester=self.person, idempotency_key__in=keys) if keys else ()
        runs = {run.idempotency_key: run for run in found}
        first: dict[str, int] = {}
        twins: dict[int, int] = {}
        for index, item in enumerate(self.items):
            if isinstance(item, Refused):
                self.answers[index] = item
            elif item.key is None:
                continue
            elif run := runs.get(item.key):
                is_same = run.input_digest == item.digest and run.workflow_id == self.workflow.pk
                self.answers[index] = Submitted(run, is_new=False) if is_same else _mismatch(item.key, run.label)
            elif (earlier := first.setdefault(item.key, index)) != index:
                other = self.items[earlier]
                if isinstance(other, Item) and other.digest == item.digest:
                    twins[index] = earlier
                else:
                    self.answers[index] = _mismatch(item.key, f"item {earlier}")
        return twins

    def _plan(self, release: Release, items: Mapping[int, Item]) -> dict[int, Plan]:
        plan = starting.planner(release)
        plans: dict[int, Plan] = {}
        for index, item in items.items():
            try:
                plans[index] = plan(item)
            except InputRefused as error:
                self.answers[index] = Refused(error)
        return plans

    def _start(self, release: Release | None, plans: Mapping[int, Plan], batch: SubmittedBatch | None) -> None:
        wanted = list(plans.values())

        def work() -> list[Run]:
            if batch is not None:
                batch.save(force_insert=True)
            return starting.start(self.workflow, release, wanted, self.person, self.actor) if release and wanted else []

        runs = in_transaction(work)
        for index, run in zip(plans, runs, strict=True):
            self.answers[index] = Submitted(run, is_new=True)

    def _record(self, release: Release | None, refused: Mapping[int, AegisError]) -> None:
        """The refusal is recorded, the messages are not: they never became ours. One event for a whole batch."""
        broken = {index: error for index, error in refused.items() if isinstance(error, InputRefused)}
        if release is None or not broken:
            return
        faults = [
            (f"/{index}{fault.where}" if len(self.items) > 1 else fault.where, fault.what)
            for index, error in broken.items()
            for fault in error.faults or (Fault("", error.detail),)
        ]
        shown = [{"pointer": pointer, "fault": what} for pointer, what in faults[:RECORDED_FAULTS]]
        draft = Draft(
            "run.refused",
            self.actor,
            data={"workflow": release.workflow, "contract": release.definition.input, "faults": len(faults)},
            payloads={"faults": canonical.dump(shown)},
            outcome="refused",
        )
        context = Context(stream=f"refusals:{release.workflow}", scope="workflow", scope_id=str(release.workflow_id))
        in_transaction(lambda: journal.append(context, [draft]))


def _item(submission: Submission, made_key: str | None) -> Item | Refused:
    key = submission.idempotency_key if submission.idempotency_key is not None else made_key
    try:
        if key is not None:
            check_key(key)
        canonical.check_value(submission.payload)
    except Invalid as error:
        return Refused(error)
    body = canonical.dump(submission.payload)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        return Refused(Invalid(f"The request has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept"))
    return Item(submission.payload, body, canonical.digest(body), key, submission.parent)


def _mismatch(key: str, user: str) -> Refused:
    return Refused(IdempotencyMismatch(f"Idempotency-Key {key!r} was used for {user} with another body"))


def _joined(refused: Mapping[int, AegisError], items: int, place: Place) -> AegisError:
    """One refusal for a batch that nothing is taken of: of the first one's class, with the faults of all."""
    first = next(iter(refused.values()))
    detail = first.detail if items == 1 else f"{len(refused):,} of {items:,} items are refused, so none was submitted"
    faults = [
        Fault(place(index, fault.where), fault.what, fault.remedy) for index, error in refused.items() for fault in error.faults
    ]
    if items > 1:
        faults += [Fault(place(index, None), error.detail) for index, error in refused.items() if not error.faults]
    if len(faults) > MAX_FAULTS:
        faults = [*faults[: MAX_FAULTS - 1], Fault("", f"and {len(faults) - MAX_FAULTS + 1:,} more faults, not listed")]
    return type(first)(detail, faults=faults)
