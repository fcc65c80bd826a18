"""What a workflow shows to everybody must not be a sensitive field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.contracts.marks import is_sensitive_at
from orchestration.workflows.definition import Definition
from orchestration.workflows.paths import paths_of


def exposed_faults(definition: Definition, contracts: Mapping[str, Json]) -> Iterator[Fault]:
    """Business key, priority and resource are columns that lists, searches and other runs show."""
    schema = contracts.get(definition.input)
    if schema is None:
        return
    shown = [("/spec/business_key", definition.business_key), ("/spec/priority", definition.priority)]
    if definition.resource:
        shown.append(("/spec/resource/key", definition.resource.key))
    for where, source in shown:
        for path in paths_of(source):
            if path.root == "input" and is_sensitive_at(schema, path.parts):
                what = f"{path} is sensitive, and this is shown to everybody who sees the run"
                yield Fault(f"{where} {path.place}", what, "take a field that everybody may see")
