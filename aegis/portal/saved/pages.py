"""The lists whose views can be saved: where each stands, and which parameters of its address are filters.

A list joins with one line in `PAGES`, and `{% load saved %}{% saved_views "key" %}` in its template. What is not named here is
never kept: cursors, partials, open panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Page:
    """One list.

    Attributes:
        nav: key of its link in the sidebar.
        keys: parameters that are filters, in the order they are written.
    """

    title: str
    route: str
    nav: str
    keys: tuple[str, ...]

    def query_of(self, asked: QueryDict) -> str:
        """The filters of an address as one text ("risk=high&agent=clerk"), the same for the same filters."""
        return urlencode([(key, value) for key in self.keys for value in asked.getlist(key) if value])

    def address(self, query: str) -> str:
        return f"{reverse(self.route)}?{query}" if query else reverse(self.route)


PAGES: Final[Mapping[str, Page]] = {
    "approvals": Page(
        "Approvals",
        "approvals:inbox",
        "approvals",
        ("tab", "risk", "workflow", "policy", "agent", "capability", "requester", "due", "short", "q"),
    ),
    "queues": Page("Review queues", "review:list", "queues", ("tab", "queue", "skill", "order")),
    "runs": Page("Runs", "runs:list", "runs", ("status", "workflow", "priority", "day", "q")),
    "audit": Page(
        "Audit",
        "audit:list",
        "audit",
        (
            "q",
            "actor",
            "type",
            "lane",
            "outcome",
            "workflow",
            "run",
            "agent",
            "capability",
            "gate",
            "risk",
            "stream",
            "object",
            "figure",
            "span",
            "from",
            "to",
        ),
    ),
}
