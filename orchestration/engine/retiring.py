"""Retiring a version of a workflow, as a change of configuration like every other; and which versions there are."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from aegis.core.actors import Actor
from aegis.core.kinds import document_key
from aegis.identity.models import User
from approvals import changes
from approvals.models import ChangeSet
from orchestration.engine.models import Run
from orchestration.engine.retired_kind import document_of
from orchestration.workflows.models import Workflow


def retire_version(workflow: str, version: int, *, person: User, actor: Actor, reason: str) -> ChangeSet:
    """Propose, through change control, that no new run starts on a version.

    For good: who wants it again publishes its text as a new version.

    Returns:
        the change set: applied, or waiting for others where the workflow is under dual control.

    Raises:
        NotFound, Forbidden: the workflow is not visible, or the person may not `edit` it.
        ChangeInvalid: there is no such version; it is the current one, and the workflow is not halted.
        NothingToChange: it was retired before. ReasonMissing; GuardedChange, NobodyEligible as `changes.propose`.
    """
    row = Workflow.objects.get_visible(person, "edit", name=workflow)
    document = document_of(row.name, version)
    return changes.propose([(document_key(document), document)], author=person, actor=actor, reason=reason)


@dataclass(frozen=True, slots=True)
class Version:
    """A version for the page of its workflow."""

    number: int
    is_current: bool
    is_retired: bool
    under_way: int


def versions_of(row: Workflow, limit: int = 10) -> list[Version]:
    """The newest versions, and older ones that runs are still under way on. One query."""
    going = Run.objects.filter(workflow=row, ended_at__isnull=True).order_by().values_list("release__version")
    under_way = dict(going.annotate(count=Count("id")))
    newest = range(row.version, max(row.version - limit, 0), -1)
    numbers = [*newest, *sorted((number for number in under_way if number not in newest), reverse=True)]
    return [
        Version(number, number == row.version, number in row.retired_versions, under_way.get(number, 0)) for number in numbers
    ]
