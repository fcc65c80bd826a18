"""Who reviews a role and how often, as its document says (`review`): read, checked, told in words (docs/adr/0041)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.contrib.auth.models import Group

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from aegis.identity.seen import may_name

DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 730

SCHEMA: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "description": "Who confirms the grants of this role, and how often. Without: who may edit access, every 90 days.",
    "properties": {
        "group": {"type": "string", "minLength": 1, "maxLength": 80, "description": "Any of its people reviews."},
        "person": {"type": "string", "minLength": 1, "maxLength": 150, "description": "User name of the one who reviews."},
        "every_days": {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS},
    },
}


@dataclass(frozen=True, slots=True)
class Terms:
    """`group` and `person` are "" where the document names none: then whoever may edit access reviews."""

    group: str = ""
    person: str = ""
    every_days: int = DEFAULT_DAYS

    @property
    def every(self) -> timedelta:
        return timedelta(days=self.every_days)

    @property
    def who(self) -> str:
        if self.person:
            return self.person
        return f"the group {self.group}" if self.group else "whoever may edit access"


def read(spec: Json) -> Terms:
    said = spec.get("review", {})
    return Terms(said.get("group", ""), said.get("person", ""), said.get("every_days", DEFAULT_DAYS))


def faults(name: str, spec: Json, old: Json | None, overlay: Overlay) -> Iterator[Fault]:
    """What speaks against the reviewer named.

    Args:
        old: the spec that stands; a person who left since it was written is an alarm, not a fault of every other change.
    """
    terms = read(spec)
    if terms.group and terms.person:
        yield Fault("/spec/review", "names a group and a person", "name one of them")
    if terms.group == name and spec.get("people", False):
        yield Fault("/spec/review/group", "who holds the role cannot review it", "name another group, or a person")
    elif terms.group and not _is_group(terms.group, overlay):
        yield Fault("/spec/review/group", f"there is no group {terms.group!r}")
    stood = old is not None and read(old).person == terms.person
    if terms.person and not stood and not may_name(terms.person, overlay.reader):
        yield Fault("/spec/review/person", f"there is no active person {terms.person!r} that you may name")


def changed(name: str, old: Json | None, new: Json | None) -> tuple[list[str], list[str]]:
    """The change in words, and why two others must approve it: a review is a guard, and one person alone loosens none."""
    if new is None or (old is None and "review" not in new):
        return [], []
    before, after = read(old or {}), read(new)
    if before == after:
        return [], []
    words = [f"{name} is reviewed by {after.who}, every {after.every_days} days."]
    guards = []
    if after.every_days > before.every_days:
        guards.append(f"{name} would be reviewed every {after.every_days} days, no longer every {before.every_days}.")
    if (before.group or before.person) and after.who != before.who:
        guards.append(f"{name} would no longer be reviewed by {before.who}.")
    return words, guards


def _is_group(name: str, overlay: Overlay) -> bool:
    role = overlay.get("Role", name)
    return bool(role and role["spec"].get("people", False)) or Group.objects.filter(name=name).exists()
