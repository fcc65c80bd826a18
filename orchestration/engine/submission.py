"""Submitting work: the one door by which runs come in, singly and in batches.

The order is the promise (docs/adr/0018). What was accepted before under the same key is found first and answered as it was,
whatever has changed since: a client whose answer was lost never meets a new contract, a full backlog or a full disk by asking
again. Only what is new is held to the contract and written: run rows and first lines in one transaction, all or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Fault, IdempotencyMismatch, Invalid, Malformed
from aegis.identity.models import User
from audit import journal
from audit.drafts import Context, Draft
from orchestration.engine import starting
from orchestration.engine.models import Run
from orchestration.engine.starting import InputRefused, Item, Plan
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow
from orchestration.workflows.release import Release

__all__ = ["MAX_BATCH", "InputRefused", "Refused", "Submission", "Submitted", "submit", "submit_each", "submit_many"]

MAX_KEY_CHARS: Final = 120
MAX_BATCH: Final = 1_000  # items in one call: SQLite's writer lock is held for all of them
MAX_FAULTS: Final = 100  # told in the refusal of one batch
RECORDED_FAULTS: Final = 20

_KEY: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]*")

Place = Callable[[int], str]  # index of an item -> what the `where` of each of its faults begins with


@dataclass(frozen=True, slots=True)
class Submission:
    """One piece of work to start."""

    payload: Json
    idempotency_key: str | None = None


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
    workflow: str, submissions: Sequence[Submission], *, person: User, actor: Actor, place: Place | None = None
) -> list[Submitted]:
    """Start runs of one workflow in one transaction: all of them or none.

    Args:
        place: where the faults of an item are, by its index; "/<index>" if None, nothing for a single item.

    Raises:
        NotFound, Forbidden: the workflow is not visible to `person`, or they may not `start` it.
        InputRefused: a payload breaks the input contract.
        IdempotencyMismatch: a key was used before with another body.
        Invalid, Malformed: a payload or key is no acceptable text; more than `MAX_BATCH` items.
    """
    where = place or ("/{}".format if len(submissions) > 1 else lambda _: "")
    done = _Batch(workflow, submissions, person, actor).take(is_partial=False, place=where)
    return [answer for answer in done if isinstance(answer, Submitted)]


def submit_each(workflow: str, submissions: Sequence[Submission], *, person: User, actor: Actor) -> list[Answer]:
    """Start runs of one workflow in one transaction, leaving out what is refused. Answers in the order of the items.

    Raises:
        NotFound, Forbidden, Invalid: as `submit_many`, if they are about the call and not about one item.
    """
    return _Batch(workflow, submissions, person, actor).take(is_partial=True, place="/{}".format)


class _Batch:
    """One call: the items, and the answer of each as it becomes known."""

    def __init__(self, workflow: str, submissions: Sequence[Submission], person: User, actor: Actor) -> None:
        self.workflow = Workflow.objects.get_visible(person, "start", name=workflow)
        if len(submissions) > MAX_BATCH:
            raise Invalid(f"{len(submissions):,} items; at most {MAX_BATCH:,} are taken at once")
        self.person, self.actor = person, actor
        self.items: list[Item | Refused] = [_item(submission) for submission in submissions]
        self.answers: dict[int, Answer] = {}

    def take(self, *, is_partial: bool, place: Place) -> list[Answer]:
        try:
            return self._try(is_partial=is_partial, place=place)
        except IntegrityError:  # a key was committed between our look and our insert: look again
            return self._try(is_partial=is_partial, place=place)

    def _try(self, *, is_partial: bool, place: Place) -> list[Answer]:
        self.answers = {}
        twins = self._answer_known()
        new = {
            index: item
            for index, item in enumerate(self.items)
            if isinstance(item, Item) and index not in self.answers and index not in twins
        }
        release = releases.load(releases.release_for(self.workflow).pk) if new else None
        plans = self._plan(release, new) if release else {}
        refused = {index: answer.error for index, answer in sorted(self.answers.items()) if isinstance(answer, Refused)}
        if refused and not is_partial:
            self._record(release, refused)
            raise _joined(refused, len(self.items), place)
        if release and plans:
            self._start(release, plans)
        self._record(release, refused)
        for index, first in twins.items():
            answer = self.answers[first]
            self.answers[index] = Submitted(answer.run, is_new=False) if isinstance(answer, Submitted) else answer
        return [self.answers[index] for index in range(len(self.items))]

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

    def _start(self, release: Release, plans: Mapping[int, Plan]) -> None:
        wanted = list(plans.values())
        runs = in_transaction(lambda: starting.start(self.workflow, release, wanted, self.person, self.actor))
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


def _item(submission: Submission) -> Item | Refused:
    key = submission.idempotency_key
    if key is not None and (len(key) > MAX_KEY_CHARS or not _KEY.fullmatch(key)):
        return Refused(Invalid(f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters"))
    try:
        canonical.check_value(submission.payload)
    except Malformed as error:
        return Refused(error)
    body = canonical.dump(submission.payload)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        return Refused(Invalid(f"The request has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept"))
    return Item(submission.payload, body, canonical.digest(body), key)


def _mismatch(key: str, user: str) -> Refused:
    return Refused(IdempotencyMismatch(f"Idempotency-Key {key!r} was used for {user} with another body"))


def _joined(refused: Mapping[int, AegisError], items: int, place: Place) -> AegisError:
    """One refusal for a batch that nothing is taken of: of the first one's class, with the faults of all."""
    first = next(iter(refused.values()))
    detail = first.detail if items == 1 else f"{len(refused):,} of {items:,} items are refused, so none was submitted"
    faults = [
        Fault(f"{place(index)}{fault.where}", fault.what, fault.remedy)
        for index, error in refused.items()
        for fault in error.faults or ([Fault("", error.detail)] if items > 1 else [])
    ]
    if len(faults) > MAX_FAULTS:
        faults = [*faults[: MAX_FAULTS - 1], Fault("", f"and {len(faults) - MAX_FAULTS + 1:,} more faults, not listed")]
    return type(first)(detail, faults=faults)
