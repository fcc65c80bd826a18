"""One index of words serves readers of the line and of the payloads: what fits the one fits the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def drop(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX IF EXISTS indexed_open", params=None)


def create(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("CREATE INDEX IF NOT EXISTS indexed_open ON audit_indexed USING gin (open)", params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0010_retained_last")]

    operations = [migrations.RunPython(drop, create)]
