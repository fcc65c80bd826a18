"""Asking the index: the newest positions that fit, whichever database it is. Plain SQL where the ORM cannot say the way to go.

SQLite: FTS5 gives the rows of a text newest first by itself, whatever the words; the other conditions are asked of each.

PostgreSQL: a GIN index gives all hits of a text before the newest can be picked, which for words in every twentieth event of
five million is a million comparisons for one page (`docs/speed.md`). So, by what its statistics expect: few hits: GIN, then
sort. Many: walk from the newest row back and look into each; if the hits on the way turn out too thin to fill a page within
`WALK_MOST` rows, GIN for as many blocks of positions as should fill it, then for twice as many, at last for the rest. The index
knows the block of each row (`tables.BLOCK`), so it passes over what is older or newer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, FloatField, Func, Q, TextField, Value
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.fields import BooleanField

from audit.index.models import IndexedQuerySet
from audit.index.tables import BLOCK
from audit.index.words import Term, as_match, as_tsquery

#: With fewer hits expected the index is asked first: so many rows are fetched and sorted within a few milliseconds.
FEW: Final = 500
WALK_FIRST: Final = 10_000
WALK_MOST: Final = 100_000
BLOCKS_MOST: Final = 128  # asked for at once: of more, GIN is no faster than of all
#: From so many wanted rows on it is worth that GIN reads all that begins as somebody typed.
MANY: Final = 1_000

Row = tuple[Any, ...]


class Fits(Func):
    """`column @@ query`, which may be answered by GIN."""

    output_field = BooleanField()
    template = "%(expressions)s"
    arg_joiner = " @@ "


class FitsSeen(Func):
    """The same of a row at hand: a function, which no index answers."""

    output_field = BooleanField()
    function = "ts_match_vq"


class InBlocks(Func):
    """Is a row in one of these blocks of positions? In the words of the index (`tables.CREATE`)."""

    output_field = BooleanField()
    template = "ARRAY[position / %(block)s] && %(expressions)s::bigint[]"

    def __init__(self, blocks: range) -> None:
        super().__init__(Value(list(blocks)), block=BLOCK)


class TsQuery(Func):
    template = "%(expressions)s::tsquery"
    output_field = TextField()


class Epoch(Func):
    output_field = FloatField()
    function = "date_part"
    template = "%(function)s('epoch', %(expressions)s)"


def newest(
    rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, *, limit: int, columns: Sequence[str] = ("position",)
) -> list[Row]:
    """Columns of the newest rows that fit, at most `limit`, newest first. They are as the driver brings them, for ten
    thousand are counted for one page: a moment is one of `as_read`.

    Args:
        rows: narrowed by everything but the text.
        closed: rows of which the reader may search the line only; None if there are none.
    """
    if not terms:
        return _read(rows.order_by("-position"), columns, limit)
    if connection.vendor == "postgresql":
        return _pg_newest(rows, terms, closed, columns, limit)
    return _sqlite_newest(rows, terms, closed, columns, limit)


def as_read(moment: datetime) -> float | datetime:
    """A moment as `newest` brings it, to compare with. Reading ten thousand with their zones takes longer than finding them:
    PostgreSQL sends seconds since 1970 (doubles hold their microseconds), SQLite a time without a zone, which is UTC."""
    return moment.timestamp() if connection.vendor == "postgresql" else moment.astimezone(UTC).replace(tzinfo=None)


def _as_sent(column: str) -> str | Func:
    return Epoch(column) if column == "at" and connection.vendor == "postgresql" else column


def _read(rows: IndexedQuerySet, columns: Sequence[str], limit: int) -> list[Row]:
    try:
        sql, params = rows.values_list(*map(_as_sent, columns))[:limit].query.sql_with_params()
    except EmptyResultSet:  # the ORM knows without asking that nothing fits
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found: list[Row] = cursor.fetchall()
    return found


def _sqlite_newest(
    rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, columns: Sequence[str], limit: int
) -> list[Row]:
    here = rows.filter(position=RawSQL("f.rowid", []))
    if closed is not None:
        seen = RawSQL(
            "EXISTS (SELECT 1 FROM audit_words o WHERE o.audit_words MATCH %s AND o.rowid = f.rowid)",
            [as_match(terms, "open")],
            output_field=BooleanField(),
        )
        here = here.filter(~closed | Q(seen))
    try:
        sql, params = here.values("position").query.sql_with_params()
    except EmptyResultSet:
        return []
    wanted = ", ".join(f"r.{column}" for column in columns)
    # The bounds of the row's position bound the text's too, or a word of years ago is walked back to. CROSS: the text leads.
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {wanted} FROM audit_words f CROSS JOIN audit_indexed r ON r.position = f.rowid"
            f" WHERE f.audit_words MATCH %s AND EXISTS ({sql}) ORDER BY f.rowid DESC LIMIT %s",
            [as_match(terms, "whole"), *params, limit],
        )
        found: list[Row] = cursor.fetchall()
    return found


def _pg_newest(rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, columns: Sequence[str], limit: int) -> list[Row]:
    asked = as_tsquery(terms)
    if (expected := _expected(asked)) <= FEW:
        return _by_index(rows, asked, closed, columns, limit)
    found: list[Row] = []
    top = rows.order_by("-position").values_list("position", flat=True).first()
    span, walked = WALK_FIRST, 0
    while top is not None and len(found) < limit:
        bottom = top - span
        part = rows.filter(position__lte=top, position__gt=bottom).filter(_text(FitsSeen, asked, closed))
        found += _read(part.order_by("-position"), columns, limit - len(found))
        walked += span
        if len(found) >= limit or bottom < rows.floor:
            return found
        if walked * limit > WALK_MOST * max(len(found), 1):  # at this rate the page is not full within WALK_MOST rows
            wanted = limit - len(found)
            share = max(len(found) / walked, expected / (top + 1), 1 / (BLOCKS_MOST * BLOCK))  # of the rows fits the text
            blocks = range(rows.floor // BLOCK, bottom // BLOCK + 1)
            at_once = math.ceil(1.3 * wanted / share / BLOCK)
            return found + _by_blocks(rows.filter(position__lte=bottom), terms, closed, columns, wanted, blocks, at_once)
        top, span = bottom, min(span * 2, WALK_MOST)
    return found


def _by_blocks(
    rows: IndexedQuerySet,
    terms: Sequence[Term],
    closed: Q | None,
    columns: Sequence[str],
    limit: int,
    blocks: range,
    at_once: int,
) -> list[Row]:
    """Of rows that all lie in `blocks`. For a beginning GIN reads all that begins so, wherever it stands: where a word is asked
    for too and few rows are wanted, the beginning is left to the rows that hold the word."""
    asked = as_tsquery(terms)
    words = as_tsquery([one for one in terms if not one.prefixes])
    text = _text(Fits, asked, closed)
    if words and limit < MANY:
        text = Q(Fits(F("whole"), TsQuery(Value(words)))) & _text(FitsSeen, asked, closed)
    found: list[Row] = []
    while blocks and len(found) < limit:
        part = blocks[-at_once:]
        if len(part) > BLOCKS_MOST:
            older = rows.filter(position__lt=blocks.stop * BLOCK)
            return found + _by_index(older, asked, closed, columns, limit - len(found))
        found += _read(rows.filter(text, InBlocks(part)).order_by(_by_value()), columns, limit - len(found))
        blocks, at_once = blocks[:-at_once], at_once * 2
    return found


def _by_value() -> OrderBy:
    """Newest first by a value, not by the key: else the key's index looks like a short way to the newest, and is a walk through
    all."""
    return (F("position") + 0).desc()


def _by_index(rows: IndexedQuerySet, asked: str, closed: Q | None, columns: Sequence[str], limit: int) -> list[Row]:
    return _read(rows.filter(_text(Fits, asked, closed)).order_by(_by_value()), columns, limit)


def _text(how: type[Func], asked: str, closed: Q | None) -> Q:
    """What fits the words of the line fits those of the whole: so one index answers for readers of either."""
    query = TsQuery(Value(asked))
    condition = Q(how(F("whole"), query))
    return condition if closed is None else condition & (~closed | Q(FitsSeen(F("open"), query)))


def _expected(asked: str) -> int:
    """How many rows PostgreSQL's statistics promise for a text. Asks the planner, reads no row."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) SELECT 1 FROM audit_indexed WHERE whole @@ %s::tsquery", [asked])
        (plan,) = cursor.fetchone()
    document: Any = plan if isinstance(plan, list) else orjson.loads(plan)
    return int(document[0]["Plan"]["Plan Rows"])


def forget_words() -> None:
    """Have the index forget at once what was taken out of it. SQLite alone: FTS5 only marks words as deleted, and keeps them in
    its files until it merges, which may be never. Costs one pass over the index, so once for many; nothing, if none was.

    On PostgreSQL a vacuum does it, as for every row.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO audit_words (audit_words) VALUES ('optimize')")
