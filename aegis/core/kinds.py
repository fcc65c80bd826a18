"""The port for kinds of configuration: change control, manifests, admin and API know kinds, never models.

A document is `{"apiVersion": "aegis/v1", "kind", "metadata": {"name", "title", ...}, "spec"}`. Each app registers its kinds at
start-up. Lint works on documents alone, through an `Overlay` in which the documents of one change set already stand, so a set
that adds a contract and the workflow that uses it is judged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, NotFound

API_VERSION = "aegis/v1"


@dataclass(frozen=True, slots=True)
class Key:
    """Which document: kind and name ("Workflow", "support-intake")."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """One document of a change set: as it stands (None = new) and as it shall be (None = removed)."""

    key: Key
    old: Json | None
    new: Json | None


@dataclass(frozen=True, slots=True)
class Overlay:
    """Configuration as it would be after a change set.

    Attributes:
        reader: who is told what speaks against it, a `visibility.Viewer`; None for SYSTEM and the command line, which see all.
            It decides the words of a fault and whom a document may name, never whether something that stands is in order.
    """

    changes: Mapping[Key, Json | None] = field(default_factory=dict)
    reader: Any = None

    def get(self, kind: str, name: str) -> Json | None:
        """The document, or None if there is none (or it would be removed)."""
        key = Key(kind, name)
        if key in self.changes:
            return self.changes[key]
        return get_kind(kind).dump(name)

    def names(self, kind: str) -> list[str]:
        present = set(get_kind(kind).names())
        for key, document in self.changes.items():
            if key.kind == kind:
                (present.add if document is not None else present.discard)(key.name)
        return sorted(present)


class Kind(Protocol):
    """What change control needs to know of a kind of configuration."""

    name: str  # "Workflow", as in manifests
    title: str  # "Workflows", for people
    area: str  # which area's `edit` right a new document of this kind needs ("workflows")
    order: int  # kinds with a lower number are applied first (what others refer to)
    schema: Json  # JSON Schema 2020-12 of the whole document; exported for editors
    is_portable: bool  # its documents mean the same in another installation; others are exported only by kind or name

    def names(self) -> list[str]:
        """Names of all documents that stand."""

    def dump(self, name: str) -> Json | None:
        """The document as it stands, exactly as last applied."""

    def row(self, name: str) -> Any:
        """The row whose rights and scope govern the document; None if there is none (yet)."""

    def shape_faults(self, document: Json) -> Iterable[Fault]:
        """Everything that breaks the schema, each with a remedy; nothing else is asked of a document that has some."""

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        """Everything that speaks against the new document; `where` is a JSON pointer into it. Schema faults come before."""

    def diff(self, change: Change) -> list[str]:
        """The change in sentences a person can judge ("support-desk may no longer issue refunds")."""

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        """Why this change must not be applied by one person alone (locked, dual control); empty if it may."""

    def missing(self, change: Change, author: Any) -> str:
        """The sentence of a right that `author` lacks for what applying does beside writing the document (such as granting to
        groups), or "". Asked before anybody is asked to approve, since applying is done with the author's rights.

        Args:
            author: a `visibility.Viewer`; not named as such, since what reads manifests must import no Django.
        """

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        """Write the rows. Called inside the applying transaction, under the exclusive authority lock; append no event."""


_kinds: dict[str, Kind] = {}


def register_kind(kind: Kind) -> None:
    _kinds[kind.name] = kind


def get_kind(name: str) -> Kind:
    try:
        return _kinds[name]
    except KeyError:
        raise NotFound(f"There is no kind {name!r}; known are {', '.join(sorted(_kinds))}") from None


def all_kinds() -> list[Kind]:
    """Every kind, in the order in which documents are applied."""
    return sorted(_kinds.values(), key=lambda kind: (kind.order, kind.name))


def document_key(document: Mapping[str, Json]) -> Key:
    return Key(document["kind"], document["metadata"]["name"])


def envelope(kind: str, spec_schema: Json, *, metadata: Json | None = None, required: Iterable[str] = ()) -> Json:
    """The JSON Schema of a whole document around the schema of its spec.

    Args:
        metadata: further properties of `metadata` beside name, title, description and dual_control.
        required: which of them must be there.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", *required],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 80},
                    "title": {"type": "string", "maxLength": 120},
                    "description": {"type": "string", "maxLength": 2000},
                    "dual_control": {"type": "boolean"},
                    **(metadata or {}),
                },
            },
            "spec": spec_schema,
        },
    }
