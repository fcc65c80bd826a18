"""The live matrix: compiled from configuration rows when they change, stored as a numbered version, loaded once per process.

Whatever changes roles, capabilities, locks, policies or agents calls `compile_and_store` in its own transaction, under the
exclusive authority lock; an equal matrix makes no new version. Readers call `current`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from django.db import connection

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.identity.authority import hold_shared
from aegis.identity.models import User
from approvals import trail
from approvals.models import ApprovalPolicy, Governed
from audit import journal
from audit.drafts import Context, Draft
from audit.models import Event
from audit.problems import Problem
from orchestration.agents.models import Agent
from orchestration.authority.limits import declared
from orchestration.authority.lookups import ended_locks
from orchestration.authority.matrix import EMPTY, Matrix, load
from orchestration.authority.models import Capability, FloorLock, MatrixVersion, Role
from orchestration.authority.overlays import capability_entry, role_entry
from orchestration.authority.rules import rules_of
from orchestration.authority.verdicts import Principal

#: Kinds whose change makes a new matrix.
KINDS: Final = frozenset({"Capability", "Role", "FloorLock", "ApprovalPolicy", "Agent"})
STREAM: Final = "config:Matrix"
log = structlog.get_logger(__name__)

_CACHED = 8  # matrices a process keeps; two are in use while a change spreads


class Current(NamedTuple):
    """The matrix that stands, and the authority epoch it was read under."""

    epoch: int
    matrix: Matrix


def current() -> Current:
    """The live matrix. One query when this process has loaded it before, two when not; safe to call from any thread.

    Epoch and version come from one statement, so they belong together; a commit that finds another epoch computes again.
    """
    # Raw, because every turn of every run asks: the ORM takes five times as long to build it as the database to answer.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.epoch, m.number, m.digest FROM identity_authorityepoch a LEFT JOIN orchestration_matrixversion m"
            " ON m.number = (SELECT max(number) FROM orchestration_matrixversion) WHERE a.id = 1"
        )
        row = cursor.fetchone()
    if row is None:
        return Current(0, EMPTY)
    epoch, number, digest = row
    return Current(epoch, EMPTY if number is None else _loaded(number, digest))


def version(number: int) -> Matrix:
    """A matrix as it stood: what a verifier computes a recorded verdict from.

    Raises:
        MatrixVersion.DoesNotExist
    """
    if number == 0:
        return EMPTY
    return _loaded(number, MatrixVersion.objects.values_list("digest", flat=True).get(number=number))


def on_applied(kinds: set[str], change_id: UUID) -> None:
    """Change control's hook: a change set was written."""
    if kinds & KINDS:
        compile_and_store(actor=SYSTEM, cause=f"change:{change_id}")


def compile_and_store(*, actor: Actor, cause: str = "") -> MatrixVersion | None:
    """Compile the rows as this transaction sees them; None if that is the matrix that stands already.

    The caller holds the authority lock exclusively (`raise_epoch`), so numbers have no gaps and no doubles.

    Args:
        cause: what led to it ("change:<id>").
    """
    document = compile_document()
    body = canonical.dump(document)
    digest = canonical.digest(body)
    newest = MatrixVersion.objects.order_by("-number").first()
    if newest is not None and newest.digest == digest:
        return None
    _read(body.decode(), 0)  # a matrix that cannot be loaded must not be stored
    row = MatrixVersion.objects.create(
        number=newest.number + 1 if newest else 1, digest=digest, document=body.decode(), created_at=clock.db_now()
    )
    data: dict[str, Json] = {
        "number": row.number,
        "digest": digest,
        **{name: len(document[name]) for name in ("capabilities", "roles", "locks", "agents")},
    }
    journal.append(
        Context(stream=STREAM, scope="access"), [Draft("matrix.compiled", actor, data=data, cause=cause, matrix=row.number)]
    )
    return row


def compile_document() -> Json:
    """The matrix document of the rows as they are (shape: `orchestration.authority.matrix`). Seven queries."""
    return {
        "v": 1,
        "capabilities": {
            row.name: capability_entry(canonical.parse(row.document), row.digest) for row in Capability.objects.all()
        },
        "roles": {row.name: role_entry(canonical.parse(row.document)) for row in Role.objects.all()},
        "locks": _locks(),
        "policies": {row.name: rules_of(canonical.parse(row.document)) for row in ApprovalPolicy.objects.all()},
        "agents": {
            str(row.pk): {"name": row.name, "roles": sorted(spec["roles"]), "enabled": row.is_enabled, **declared(spec)}
            for row, spec in ((row, _spec(row)) for row in Agent.objects.all())
        },
    }


