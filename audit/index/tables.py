"""What migrations cannot say with models: GIN indexes on PostgreSQL, an FTS5 table kept by triggers on SQLite.

The FTS table holds no text of its own (external content): it reads `audit_indexed`, and the triggers, which see every write
(a test's emptying too), keep both together. Words are written apart by spaces and hold letters and digits only, or signs
beyond ASCII; the tokenizer `ascii` takes them as they are, so both databases find by the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import migrations

from audit.triggers import Feeding

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: Positions of one block; the GIN index knows the block of each row beside its words (store._by_blocks).
BLOCK: Final = 16_384

_DELETE = "INSERT INTO audit_words (audit_words, rowid, open, whole) VALUES ('delete', old.position, old.open, old.whole);"
_INSERT = "INSERT INTO audit_words (rowid, open, whole) VALUES (new.position, new.open, new.whole);"

#: On SQLite, and watched over like the guards of the record: whoever takes one away hides from the search what comes after.
FEEDING: Final = Feeding(
    "audit_indexed",
    {
        "audit_indexed_added": f"CREATE TRIGGER audit_indexed_added AFTER INSERT ON audit_indexed BEGIN {_INSERT} END",
        "audit_indexed_removed": f"CREATE TRIGGER audit_indexed_removed AFTER DELETE ON audit_indexed BEGIN {_DELETE} END",
        "audit_indexed_emptied": (
            f"CREATE TRIGGER audit_indexed_emptied AFTER UPDATE OF open, whole ON audit_indexed BEGIN {_DELETE} {_INSERT} END"
        ),
    },
    refill="INSERT INTO audit_words (audit_words) VALUES ('rebuild')",
    migration=("audit", "0007_search_index"),
)

CREATE: Final = {
    "postgresql": (
        # Over the words of the payloads too: who may search the line only is held to `open` row by row (store._text).
        f"CREATE INDEX indexed_whole ON audit_indexed USING gin (whole, (ARRAY[position / {BLOCK}]))",
        # How frequent a word is decides which way a search goes (store.newest); the default knows a hundred words.
        "ALTER TABLE audit_indexed ALTER COLUMN open SET STATISTICS 500, ALTER COLUMN whole SET STATISTICS 500",
    ),
    "sqlite": (
        "CREATE VIRTUAL TABLE audit_words USING fts5"
        " (open, whole, content='audit_indexed', content_rowid='position', tokenize='ascii', detail='column')",
        *FEEDING.triggers.values(),
    ),
}
DROP: Final = {
    "postgresql": ("DROP INDEX IF EXISTS indexed_open", "DROP INDEX IF EXISTS indexed_whole"),
    "sqlite": (
        *(f"DROP TRIGGER IF EXISTS {name}" for name in FEEDING.triggers),
        "DROP TABLE IF EXISTS audit_words",
    ),
}


def install() -> migrations.RunPython:
    """The migration operation; reversible. A later migration that alters `audit_indexed` on SQLite ends with it again."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        _run(editor, (*DROP[editor.connection.vendor], *CREATE[editor.connection.vendor]))

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        _run(editor, DROP[editor.connection.vendor])

    return migrations.RunPython(forwards, backwards)


def _run(editor: BaseDatabaseSchemaEditor, statements: tuple[str, ...]) -> None:
    for statement in statements:
        editor.execute(statement, params=None)
