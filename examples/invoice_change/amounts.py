"""What the lines of an invoice add up to, in whole cents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Totals:
    net_cents: int
    vat_cents: int

    @property
    def total_cents(self) -> int:
        return self.net_cents + self.vat_cents


def add_up(lines: Sequence[Mapping[str, Any]]) -> Totals:
    """VAT is rounded once per rate, half a cent away from zero, as an invoice states it."""
    net_by_rate: dict[int, int] = {}
    for line in lines:
        net_by_rate[line["vat_percent"]] = net_by_rate.get(line["vat_percent"], 0) + line["count"] * line["unit_cents"]
    return Totals(sum(net_by_rate.values()), sum(_percent_of(net, rate) for rate, net in net_by_rate.items()))


def euros(cents: int) -> str:
    """-123450 -> "-1,234.50 EUR"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02} EUR"


def _percent_of(cents: int, percent: int) -> int:
    rounded = (abs(cents) * percent + 50) // 100
    return rounded if cents >= 0 else -rounded
