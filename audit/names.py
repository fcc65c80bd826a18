"""Names for the opaque ids in lines. Lines keep ids only; names live elsewhere, may change, and may be erased.

Audit knows people. What a scope's ids stand for comes from its owner (`scopes.register_names`), the business key of a run
through `register_runs`; what nobody names is shown by its short id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q
from django.urls import NoReverseMatch, reverse

from aegis.identity.models import User
from audit import scopes

RunKeys = Callable[[Iterable[UUID]], Mapping[UUID, str]]
RunFinder = Callable[[str], Iterable[UUID]]

_run_keys: RunKeys | None = None
_run_finder: RunFinder | None = None

# Pages of the rooms above, known by name only; a room that is not there is simply not linked.
_PAGES = {"run": "runs:run", "request": "approvals:request", "review": "review:item"}
_LABELS = {"run": "RUN", "request": "APR", "review": "REV"}


def register_runs(keys: RunKeys, finder: RunFinder) -> None:
    """Called at start-up by the engine.

    Args:
        keys: run ids -> business keys.
        finder: text -> ids of runs whose business key begins with it, at most a few hundred.
    """
    global _run_keys, _run_finder
    _run_keys, _run_finder = keys, finder


@dataclass(slots=True)
class Names:
    """What one page needs to know."""

    people: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keys: Mapping[UUID, str] = field(default_factory=dict)

    def actor(self, kind: str, ref: str, agent: str) -> str:
        if kind == "system":
            return "AEGIS"
        if kind == "agent":
            return agent or self.scopes.get(("agent", ref)) or f"agent {ref[:8]}"
        return self.person(ref)

    def person(self, ref: str) -> str:
        return self.people.get(ref) or (f"person {ref[:8]}" if ref else "somebody unknown")

    def subject(self, run_id: UUID | None) -> str:
        if run_id is None:
            return ""
        return self.keys.get(run_id) or label("run", str(run_id))


def load(people: set[str], things: set[tuple[str, str]], runs: set[UUID]) -> Names:
    """Look everything up: one query for people, one per scope that occurs, one for runs."""
    ids = [ref for ref in people if is_uuid(ref)]
    found = User.objects.filter(pk__in=ids) if ids else ()
    titles: dict[tuple[str, str], str] = {}
    for scope in sorted({scope for scope, _ in things}):
        wanted = sorted({ref for kind, ref in things if kind == scope and is_uuid(ref)})
        titles.update({(scope, ref): title for ref, title in scopes.names_of(scope, wanted).items()})
    return Names(
        people={str(person.pk): person.display_name for person in found},
        scopes=titles,
        keys=_run_keys(runs) if _run_keys is not None and runs else {},
    )


def people_called(text: str, limit: int = 50) -> list[str]:
    """Ids of people whose name holds `text`."""
    named = Q(username__icontains=text) | Q(first_name__icontains=text) | Q(last_name__icontains=text)
    return [str(pk) for pk in User.objects.filter(named).values_list("pk", flat=True)[:limit]]


def runs_called(text: str) -> list[UUID]:
    """Ids of runs whose business key begins with `text`. What of them may be seen is for `Event.visible_to` to say."""
    return list(_run_finder(text)) if _run_finder is not None else []


def runs_with_key(key: str) -> list[UUID]:
    """Ids of runs whose business key is exactly `key`, the newest few hundred."""
    called = runs_called(key)
    keys = _run_keys(called) if _run_keys is not None and called else {}
    return [run_id for run_id in called if keys.get(run_id) == key]


def label(prefix: str, ref: str) -> str:
    """RUN-3F2A91, as the rooms above call their things."""
    return f"{_LABELS.get(prefix, prefix)}-{ref.replace('-', '')[:6].upper()}"


def stream_label(stream: str) -> str:
    """A stream for people: RUN-3F2A91 instead of run:3f2a91…"""
    prefix, _, ref = stream.partition(":")
    return label(prefix, ref) if prefix in _LABELS else stream


def url_of(stream: str) -> str:
    """The page of what a stream is about; "" if it has none."""
    prefix, _, ref = stream.partition(":")
    try:
        return reverse(_PAGES[prefix], args=[UUID(ref)])
    except (KeyError, ValueError, NoReverseMatch):
        return ""


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
