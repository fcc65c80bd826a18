"""What every kind of configuration shares: writing its row, reading its document back, telling a change in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import ProtectedError, Q
from django.db.models.deletion import Collector

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.kinds import Change, Overlay
from aegis.core.visibility import Viewer
from approvals import shapes
from approvals.models import DocumentVersion, Governed

GovernedT = TypeVar("GovernedT", bound=Governed)

MAX_SENTENCES = 60
_MAX_SHOWN = 80  # characters of one value inside a sentence
_MISSING = object()


def write(
    model: type[GovernedT], document: Mapping[str, Json], change_id: UUID, *, actor: Actor | None = None, **fields: Any
) -> GovernedT:
    """Insert or update the row of a document. Called by a kind's `apply`, inside change control's transaction.

    Change control has written the `DocumentVersion` before; the row takes its number. simple-history keeps the old row with the
    change set's id as its reason.

    Args:
        fields: the model's own columns, derived from the document ("owner", "is_enabled").
    """
    name = document["metadata"]["name"]
    body = canonical.dump(document)
    row = model._default_manager.filter(name=name).first() or model(name=name)
    row.title = document["metadata"].get("title", "")
    row.document = body.decode()
    row.digest = canonical.digest(body)
    row.version = _latest_number(document["kind"], name)
    row.updated_at = clock.now()
    for field, value in fields.items():
        setattr(row, field, value)
    _explain(row, change_id, actor)
    row.save()
    return row


def remove(model: type[Governed], name: str, change_id: UUID, *, actor: Actor | None = None) -> None:
    """Delete the row of a document; its versions and events stay.

    Raises:
        Invalid: rows that must stay refer to it.
    """
    row = model._default_manager.get(name=name)
    _explain(row, change_id, actor)
    try:
        row.delete()
    except ProtectedError as error:
        raise Invalid(_in_use(error)) from None


_read: ContextVar[dict[str, dict[str, Json]] | None] = ContextVar("aegis_documents_read", default=None)


@contextmanager
def documents_read_once() -> Iterator[None]:
    """Inside, all documents of a kind are read by one query when the first is asked for, and remembered.

    For judging a change set: lint asks for the same documents again and again, once per grant, step or rule. Nothing is written
    inside, and the documents are shared: who wants to change one copies it.
    """
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def _standing(kind: DocumentKind) -> dict[str, Json] | None:
    """Name -> document, by name; None outside `documents_read_once`."""
    read = _read.get()
    if read is None:
        return None
    if kind.name not in read:
        rows = kind.model._default_manager.order_by("name").values_list("name", "document")
        read[kind.name] = {name: canonical.parse(text) for name, text in rows}
    return read[kind.name]


class DocumentKind:
    """A `core.Kind` over one `Governed` model. A kind names itself and overrides what is its own.

    Usually enough: the class attributes, `lint`, and `fields` or `wrote`. `diff` tells any change, path by path; override it
    where people judge better by sentences of the domain.
    """

    name: str
    title: str
    area: str
    order: int
    schema: Json
    is_portable = True
    model: ClassVar[type[Governed]]

    def names(self) -> list[str]:
        if (known := _standing(self)) is not None:
            return list(known)
        return list(self.model._default_manager.order_by("name").values_list("name", flat=True))

    def dump(self, name: str) -> Json | None:
        if (known := _standing(self)) is not None:
            return known.get(name)
        text = self.model._default_manager.filter(name=name).values_list("document", flat=True).first()
        return None if text is None else canonical.parse(text)

    def row(self, name: str) -> Any:
        return self.model._default_manager.filter(name=name).first()

    def shape_faults(self, document: Json) -> Iterable[Fault]:
        return shapes.faults_of(self.name, self.schema, document)

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        return self.removal_faults(change)

    def removal_faults(self, change: Change) -> list[Fault]:
        """One fault if the document would be removed while rows that must stay (runs, requests) refer to it."""
        row = self.model._default_manager.filter(name=change.key.name).first() if change.new is None else None
        if row is None:
            return []
        try:
            Collector(using="default", origin=row).collect([row])
        except ProtectedError as error:
            return [Fault("", _in_use(error))]
        return []

    def diff(self, change: Change) -> list[str]:
        return describe(change)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        return []

    def missing(self, change: Change, author: Viewer) -> str:
        return ""

    def fields(self, document: Json) -> Mapping[str, Any]:
        """The model's own columns, derived from the document."""
        return {}

    def wrote(self, row: Any, document: Json) -> None:
        """After the row is written: rows that hang on it (groups, releases)."""

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        if change.new is None:
            remove(self.model, change.key.name, change_id, actor=actor)
            return
        row = write(self.model, change.new, change_id, actor=actor, **self.fields(change.new))
        self.wrote(row, change.new)


