"""The list of runs over all its pages is what an oracle over plain rows says: nothing twice, missing or hidden."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from django.db import transaction
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis.core import clock
from aegis.identity.models import User
from orchestration.engine.models import Run
from orchestration.pages import runlist
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow, WorkflowRelease
from tests.engine import house

pytestmark = pytest.mark.django_db

STATUSES = ("running", "waiting_decision", "failed", "completed")
KEYS = ("a-1", "a-2", "b-1")
PART_SHOWN = {"failed", "waiting_decision"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row: few values of each, so that moments and keys meet."""

    workflow: str
    status: str
    priority: int
    key: str
    minutes_ago: int
    is_part: bool


ROWS = st.lists(
    st.builds(
        Drawn,
        workflow=st.sampled_from(["notes", "secret"]),
        status=st.sampled_from(STATUSES),
        priority=st.integers(1, 3),
        key=st.sampled_from(KEYS),
        minutes_ago=st.sampled_from([1, 2, 3, 60 * 30]),
        is_part=st.booleans(),
    ),
    max_size=14,
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([*STATUSES, "open"]),
        "workflow": st.sampled_from(["notes", "secret"]),
        "priority": st.sampled_from(["1", "2", "9"]),
        "day": st.sampled_from(["started", "ended"]),
        "q": st.sampled_from(["a", "a-1", "zz"]),
    },
)


@pytest.fixture
def reader(person: Callable[..., User], sam: User, ada: User) -> User:
    """sam sees `notes`, and does not know of `secret`."""
    person("oz", "Others")
    documents = house.documents()
    secret = copy.deepcopy(documents[-1])
    secret["metadata"] |= {"name": "secret", "owner": "Others"}
    house.bootstrap([*documents, secret])
    return sam


def stored(rows: list[Drawn]) -> dict[UUID, Drawn]:
    now = clock.now()
    flows = {flow.name: flow for flow in Workflow.objects.all()}
    of_flow = {name: WorkflowRelease.objects.get(pk=releases.release_for(flow).pk) for name, flow in flows.items()}
    above = Run(
        **_fields("notes", flows, of_flow), business_key="above", submitted_at=now - timedelta(days=9), status="running"
    )
    above.save()
    found = {}
    for number, row in enumerate(rows):
        at = now - timedelta(minutes=row.minutes_ago)
        # Ids in no order of time: of two of one moment, the greater id comes first.
        pk = UUID(bytes=hashlib.md5(str(number).encode(), usedforsecurity=False).digest())
        Run.objects.create(
            **_fields(row.workflow, flows, of_flow), pk=pk, business_key=row.key, status=row.status, priority=row.priority,
            submitted_at=at, ended_at=at if row.status in Run.TERMINAL else None, parent=above if row.is_part else None,
            ordinal=number,
        )  # fmt: skip
        found[pk] = row
    return found


def _fields(name: str, flows: dict[str, Workflow], of_flow: dict[str, WorkflowRelease]) -> dict[str, Any]:
    return {"workflow": flows[name], "release": of_flow[name], "state": "{}", "input_digest": "0" * 64}


def wanted(rows: dict[UUID, Drawn], asked: dict[str, str]) -> list[UUID]:
    """The oracle: what is promised, row by row, in the order that the page says."""

    def is_listed(row: Drawn) -> bool:
        has_ended = row.status in Run.TERMINAL
        status, day = asked.get("status"), asked.get("day")
        return (
            row.workflow == "notes" == asked.get("workflow", "notes")
            and (not status or (not has_ended if status == "open" else row.status == status))
            and (asked.get("priority") in (None, "9") or str(row.priority) == asked["priority"])  # 9 is no tier: no filter
            and (not day or (row.minutes_ago < 24 * 60 and (day == "started" or has_ended)))
            and row.key.startswith(asked.get("q", ""))
            and (not row.is_part or "q" in asked or status in PART_SHOWN)
        )

    listed = [pk for pk, row in rows.items() if is_listed(row)]
    return sorted(listed, key=lambda pk: (-rows[pk].minutes_ago, pk.int), reverse=True)


def walked(user: User, asked: dict[str, str]) -> list[UUID]:
    """Every page, as its links lead."""
    found: list[UUID] = []
    query = QueryDict(mutable=True)
    query.update(asked)
    for _ in range(20):
        page = runlist.page(user, runlist.Filters.of(query.dict()))
        found += [row.run.pk for row in page.rows if row.run.business_key != "above"]
        if not page.older:
            return found
        query = QueryDict(mutable=True)
        query.update(dict(parse_qsl(page.older.lstrip("?"))))
    raise AssertionError("the pages do not end")


@given(rows=ROWS, asked=ASKED)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_pages_together_are_what_the_rows_say(
    reader: User, monkeypatch: pytest.MonkeyPatch, rows: list[Drawn], asked: dict[str, str]
) -> None:
    monkeypatch.setattr(runlist, "PAGE_SIZE", 3)
    with transaction.atomic():
        known = stored(rows)
        found = walked(reader, asked)
        transaction.set_rollback(True)

    assert found == wanted(known, asked)
