"""Governed objects as the journal names them: which events are about one, what people call it, where its page is.

Role/clerk, Agent/triage, ApprovalPolicy/two-people, ...   a document, by kind and name
Person/<id>, Group/<name>                                  who holds rights
Run/<id or label>, Item/<business key>                     a run; all runs of one key
Request/<id>, Review/<id>                                  a decision that was asked, an item of a queue
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from aegis.core import kinds
from audit import names
from audit.index import things as indexed
from audit.index import words
from audit.index.models import Touched
from audit.models import Event

_STREAMS: Final = {"Request": "request", "Review": "review"}
_RUNS: Final = ("Run", "Item")


@dataclass(frozen=True, slots=True)
class Thing:
    """One object for people. `url` is its own page, "" if it has none; who may not see it is told so there."""

    key: str
    title: str
    url: str = ""

    @property
    def history_url(self) -> str:
        return history_url(self.key)


def condition(key: str) -> Q:
    """On rows of the index: the events about an object. Who may see them is asked beside it, as always."""
    kind, _, ref = key.partition("/")
    if kind == "Run":
        return of_run(ref)
    if kind == "Item":
        # By business key, under the run's own scope only: whoever sees a policy does not see the key.
        return Q(run_id__in=names.runs_with_key(ref), scope="workflow")
    if kind in _STREAMS:
        return Q(event_id__in=Event.objects.filter(stream=f"{_STREAMS[kind]}:{ref}").values("pk"))
    return Q(position__in=Touched.objects.filter(thing=key).values("position"))


def of_run(text: str) -> Q:
    """The events of runs by id, label ("RUN-3F2A91") or the beginning of a business key."""
    try:
        return Q(run_id=UUID(text))
    except ValueError:
        pass
    if digits := words.run_digits(text):
        return Q(run_id__gte=UUID(digits.ljust(32, "0")), run_id__lte=UUID(digits.ljust(32, "f")))
    # By business key, under the run's own scope only: whoever sees a policy does not see the key.
    return Q(run_id__in=names.runs_called(text), scope="workflow")


def of_event(event: Event) -> tuple[str, ...]:
    """The objects an event is about, its run, request or item first."""
    prefix, _, ref = event.stream.partition(":")
    kind = {"run": "Run", "request": "Request", "review": "Review"}.get(prefix)
    return (f"{kind}/{ref}",) if kind else indexed.things_of(event)


def title(key: str, called: str = "") -> str:
    """ "Role clerk", "Person Ada Okoye", "RUN-3F2A91".

    Args:
        called: the name of a person, whose key holds an id.
    """
    kind, _, ref = key.partition("/")
    if kind in ("Run", "Request", "Review"):
        prefix = kind.lower()
        return names.label(prefix, ref) if names.is_uuid(ref) else ref
    if kind == "Person":
        return called or f"Person {ref[:8]}"
    if kind == "Item":
        return f"Item {ref}"
    return f"{_words(kind)} {ref}"


def told(key: str) -> Thing:
    """An object by the words of its key alone: no query."""
    return Thing(key, title(key))


def known(key: str) -> Thing:
    """An object with its name and page. One query for a person or a group, none for the rest."""
    kind, _, ref = key.partition("/")
    if kind == "Person":
        return Thing(
            key, title(key, names.load({ref}, set(), set()).people.get(ref, "")), _reverse("portal:permissions-person", ref)
        )
    if kind == "Group":
        pk = Group.objects.filter(name=ref).values_list("pk", flat=True).first()
        return Thing(key, title(key), _reverse("portal:permissions-group", pk) if pk else "")
    if kind in ("Run", *_STREAMS):
        return Thing(key, title(key), names.url_of(f"{kind.lower()}:{ref}"))
    if kind in {one.name for one in kinds.all_kinds()}:
        return Thing(key, title(key), f"{_reverse('portal:open', kind)}?{urlencode({'name': ref})}")
    return Thing(key, title(key))


def history_url(key: str) -> str:
    return f"{reverse('audit:history')}?{urlencode({'object': key})}"


def _words(kind: str) -> str:
    """ "ApprovalPolicy" -> "Approval policy"."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    return spaced[:1].upper() + spaced[1:]


def _reverse(name: str, *arguments: object) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:  # a room that is not there, or an id that is none
        return ""