def describe(change: Change) -> list[str]:
    """A change in words, path by path: "spec.rules[2].when: was A, now B".

    Items of a list are matched by their `id` or `name`, else by place.
    """
    label = f"{change.key.kind} “{change.key.name}”"
    if change.new is None:
        return [f"Removes {label}."]
    if change.old is None:
        return [f"Adds {label}."]
    sentences = list(_differences("", change.old, change.new))
    if len(sentences) > MAX_SENTENCES:
        left_out = len(sentences) - MAX_SENTENCES
        sentences = [*sentences[:MAX_SENTENCES], f"… and {left_out} more differences"]
    return sentences


def _differences(path: str, old: Json, new: Json) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{path}.{key}" if path else key, old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(path, old, new)
    elif old is _MISSING:
        yield f"{path}: now {_shown(new)}, was not set"
    elif new is _MISSING:
        yield f"{path}: no longer set, was {_shown(old)}"
    elif type(old) is not type(new) or old != new:  # 1 and true are different values
        yield f"{path}: was {_shown(old)}, now {_shown(new)}"


def _list_differences(path: str, old: list[Json], new: list[Json]) -> Iterator[str]:
    before, after = _keyed(old), _keyed(new)
    if before is None or after is None:
        if all(not isinstance(item, dict | list) for item in [*old, *new]):
            if old != new:
                yield f"{path}: was {_shown(old)}, now {_shown(new)}"
            return
        before = {str(index): item for index, item in enumerate(old)}
        after = {str(index): item for index, item in enumerate(new)}
    for key in dict.fromkeys([*after, *before]):
        yield from _differences(f"{path}[{key}]", before.get(key, _MISSING), after.get(key, _MISSING))
    kept_before, kept_after = [key for key in before if key in after], [key for key in after if key in before]
    if kept_before != kept_after:
        yield f"{path}: the order is now {', '.join(after)}"


def _keyed(items: list[Json]) -> dict[str, Json] | None:
    """The items by their `id` (or `name`), or None if not each has a distinct one."""
    for key in ("id", "name"):
        if items and all(isinstance(item, dict) and isinstance(item.get(key), str) for item in items):
            found = {item[key]: item for item in items}
            if len(found) == len(items):
                return found
    return {} if not items else None


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical.dump(value).decode()
    text = " ".join(text.split()) or "empty"
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _latest_number(kind: str, name: str) -> int:
    found = DocumentVersion.objects.filter(kind=kind, name=name).order_by("-number").values_list("number", flat=True).first()
    return found or 1


def _explain(row: Governed, change_id: UUID, actor: Actor | None) -> None:
    """What simple-history stores beside the old row."""
    from aegis.identity.models import User

    row._change_reason = str(change_id)  # type: ignore[attr-defined]  # simple-history's protocol
    if actor is not None and actor.kind == "user":
        row._history_user = User.objects.filter(pk=actor.ref).first()  # type: ignore[attr-defined]


def _in_use(error: ProtectedError) -> str:
    kinds = sorted({str(row._meta.verbose_name_plural) for row in error.protected_objects})
    return f"It cannot be removed: {', '.join(kinds)} refer to it"


def version_texts(wanted: Collection[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """(kind, name, digest) -> the document as it was applied, without those no version has. One query.

    For readers of the events that replaced them.
    """
    columns = ("kind", "name", "digest", "document")
    named = Q(pk__in=[])
    for kind, name, digest in wanted:
        named |= Q(kind=kind, name=name, digest=digest)
    rows = DocumentVersion.objects.filter(named).values_list(*columns) if wanted else ()
    return {(kind, name, digest): document for kind, name, digest, document in rows}
