"""What a figure is called in an address ("runs/failed"), and the events behind it.

The name is the measure and its values in their order; one left empty stands for any, and "!" for an empty value. The list
behind a figure is a search of the journal like any other: by the same rule of who may see what, and by nothing that a page
remembers.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from django.db.models import Q, QuerySet

from audit.metrics.measures import MAX_DIMENSIONS, NONE
from audit.metrics.models import Counted, Series

_COLUMNS: Final = ("a", "b", "c", "d")
_NONE: Final = "!"  # of a value it would be quoted


def written(metric: str, *values: str) -> str:
    """The name of a figure for an address. A value is "" for any, `measures.NONE` for the empty one."""
    return "/".join((metric, *(_NONE if value == NONE else quote(value, safe="") for value in values))).rstrip("/")


def is_sound(figure: str) -> bool:
    """Whether it can name anything. An address is unquoted once more here, so what it may hold is looked at after that."""
    return all(unquote(part).isprintable() for part in figure.split("/"))


def words(figure: str) -> str:
    """The same for people."""
    return ", ".join("(none)" if part == _NONE else unquote(part) for part in figure.split("/") if part)


def condition(figure: str) -> Q:
    """On rows of `Series`: those that the figure stands for."""
    metric, *values = figure.split("/")[: MAX_DIMENSIONS + 1]
    asked = {column: "" if value == _NONE else unquote(value) for column, value in zip(_COLUMNS, values, strict=False) if value}
    return Q(metric=unquote(metric), **asked)


def positions(figure: str) -> QuerySet[Counted, int]:
    """Where the events behind a figure stand in the search index, whoever asks: the caller narrows them to what he may see."""
    series = Series.objects.filter(condition(figure)).values("pk")
    return Counted.objects.filter(series__in=series).values_list("position", flat=True)
