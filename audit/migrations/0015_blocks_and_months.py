"""The index of words knows the block of positions of each row: so a search passes over what is older or newer. Counts are kept
by month too, made here from those by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations

from audit.index import tables

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


_MONTH = {
    "postgresql": "date_trunc('month', start AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
    "sqlite": "strftime('%Y-%m-01 00:00:00', start)",
}
_KEY = "scope, scope_id, dimension, value"


def count_months(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    editor.execute(
        f"INSERT INTO audit_tally (grain, start, {_KEY}, count, bad)"
        f" SELECT 'm', {_MONTH[editor.connection.vendor]} AS month, {_KEY}, SUM(count), SUM(bad)"
        f" FROM audit_tally WHERE grain = 'd' GROUP BY month, {_KEY}",
        params=None,
    )


def forget_months(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    editor.execute("DELETE FROM audit_tally WHERE grain = 'm'", params=None)


def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        for statement in (*tables.DROP["postgresql"], *tables.CREATE["postgresql"]):
            editor.execute(statement, params=None)


def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX IF EXISTS indexed_whole", params=None)
        editor.execute("CREATE INDEX indexed_whole ON audit_indexed USING gin (whole)", params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0014_series_keep_their_sums")]

    operations = [migrations.RunPython(forwards, backwards), migrations.RunPython(count_months, forget_months)]
