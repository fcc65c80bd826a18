"""A routing table document that nobody has published yet, made ready to be asked. Pure, but for the kind's schema."""

from __future__ import annotations

from functools import lru_cache

from aegis.core.canonical import Json
from aegis.core.errors import Fault, coded
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.routing import tables
from orchestration.routing.kind import RoutingTableKind
from orchestration.routing.publishing import faults_of
from orchestration.routing.tables import RoutingTable, TableInvalid


def load(document: Json) -> RoutingTable:
    """
    Raises:
        TableInvalid: every fault of its form and structure. Gaps, overlaps and failing tests are none: a draft may have them.
    """
    if faults := form_faults(document):
        raise TableInvalid(f"The draft cannot be asked: {faults[0]}", faults=faults)
    return tables.load(document)


def form_faults(document: Json) -> list[Fault]:
    """What breaks the kind's JSON Schema."""
    return list(coded("schema", _schema().faults(document)))


def findings(document: Json) -> list[Fault]:
    """Everything that speaks against publishing it, whatever shape it is in."""
    return form_faults(document) or faults_of(document)


@lru_cache(maxsize=1)
def _schema() -> Checker:
    return compile_schema(RoutingTableKind.schema)
