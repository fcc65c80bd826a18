"""What the portal knows of each governed kind beside its model: words, icon, and the builder of its overview."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aegis.core.canonical import Json
from aegis.core.errors import NotFound
from aegis.core.visibility import Viewer
from approvals.models import Governed

# (row, its document, reader) -> context of templates/governed/_<kind>.html
Overview = Callable[[Any, Json, Viewer], dict[str, Any]]
# (document as typed, reader, the row it changes or None) -> context of `beside_template`
Beside = Callable[[Json, Any, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class KindPages:
    """One governed kind.

    Attributes:
        kind: as in manifests and the kind port ("ApprovalPolicy").
        singular, plural: words inside sentences; `plural_title` heads the list.
        skeleton: metadata and spec of a new document to start from.
        successor: documents of this kind never change; this is what the button beside "History" says instead of "Edit".
        beside: what the editor shows of a text beside its findings, in `beside_template`.
        more_pages: name -> (route, page) of what only this kind has; tabs in `tabs` as (name, icon, word).
        tab_rights: name of a tab -> the right without which it is not offered.
        is_ended_by_another: the successor ends this one (floor locks) rather than replacing it.
    """

    kind: str
    model: type[Governed]
    singular: str
    plural: str
    plural_title: str
    icon: str
    intro: str
    overview: Overview
    skeleton: Json
    empty_hint: str = ""
    successor: str = ""
    is_ended_by_another: bool = False
    beside: Beside | None = None
    beside_template: str = ""
    more_pages: Mapping[str, tuple[str, Callable[..., Any]]] = field(default_factory=dict)
    tabs: tuple[tuple[str, str, str], ...] = ()
    tab_rights: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> str:
        return f"governed/_{self.kind.lower()}.html"

    @property
    def area(self) -> str:
        """The area whose rights count for a new document of this kind."""
        name: str = getattr(self.model, "area", "")
        return name

    @property
    def prefix(self) -> str:
        meta = self.model._meta
        return f"admin:{meta.app_label}_{meta.model_name}"


_known: dict[str, KindPages] = {}


def register(pages: KindPages) -> KindPages:
    _known[pages.kind] = pages
    return pages


def all_pages() -> list[KindPages]:
    return list(_known.values())


def pages_of(kind: str) -> KindPages:
    """
    Raises:
        NotFound: no such kind.
    """
    try:
        return _known[kind]
    except KeyError:
        raise NotFound from None