def _locks() -> Json:
    """The locks that stand. Rows that are not what change control applied (one was taken away, or one added that ends another)
    say nothing: then those of the matrix that stands go on."""
    rows = list(FloorLock.objects.all())
    if trail.applied(FloorLock.__name__) != {row.name: canonical.digest(row.document.encode()) for row in rows}:
        log.error("locks_altered")
        newest = MatrixVersion.objects.order_by("-number").first()
        return canonical.parse(newest.document, max_bytes=len(newest.document.encode()))["locks"] if newest else {}
    locks = {row.name: (row, _spec(row)) for row in rows}
    ended = ended_locks({name: {"spec": spec} for name, (_, spec) in locks.items()})
    return {
        name: {
            "capability": spec["capability"],
            "policy": spec["policy"],
            "kind": spec["kind"],
            "floor": canonical.parse(row.floor) if row.floor else None,
        }
        for name, (row, spec) in locks.items()
        if "capability" in spec and name not in ended
    }


def person_principal(user_id: UUID | str | None) -> Principal:
    """A person as the matrix knows one: the groups he is in now; none if he is disabled or unknown."""
    if user_id is None:
        return Principal("user", "")
    names = User.groups.through.objects.filter(user_id=UUID(str(user_id)), user__is_active=True).values_list(
        "group__name", flat=True
    )
    groups = tuple(sorted(names))
    return Principal("user", str(user_id), groups)


def requester_fact(user_id: UUID | str | None) -> Mapping[str, Json]:
    """The fact `requester` for conditions. Read it after the epoch, in the turn that asks: groups change under the epoch."""
    if user_id is None:
        return {}
    principal = person_principal(user_id)
    return {"id": principal.ref, "roles": list(principal.roles)}


def problems(stream: str | None) -> list[Problem]:
    """What `journal verify` asks: is the matrix that stands the one its rows make, and the one its digest says?"""
    if stream not in (None, STREAM):
        return []

    def work() -> list[Problem]:
        hold_shared()  # nobody changes rows while they are compared
        newest = MatrixVersion.objects.order_by("-number").first()
        if newest is None:
            return []
        found = []
        if canonical.digest(newest.document.encode()) != newest.digest:
            found.append(f"matrix version {newest.number} is not what its digest says")
        if not _is_on_record(newest.number, newest.digest):
            found.append(f"matrix version {newest.number} is not one that the journal tells of")
        found += [f"{key} is not what change control applied last" for key in trail.unrecorded(KINDS)]
        if canonical.digest_of(compile_document()) != newest.digest:
            found.append(f"matrix version {newest.number} is not what roles, capabilities, locks, policies and agents make")
        return [Problem("matrix", STREAM, 0, why) for why in found]

    return in_transaction(work)


@lru_cache(maxsize=_CACHED)
def _loaded(number: int, digest: str) -> Matrix:
    # The digest is part of the key: after a restore, or a rolled-back change, the same number may stand for other rows.
    row = MatrixVersion.objects.get(number=number, digest=digest)
    if canonical.digest(row.document.encode()) != digest or not _is_on_record(number, digest):
        log.error("matrix_altered", number=number)
        return replace(_readable(row.document, number), is_on_record=False)
    return _read(row.document, number)


def _is_on_record(number: int, digest: str) -> bool:
    """Does the journal tell of this version? A line made up along with a row breaks the chain, which `journal verify` finds."""
    told = Event.objects.filter(stream=STREAM, type="matrix.compiled", line__contains=f'"digest":"{digest}"')
    return any(canonical.parse(line)["data"]["number"] == number for line in told.values_list("line", flat=True))


def _readable(text: str, number: int) -> Matrix:
    """What can be read of it: a run that is denied should say so at the effect, and not stumble before."""
    try:
        return _read(text, number)
    except Exception:  # whatever somebody wrote there
        return replace(EMPTY, number=number)


def _read(text: str, number: int) -> Matrix:
    return load(canonical.parse(text, max_bytes=len(text.encode())), number=number)


def _spec(row: Governed) -> Json:
    return canonical.parse(row.document)["spec"]
