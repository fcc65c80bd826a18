"""Tags of the access matrix page."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import conditional_escape
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.grid import Grid, Row

register = template.Library()


@register.simple_tag
def matrix_cells(grid: Grid, row: Row, picked: str) -> SafeString:
    """The cells of one row. A hundred roles by two hundred capabilities are 20,000 of them, which a template draws in seconds:
    what cells show comes from a template, once per face; around it stands their own role and capability.

    Args:
        picked: the role that a phone shows.
    """
    why = reverse("portal:matrix-why")
    capability = str(conditional_escape(row.capability.name))
    at = urlencode({"capability": row.capability.name})
    found = []
    for column, cell in zip(grid.columns, row.cells, strict=True):
        role, label = str(conditional_escape(cell.role)), str(conditional_escape(column.label))
        face = _face(cell.label, cell.detail, cell.is_locked, cell.raised, cell.was)
        classes = f"mx-c mx-{cell.label}"
        classes += " mx-first-people" if column.is_first_of_people else ""
        classes += " is-picked" if cell.role == picked else ""
        classes += " is-unsaved" if cell.was else ""
        found.append(
            f'<td class="{classes}" role="gridcell" data-role="{role}">'
            f'<a class="mx-cell" href="{why}?{column.query}&amp;{at}" tabindex="-1" aria-haspopup="dialog">'
            f'<span class="ag-vh">{label}, {capability}: </span>{face}</a></td>'
        )
    return SafeString("".join(found))  # names are escaped above, faces by their template


@lru_cache(maxsize=2_048)
def _face(label: str, detail: str, is_locked: bool, raised: bool, was: str) -> str:
    cell = Cell("", "", label, detail, is_locked, raised, was=was)
    return render_to_string("portal/_cell_face.html", {"cell": cell}).strip()
