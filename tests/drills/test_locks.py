"""Every way round a floor lock that we know: by documents, by whoever asks, on the command line, by SQL without its guards.

After each of them an agent with an `allow` tries the locked capability, in a process that has loaded no matrix yet. The lock
holds (a gate, or nothing at all), and what was done past change control is told by `journal verify`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from aegis.core import canonical
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError
from aegis.core.kinds import document_key
from aegis.identity import authority
from aegis.identity.models import User
from approvals import changes
from approvals.models import ApprovalPolicy, ChangeSet
from audit import journal, triggers
from audit.models import Event
from orchestration.authority import guards, live
from orchestration.authority.models import FloorLock, MatrixVersion
from orchestration.engine.models import Run
from tests.engine import house
from tests.engine.house import document

pytestmark = pytest.mark.django_db(transaction=True)

LOCK = document(
    "FloorLock",
    "law-1",
    {"capability": "note.write", "policy": "leads", "kind": "law", "basis": "Art. 1", "owner": "Support leads"},
)
ENDING = document("FloorLock", "law-2", {"ends": "law-1", "basis": "no longer needed", "owner": "Support leads"})
WEAK = {"stages": [{"groups": ["Support operators", "Support leads"], "quorum": 1}], "deadline": "1h"}
FAST = {"stages": [{"groups": ["Support leads"], "quorum": 1}], "deadline": "1h", "fast_path": "true"}
ALLOW = {"capability": "note.write", "effect": "allow"}
Way = Callable[[], None]


@pytest.fixture(autouse=True)
def standing(person: Callable[..., User], ada: User, sam: User, olivia: User, root: User) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")
    config = document(
        "ApprovalPolicy", "config-change", {"stages": [{"groups": ["Support leads"], "quorum": 2}], "deadline": "1h"}
    )
    house.answers.clear()
    house.answers["write"] = house.Done({"note": house.NOTE})
    house.bootstrap([*house.documents(effect="allow"), config, LOCK])


@pytest.fixture
def attempt(sam: User) -> Callable[[], str]:
    """What the matrix answers an agent that tries, and that nothing happened: "gated" or "denied"."""

    def make() -> str:
        live._loaded.cache_clear()  # a process that starts now
        run = house.submit(sam)
        house.drive(run)
        assert not Event.objects.filter(run_id=run.pk, type__in=("effect.done", "effect.intended")).exists()
        assert run.status in (Run.Status.WAITING_DECISION, Run.Status.WAITING_REVIEW)
        return str(Event.objects.filter(run_id=run.pk, type="verdict.given").values_list("outcome", flat=True).last())

    return make


def test_the_lock_raises_an_allow_and_without_it_the_effect_goes_out(attempt: Any, sam: User) -> None:
    assert attempt() == "gated"

    past_guards("DELETE FROM orchestration_floorlock")
    with pytest.MonkeyPatch.context() as planted:  # a build that believes the rows of locks, whatever they are
        planted.setattr(live.trail, "applied", lambda kind: {})
        compile_again()
    run = house.submit(sam, {"id": "n-2"})
    house.drive(run)
    assert Event.objects.filter(run_id=run.pk, type="effect.done").exists()


@pytest.mark.parametrize(
    "documents",
    [
        [{**LOCK, "spec": {**LOCK["spec"], "kind": "business"}}],
        [ENDING],
        [document("ApprovalPolicy", "leads", WEAK)],
        [document("ApprovalPolicy", "leads", FAST)],
        [document("Role", "clerk", {"people": False, "grants": [ALLOW]}, title="New")],
    ],
    ids=["changed", "ended", "policy of others", "policy with a fast path", "allowed again"],
)  # fmt: skip
@pytest.mark.parametrize("who", ["ada", "root"])
def test_no_document_of_one_person_lifts_it(who: str, documents: list[Any], attempt: Any, tmp_path: Path) -> None:
    author = User.objects.get(username=who)
    before = live.compile_document()["locks"]
    try:
        made = changes.propose(
            [(document_key(one), one) for one in documents], author=author, actor=house.actor_for(author), reason="a try"
        )
        assert made.status == ChangeSet.Status.PROPOSED or live.compile_document()["locks"] == before
    except AegisError:
        pass
    file = tmp_path / "way.yaml"
    file.write_text("\n---\n".join(json.dumps(one) for one in documents))
    refused: Any = pytest.raises(SystemExit) if who == "root" else suppress(SystemExit)
    with refused:
        call_command("aegis", "apply", str(file), "--as", who, "--reason", "a try", stdout=io.StringIO(), stderr=io.StringIO())
    with refused:
        call_command("aegis", "apply", str(file), "--bootstrap", stdout=io.StringIO(), stderr=io.StringIO())

    assert attempt() == "gated"


@pytest.mark.parametrize("kind", ["FloorLock", "Capability", "ApprovalPolicy"])
def test_neither_the_lock_nor_what_it_stands_on_is_removed(kind: str, ada: User, attempt: Any) -> None:
    name = {"FloorLock": "law-1", "Capability": "note.write", "ApprovalPolicy": "leads"}[kind]
    with pytest.raises(AegisError):
        changes.propose(
            [(document_key(document(kind, name, {})), None)], author=ada, actor=house.actor_for(ada), reason="a try"
        )
    assert attempt() == "gated"


@pytest.mark.parametrize("table", ["orchestration_floorlock", "orchestration_matrixversion"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET document = '{{}}'", "DELETE FROM {}"])
def test_the_tables_refuse_to_forget(statement: str, table: str, attempt: Any) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))
    assert attempt() == "gated"


def without_lock(number: int) -> MatrixVersion:
    """The newest matrix with its lock taken out, as somebody with SQL would write it."""
    newest = MatrixVersion.objects.latest("number")
    body = canonical.dump({**canonical.parse(newest.document), "locks": {}})
    return MatrixVersion(number=number, digest=canonical.digest(body), document=body.decode(), created_at=newest.created_at)


def a_new_version() -> None:
    without_lock(MatrixVersion.objects.latest("number").number + 1).save(force_insert=True)


def the_version_that_stands() -> None:
    forged = without_lock(1)
    past_guards("UPDATE orchestration_matrixversion SET document = %s", [forged.document])


def the_version_and_its_digest() -> None:
    forged = without_lock(1)
    past_guards("UPDATE orchestration_matrixversion SET document = %s, digest = %s", [forged.document, forged.digest])


def a_lock_that_ends_it() -> None:
    row = FloorLock.objects.get()
    body = canonical.dump(ENDING)
    FloorLock.objects.create(name="law-2", document=body.decode(), digest=canonical.digest(body), updated_at=row.updated_at)
    compile_again()


def the_row_of_the_lock() -> None:
    past_guards("DELETE FROM orchestration_floorlock")
    compile_again()


def the_lock_of_something_else() -> None:
    body = canonical.dump({**LOCK, "spec": {**LOCK["spec"], "capability": "note.other"}})
    past_guards("UPDATE orchestration_floorlock SET document = %s, digest = %s", [body.decode(), canonical.digest(body)])
    compile_again()


def the_policy_it_names() -> None:
    body = canonical.dump(document("ApprovalPolicy", "leads", WEAK))
    ApprovalPolicy.objects.filter(name="leads").update(document=body.decode(), digest=canonical.digest(body))
    compile_again()


@pytest.mark.parametrize(
    ("way", "answer"),
    [
        (a_new_version, "denied"),
        (the_version_that_stands, "denied"),
        (the_version_and_its_digest, "denied"),
        (a_lock_that_ends_it, "gated"),
        (the_row_of_the_lock, "gated"),
        (the_lock_of_something_else, "gated"),
        (the_policy_it_names, "denied"),
    ],
)
def test_no_sql_lifts_it_and_the_verifier_tells(way: Way, answer: str, attempt: Any) -> None:
    assert journal.verify().problems == []

    way()

    assert attempt() == answer
    assert "matrix" in {problem.check for problem in journal.verify().problems}


def past_guards(statement: str, values: Any = ()) -> None:
    """SQL of somebody who owns the database: the triggers are taken away and put back."""
    with connection.cursor() as cursor:
        for guard in guards.ALL:
            for dropping in triggers.dropping(guard, connection.vendor):
                cursor.execute(dropping)
        cursor.execute(statement, values)
    triggers.restore()


def compile_again() -> None:
    """The next change that touches the matrix, whatever it is about."""

    def work() -> None:
        authority.raise_epoch()
        live.compile_and_store(actor=SYSTEM)

    in_transaction(work)
