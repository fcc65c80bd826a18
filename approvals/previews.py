"""What a change set would do, and everything that speaks against it. Reads, never writes.

Two phases: documents that break their schema are named and nothing else is asked of them; then lint, guards and diff see the
whole set through one `Overlay`. Documents that stand and are not part of the set are linted again too: what the set would break
elsewhere is a fault of the set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aegis.core import canonical
from aegis.core.canonical import MAX_PAYLOAD_BYTES, Json
from aegis.core.errors import Fault, Invalid, coded
from aegis.core.kinds import Change, Key, Kind, Overlay, all_kinds, get_kind
from aegis.core.visibility import groups_with
from aegis.identity.models import Area, User
from approvals.governed import describe, documents_read_once

Action = Literal["add", "change", "remove"]

MAX_DOCUMENTS = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """One document of the set.

    Attributes:
        sentences: the change in words; one general sentence where the reader may not see the document.
        faults: `where` is a JSON pointer into the new document.
        guards: why one person alone may not apply it.
        missing: "" or the sentence of the right the author lacks; `granted_by` names the groups that can give it.
    """

    change: Change
    action: Action
    sentences: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    guards: tuple[str, ...] = ()
    missing: str = ""
    granted_by: str = ""

    @property
    def key(self) -> Key:
        return self.change.key


@dataclass(frozen=True, slots=True)
class Preview:
    """The set as a whole; documents that would not change are left out.

    Attributes:
        elsewhere: faults the set would cause in documents outside it; `where` begins with "Kind/name".
    """

    items: tuple[Item, ...]
    elsewhere: tuple[Fault, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.items

    @property
    def sentences(self) -> list[str]:
        return [sentence for item in self.items for sentence in item.sentences]

    @property
    def faults(self) -> list[Fault]:
        """All faults, `where` as "Kind/name/pointer"."""
        own = [_named(item.key, fault) for item in self.items for fault in item.faults]
        return [*own, *self.elsewhere]

    @property
    def guards(self) -> list[str]:
        return list(dict.fromkeys(guard for item in self.items for guard in item.guards))

    @property
    def missing(self) -> list[str]:
        return list(dict.fromkeys(item.missing for item in self.items if item.missing))


def judge(documents: Iterable[tuple[Key, Json | None]], user: User | None) -> Preview:
    """Judge a change set against what stands now.

    Args:
        documents: key -> new document, None to remove it.
        user: whose rights are asked; None for SYSTEM (bootstrap), of whom none are.

    Raises:
        NotFound: an unknown kind.
        Invalid: a key named twice, or more than 1,000 documents.
    """
    with documents_read_once():
        return _judged(documents, user)


def _judged(documents: Iterable[tuple[Key, Json | None]], user: User | None) -> Preview:
    changes = _changes(documents)
    broken = {change.key: faults for change in changes if (faults := _shape_faults(change))}
    overlay = Overlay({change.key: change.new for change in changes}, user)
    items = tuple(_item(change, overlay, user, broken.get(change.key), is_whole=not broken) for change in changes)
    elsewhere = _broken_elsewhere(overlay) if items and not any(item.faults for item in items) else ()
    return Preview(items, elsewhere)


def base_digest(key: Key) -> str | None:
    """Digest of the document that stands under `key`, None if none does."""
    document = get_kind(key.kind).dump(key.name)
    return None if document is None else canonical.digest_of(document)


def _changes(documents: Iterable[tuple[Key, Json | None]]) -> list[Change]:
    """What really changes, in the order of application: new and changed documents by kind, then removals, last kind first."""
    seen: set[Key] = set()
    changes: list[Change] = []
    for key, new in documents:
        if key in seen:
            raise Invalid(f"{key} is named twice", faults=[Fault(str(key), "is named twice in one change set")])
        seen.add(key)
        old = get_kind(key.kind).dump(key.name)
        if not _same(old, new):
            changes.append(Change(key, old, new))
    if len(seen) > MAX_DOCUMENTS:
        raise Invalid(f"{len(seen):,} documents; at most {MAX_DOCUMENTS:,} are applied at once")
    order = {kind.name: place for place, kind in enumerate(all_kinds())}

    def place(change: Change) -> tuple[bool, int, str]:
        is_removal = change.new is None
        return is_removal, -order[change.key.kind] if is_removal else order[change.key.kind], change.key.name

    return sorted(changes, key=place)


def _same(old: Json | None, new: Json | None) -> bool:
    if old is None or new is None:
        return old is new
    try:
        return canonical.dump(old) == canonical.dump(new)
    except TypeError:
        return False  # no JSON value at all; `_shape_faults` says what


def _item(change: Change, overlay: Overlay, user: User | None, broken: Sequence[Fault] | None, *, is_whole: bool) -> Item:
    kind = get_kind(change.key.kind)
    action: Action = "remove" if change.new is None else "change" if change.old is not None else "add"
    missing, granted_by = ("", "") if user is None else _missing_right(kind, change.key, user)
    if not is_whole:  # nothing else can be asked of the set
        return Item(change, action, (), tuple(broken or ()), (), missing, granted_by)
    faults, guards, sentences = _asked(kind, change, overlay)
    if user is not None and not missing and not faults:
        missing = kind.missing(change, user)
    if user is not None and change.old is not None and not _may_view(kind, change.key, user):
        sentences = (f"Changes {change.key}, which you may not see.",)
    return Item(change, action, sentences, faults, guards, missing, granted_by)


def _asked(kind: Kind, change: Change, overlay: Overlay) -> tuple[tuple[Fault, ...], tuple[str, ...], tuple[str, ...]]:
    """Lint, guards and diff. A kind that refuses by raising is heard as well."""
    try:
        found = tuple(kind.lint(change, overlay))
    except Invalid as error:
        found = error.faults or (Fault("", error.detail),)
    if faults := tuple(coded(code_of(kind), found)):
        return faults, (), tuple(describe(change))
    guards = [*_dual_control(change), *kind.guards(change, overlay)]
    return (), tuple(dict.fromkeys(guards)), tuple(kind.diff(change) or describe(change))


def code_of(kind: Kind) -> str:
    """What a finding is called that has no code of its own: "RoutingTable" as routing_table."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.name).lower()


