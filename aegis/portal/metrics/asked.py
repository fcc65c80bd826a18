"""What somebody wants to look at: a time and a workflow, as the address has them, and the addresses that figures lead to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from aegis.core import clock
from audit.metrics import figures
from audit.metrics.projection import hour_number

#: Span -> (title, hours of a bar, bars, what a bar is called).
SPANS: Final = {
    "24h": ("24 hours", 1, 24, "hour"),
    "7d": ("7 days", 6, 28, "6 hours"),
    "30d": ("30 days", 24, 30, "day"),
}
DEFAULT_SPAN: Final = "7d"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Attributes:
        since: the first hour shown; bars begin at multiples of their width, so the last one is not full yet.
        workflow: id, "" for all.
    """

    span: str
    since: int
    workflow: str

    @classmethod
    def of(cls, params: QueryDict) -> Asked:
        """Read the address. What cannot be meant is the default; a workflow that this reader does not see shows nothing."""
        span = params.get("span", "")
        span = span if span in SPANS else DEFAULT_SPAN
        _, width, bars, _ = SPANS[span]
        since = (hour_number(clock.now()) // width - bars + 1) * width
        return cls(span, since, params.get("workflow", "").replace("\x00", "")[:36])

    @property
    def width(self) -> int:
        return SPANS[self.span][1]

    @property
    def bars(self) -> int:
        return SPANS[self.span][2]

    @property
    def each(self) -> str:
        return SPANS[self.span][3]

    @property
    def title(self) -> str:
        return SPANS[self.span][0]

    def start(self, bar: int) -> datetime:
        return datetime.fromtimestamp((self.since + bar * self.width) * 3600, UTC)

    def moment(self, bar: int) -> str:
        """The beginning of a bar, for people."""
        return f"{self.start(bar):%d %b}" if self.width >= 24 else f"{self.start(bar):%d %b %H:%M}"

    def url(self, metric: str, *values: str, bar: int | None = None) -> str:
        """The events behind a figure."""
        query = {"figure": figures.written(metric, *values), "from": f"{self.start(bar or 0):%Y-%m-%dT%H:%M}"}
        if bar is not None and bar < self.bars - 1:
            query["to"] = f"{self.start(bar + 1):%Y-%m-%dT%H:%M}"
        if self.workflow:
            query["workflow"] = self.workflow
        return f"{reverse('audit:list')}?{urlencode(query)}"

    def page(self, **changed: str) -> str:
        """This page under another time or workflow."""
        query = {"span": self.span, "workflow": self.workflow, **changed}
        return f"{reverse('portal:metrics')}?{urlencode({name: value for name, value in query.items() if value})}"
