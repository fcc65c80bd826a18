"""What AEGIS says of a broken document, as one golden file expects it: the first finding with code, place and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aegis.core import manifests
from aegis.core.errors import AegisError, Fault, coded
from aegis.core.kinds import Change, Key, get_kind
from approvals.previews import code_of
from orchestration.workflows.lint import lint
from tests.workflows.documents import Documents, surroundings

FOLDER = Path(__file__).parent
#: A contract with a sensitive field, beside what every test of workflows has.
PERSON = {
    "apiVersion": "aegis/v1", "kind": "Contract", "metadata": {"name": "person@1"},
    "spec": {
        "schema": {
            "type": "object", "additionalProperties": False,
            "properties": {"id": {"type": "string"}, "pass": {"type": "string", "x-aegis-sensitive": True}},
        }
    },
}  # fmt: skip
#: A workflow that claims what its input names, beside them too.
HOLDER = {
    "apiVersion": "aegis/v1", "kind": "Workflow", "metadata": {"name": "holder", "owner": "Finance"},
    "spec": {
        "input": "invoice@1", "business_key": "input.id", "resource": {"key": "input.id"}, "fallback": {"queue": "desk"},
        "steps": [{"id": "done", "finish": "changed"}],
    },
}  # fmt: skip
FIELDS = ("code", "place", "pointer", "what", "remedy")


def documents() -> list[Path]:
    return sorted(FOLDER.glob("*/*.yaml"))


def expected(path: Path) -> dict[str, str]:
    """The comment at the head of a file: "# field: text" per line."""
    head = (line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    pairs = (line.split(": ", 1) for line in head)
    return {name: text for name, text in pairs if name in FIELDS}


def found(path: Path) -> list[dict[str, str]]:
    """Every finding, told like an expectation; what cannot be read has the code of its error."""
    text = path.read_text(encoding="utf-8")
    try:
        (manifest,) = manifests.read(text, "f")
    except AegisError as error:
        return [_told(error.code, fault.where.removeprefix("f:"), "", fault) for fault in error.faults]
    told = []
    for fault in _faults(manifest.key, manifest.document):
        line, column = manifest.place(fault.where)
        told.append(_told(fault.code, f"{line}:{column}", fault.where, fault))
    return told


def _faults(key: Key, document: Any) -> list[Fault]:
    kind = get_kind(key.kind)
    if broken := list(kind.shape_faults(document)):
        return broken
    overlay = Documents(
        {**surroundings(), Key("Contract", "person@1"): PERSON, Key("Workflow", "holder"): HOLDER, key: document}
    )
    if key.kind == "Workflow":
        return lint(document, overlay)
    return list(coded(code_of(kind), _quietly(kind, Change(key, None, document), overlay)))


def _quietly(kind: Any, change: Change, overlay: Documents) -> Iterator[Fault]:
    try:
        yield from kind.lint(change, overlay)
    except AegisError as error:
        yield from error.faults


def _told(code: str, place: str, pointer: str, fault: Fault) -> dict[str, str]:
    return {"code": code, "place": place, "pointer": pointer, "what": fault.what, "remedy": fault.remedy}