def _dual_control(change: Change) -> list[str]:
    """Judged by the document that stands: who takes the mark off needs two people to do it."""
    marked = change.old is not None and change.old["metadata"].get("dual_control", False)
    return [f"{change.key} is under dual control."] if marked else []


def _broken_elsewhere(overlay: Overlay) -> tuple[Fault, ...]:
    """Faults the set causes in documents that stand and are no part of it; faults they have anyway are not counted."""
    faults: list[Fault] = []
    for kind in all_kinds():
        for name in kind.names():
            key = Key(kind.name, name)
            document = None if key in overlay.changes else kind.dump(name)
            if document is None:
                continue
            as_it_stands = Change(key, document, document)
            after = kind.lint(as_it_stands, overlay)
            if after and _breaks(kind, as_it_stands, overlay):
                before = set(kind.lint(as_it_stands, Overlay(reader=overlay.reader)))
                faults += [_named(key, fault) for fault in ([fault for fault in after if fault not in before] or after)]
    return tuple(faults)


def _breaks(kind: Kind, as_it_stands: Change, overlay: Overlay) -> bool:
    """Is anything wrong now that was not before? Asked with everything in sight: what is not told is not let pass."""
    return not set(kind.lint(as_it_stands, replace(overlay, reader=None))) <= set(kind.lint(as_it_stands, Overlay()))


def _named(key: Key, fault: Fault) -> Fault:
    return replace(fault, where=f"{key}{fault.where}")


def _shape_faults(change: Change) -> tuple[Fault, ...]:
    """Is the new document JSON, small enough, of its schema, and about the key it came under?"""
    if change.new is None:
        return ()
    try:
        canonical.check_value(change.new)
    except Invalid as error:
        return error.faults
    size = len(canonical.dump(change.new))
    if size > MAX_PAYLOAD_BYTES:
        return (Fault("", f"{size:,} bytes; at most {MAX_PAYLOAD_BYTES:,} are accepted"),)
    faults = list(get_kind(change.key.kind).shape_faults(change.new))
    if not faults and Key(change.new["kind"], change.new["metadata"]["name"]) != change.key:
        faults = [Fault("/metadata/name", f"does not say {change.key}")]
    return tuple(faults)


def _missing_right(kind: Kind, key: Key, user: User) -> tuple[str, str]:
    """ "" if `user` may edit the document (or its area), else the sentence and the groups that hold the right."""
    if Area.objects.visible_to(user, "edit").filter(name=kind.area).exists():
        return "", ""
    row = kind.row(key.name)
    if row is not None and type(row)._default_manager.visible_to(user, "edit").filter(pk=row.pk).exists():
        return "", ""
    holders = {name for area in Area.objects.filter(name=kind.area) for name in groups_with(area, "edit")}
    holders |= set(groups_with(row, "edit")) if row is not None else set()
    granted_by = ", ".join(sorted(holders)) or "nobody yet; an admin can grant it"
    return f"Changing {key} needs “edit” on the area “{kind.area}” or on the document; granted to: {granted_by}", granted_by


def _may_view(kind: Kind, key: Key, user: User) -> bool:
    if Area.objects.visible_to(user, "view").filter(name=kind.area).exists():
        return True
    row = kind.row(key.name)
    return row is not None and type(row)._default_manager.visible_to(user, "view").filter(pk=row.pk).exists()
