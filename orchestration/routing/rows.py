"""A routing table and its rows as frozen values. Pure. Built by `routing.reading`, asked by `routing.tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aegis.core.canonical import Json
from aegis.core.expressions import Expression, VariableType
from orchestration.routing.regions import Region, Test
from orchestration.routing.values import Column

CASE: Final = "case"
HITS: Final = "hits"
COUNT: Final = "count"

HitPolicy = Literal["Unique", "Any", "First", "Priority", "Rule order", "Output order", "Collect"]
Aggregation = Literal["list", "sum", "min", "max", "count"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A tested column of a row; columns of `-` have none."""

    column: str
    test: Test
    takes_null: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    Attributes:
        position: counts from 0 in the document; `tier` is None when the row names none.
        when: the condition as CEL, or as cells by column.
        condition: compiled, for CEL; None for cells.
        regions: what each tested column must be; None where the condition is CEL beyond the analysis.
    """

    id: str
    position: int
    tier: int | None
    when: str | Mapping[str, Json]
    then: Mapping[str, Json]
    condition: Expression | None
    cells: tuple[Cell, ...] = ()
    regions: Mapping[str, Region] | None = None
    title: str = ""

    @property
    def when_text(self) -> str:
        """The condition on one line, for people."""
        if isinstance(self.when, str):
            return self.when
        tested = [f"{name}: {cell}" for name, cell in self.when.items() if str(cell).strip() not in ("", "-")]
        return "; ".join(tested) or "-"


@dataclass(frozen=True, slots=True)
class TableTest:
    """An example stored with the table: these facts must give this output (and, if named, by this rule; "" = the default)."""

    name: str
    given: Mapping[str, Json]
    expect: Mapping[str, Json]
    rule: str | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Values of one output, the one that wins first: how DMN's Priority and Output order tell which hit is first."""

    output: str
    order: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Under Collect: the case for a range of what was collected."""

    when: str
    case: str
    region: Region


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """A table ready to choose.

    Attributes:
        inputs: name -> type as declared; `columns` has the rest of the declaration.
        rules: in the order in which they are tried, and in which several hits are listed.
        default: None where the analysis showed that the rules leave no gap.
        ranking: after the tier, what orders hits under Priority and Output order.
        aggregation, of, bands: Collect alone.
    """

    name: str
    digest: str
    inputs: Mapping[str, str]
    columns: Mapping[str, Column]
    outputs: Mapping[str, str]
    rules: tuple[Rule, ...]
    default: Mapping[str, Json] | None
    tests: tuple[TableTest, ...]
    hit_policy: HitPolicy
    ranking: tuple[Ranking, ...]
    aggregation: Aggregation
    of: str
    bands: tuple[Band, ...]
    plain_types: Mapping[str, VariableType]  # inputs of which only the type is asked, for the conditions in CEL
    cel_types: Mapping[str, VariableType]
    has_conditions: bool  # some row is CEL
    tested: tuple[Column, ...]  # columns that some cell tests

    @property
    def is_single_hit(self) -> bool:
        """Does the first rule that is true decide alone?"""
        return self.hit_policy in ("First", "Priority")

    @property
    def cases(self) -> frozenset[str]:
        """Every case the table can answer: what a `route` step must know where to send."""
        rows = [self.default or {}, *(rule.then for rule in self.rules)]
        return frozenset({*(str(row[CASE]) for row in rows if CASE in row), *(band.case for band in self.bands)})
