"""Asking the index: the newest positions that fit, whichever database it is. Plain SQL where the ORM cannot say the way to go.

SQLite: FTS5 gives the rows of a text newest first by itself, whatever the words; the other conditions are asked of each.

PostgreSQL: a GIN index gives all hits of a text before the newest can be picked, which for words in every twentieth event of
five million is a million comparisons for one page (`docs/speed.md`). So, by what its statistics expect: few hits: GIN, then
sort. Many: walk from the newest row back and look into each; if the hits on the way turn out too thin to fill a page within
`WALK_MOST` rows, GIN after all, for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.fields import BooleanField

from audit.index.models import IndexedQuerySet
from audit.index.words import Term, as_match, as_tsquery

#: With fewer hits expected the index is asked first: so many rows are fetched and sorted within a few milliseconds.
FEW: Final = 2_000
WALK_FIRST: Final = 10_000
WALK_MOST: Final = 100_000


class Fits(Func):
    """`column @@ query`, which may be answered by GIN."""

    output_field = BooleanField()
    template = "%(expressions)s"
    arg_joiner = " @@ "


class FitsSeen(Func):
    """The same of a row at hand: a function, which no index answers."""

    output_field = BooleanField()
    function = "ts_match_vq"


class TsQuery(Func):
    template = "%(expressions)s::tsquery"
    output_field = TextField()


def positions(rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, *, limit: int) -> list[int]:
    """Positions of the newest rows that fit, at most `limit`, newest first.

    Args:
        rows: narrowed by everything but the text.
        closed: rows of which the reader may search the line only; None if there are none.
    """
    if not terms:
        return list(rows.order_by("-position").values_list("position", flat=True)[:limit])
    if connection.vendor == "postgresql":
        return _pg_positions(rows, terms, closed, limit)
    return _sqlite_positions(rows, terms, closed, limit)


def _sqlite_positions(rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, limit: int) -> list[int]:
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
    except EmptyResultSet:  # the ORM knows without asking that nothing fits
        return []
    # The bounds of the row's position bound the text's too, or a word of years ago is walked back to.
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT f.rowid FROM audit_words f WHERE f.audit_words MATCH %s AND EXISTS ({sql}) ORDER BY f.rowid DESC LIMIT %s",
            [as_match(terms, "whole"), *params, limit],
        )
        return [position for (position,) in cursor.fetchall()]


def _pg_positions(rows: IndexedQuerySet, terms: Sequence[Term], closed: Q | None, limit: int) -> list[int]:
    asked = as_tsquery(terms)
    if _expected(asked) <= FEW:
        return _by_index(rows, asked, closed, limit)
    found: list[int] = []
    top = rows.order_by("-position").values_list("position", flat=True).first()
    span, walked = WALK_FIRST, 0
    while top is not None and len(found) < limit:
        bottom = top - span
        part = rows.filter(position__lte=top, position__gt=bottom)
        wanted = limit - len(found)
        found += part.filter(_text(FitsSeen, asked, closed)).order_by("-position").values_list("position", flat=True)[:wanted]
        walked += span
        if len(found) >= limit or bottom < 0:
            return found
        if walked * limit > WALK_MOST * max(len(found), 1):  # at this rate the page is not full within WALK_MOST rows
            return found + _by_index(rows.filter(position__lte=bottom), asked, closed, limit - len(found))
        top, span = bottom, min(span * 2, WALK_MOST)
    return found


def _by_index(rows: IndexedQuerySet, asked: str, closed: Q | None, limit: int) -> list[int]:
    # Sorted by a value, not by the key: else the key's index looks like a short way to the newest, and is a walk through all.
    found = rows.filter(_text(Fits, asked, closed)).order_by((F("position") + 0).desc())
    return list(found.values_list("position", flat=True)[:limit])


def _text(how: type[Func], asked: str, closed: Q | None) -> Q:
    query = TsQuery(Value(asked))
    condition = Q(how(F("whole"), query))
    return condition if closed is None else (condition & ~closed) | Q(how(F("open"), query))


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
