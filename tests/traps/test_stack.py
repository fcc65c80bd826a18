"""Traps of the libraries we stand on (HAZARDS 3): those that no other test is named after."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.db.utils import DatabaseError
from django_q.models import Task
from picklefield.fields import PickledObjectField

from aegis.core.kinds import all_kinds
from approvals.governed import DocumentKind
from tests.permissions.matrix import Matrix

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("aegis", "audit", "approvals", "orchestration")
#: Modules that make code or objects from bytes, and calls that do.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal", "jinja2", "cloudpickle"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_NAMES = UNSAFE_MODULES | {"import_string", "mark_safe"}
WRITES_PAST_HISTORY = {"update", "bulk_update", "bulk_create", "aupdate", "abulk_update", "abulk_create"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The product without its migrations."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in file.parts:
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def root_of(node: ast.expr) -> str:
    """The name a chain of calls begins with: "Agent" of `Agent.objects.filter(...).update(...)`."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.django_db
def test_t4_no_list_offers_rows_of_another_model() -> None:
    """A filter or a field that lists related rows would show names of what may not be seen."""
    assert admin.site._registry
    for model, mounted in admin.site._registry.items():
        for filtered in mounted.list_filter:
            assert isinstance(filtered, str), (model, filtered)
            assert not model._meta.get_field(filtered).is_relation, (model, filtered)
        assert not mounted.autocomplete_fields, model
        assert not mounted.raw_id_fields, model
        assert not mounted.inlines, model


@pytest.mark.django_db
def test_t4_there_is_no_autocomplete(admin_of_all: Any) -> None:
    address = "/autocomplete/?app_label=orchestration&model_name=agent&field_name=owner"
    assert admin_of_all.get(address).status_code == 404


@pytest.mark.django_db
def test_t5_no_field_of_a_row_filters_its_list(matrix: Matrix) -> None:
    """Letter by letter, a filter tells what a page hides: each lookup is refused alike, whatever it would find."""
    from tests.permissions.matrix import Case

    for model, mounted in admin.site._registry.items():
        path = f"/{model._meta.app_label}/{model._meta.model_name}/"
        case = Case(path, "GET", "auditor", "own")
        for field in model._meta.get_fields():
            for lookup in ("", "__startswith", "__gt", "__isnull", "__in", "__id"):
                name = f"{field.name}{lookup}"
                if name in mounted.filter_lookups:
                    continue
                told = {matrix.ask(case, "-", f"{path}?{name}={value}").status for value in ("a", "1")}
                assert told <= {302, 400}, f"{path}?{name} is answered with {told}"


@pytest.mark.django_db
def test_t5_lists_of_the_api_read_no_parameter_named_after_a_field(matrix: Matrix) -> None:
    """What hides (documents, secrets, names of people) is no parameter: the answer does not depend on it."""
    from tests.permissions.matrix import Case

    lists = [path for path, entry in matrix.entries.items() if entry["door"] == "api" and entry["shape"] == "list"]
    assert len(lists) >= 5
    for path in lists:
        case = Case(path, "GET", "auditor", "own")
        plain = _without_clock(matrix.ask(case, "-", path).content)
        for name in ("document__contains", "secret_digest__startswith", "requester__password__startswith", "state__contains"):
            asked = matrix.ask(case, "-", f"{path}?{name}=zz")
            assert asked.status in (400, 422) or _without_clock(asked.content) == plain, f"{path}?{name}"


def _without_clock(content: bytes) -> bytes:
    """How far behind the search is grows with time, between any two answers."""
    return re.sub(rb'"seconds_behind":\s*[0-9.]+', b"", content)


def test_t12_nothing_is_made_from_bytes_of_a_row() -> None:
    found = []
    for where, tree in modules():
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0], *(alias.name for alias in node.names)]
            found += [f"{where}: {name}" for name in names if name in UNSAFE_NAMES]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
                found.append(f"{where}:{node.lineno}: {node.func.id}")
    assert found == [], "only text is read from rows; whatever needs this says here why"


def test_t12_no_row_of_ours_holds_a_pickle_and_the_queue_keeps_none() -> None:
    assert settings.Q_CLUSTER["save_limit"] == -1
    assert any(isinstance(field, PickledObjectField) for field in Task._meta.get_fields()), "the look finds what there is"
    ours: list[type[Model]] = [model for model in apps.get_models() if model.__module__.split(".")[0] in ROOMS]
    assert len(ours) > 30
    assert [model for model in ours for field in model._meta.get_fields() if isinstance(field, PickledObjectField)] == []


def test_t16_nothing_writes_governed_rows_past_their_history() -> None:
    """simple-history sees neither `queryset.update` nor the bulk verbs; documents change through change control alone."""
    governed = {kind.model.__name__ for kind in all_kinds() if isinstance(kind, DocumentKind)}
    assert {"Agent", "Workflow", "Role", "FloorLock", "Capability"} <= governed
    found = [
        f"{where}:{node.lineno}"
        for where, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES_PAST_HISTORY
        and root_of(node.func) in governed
    ]
    assert found == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET line = line",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event CASCADE",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE audit_event CASCADE",
    ],
)
def test_t15_a_role_that_may_read_and_add_can_do_nothing_else_to_the_journal(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS aegis_trap_runtime")
        cursor.execute("CREATE ROLE aegis_trap_runtime NOLOGIN")
        cursor.execute("GRANT SELECT, INSERT ON audit_event TO aegis_trap_runtime")
        cursor.execute("SET ROLE aegis_trap_runtime")
        try:
            cursor.execute("SELECT count(*) FROM audit_event")
            with pytest.raises(DatabaseError, match=r"permission denied|must be owner"):
                cursor.execute(statement)
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP OWNED BY aegis_trap_runtime")
            cursor.execute("DROP ROLE aegis_trap_runtime")
