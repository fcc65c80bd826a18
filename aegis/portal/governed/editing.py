"""Editing one document: its text, a check that shows faults with lines and the change in words, and change control.

The form writes nothing by itself: its text becomes the new document of a change set (`approvals.changes`). Whatever goes
wrong, the text comes back as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from aegis.core import canonical, refusals
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Invalid, NotFound, Stale
from aegis.core.kinds import API_VERSION, Key
from aegis.core.manifests import Manifest
from aegis.identity.models import User
from aegis.portal.governed import texts
from aegis.portal.governed.kinds import KindPages
from aegis.portal.governed.pages import editable_row, forbidden, frame, may_create, url_of
from aegis.portal.governed.versions import TextLine, diff_as_text
from approvals import changes
from approvals.models import ChangeSet, Governed
from approvals.previews import Preview

MAX_REASON = 2_000
_VERSIONED = re.compile(r"(.+)@([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Place:
    """A fault with line and column of the text it stands in; None where the text could not be read that far."""

    fault: Fault
    line: int | None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """The form as it came. `base` is the digest of the document the text was made from; "" for a new one."""

    text: str
    reason: str = ""
    base: str = ""
    do: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Posted:
        text = request.POST.get("text", "").replace("\r\n", "\n")
        reason = request.POST.get("reason", "").strip()[:MAX_REASON]
        return cls(text, reason, request.POST.get("base", "")[:64], request.POST.get("do", "check"))


@dataclass(slots=True)
class Outcome:
    """What the form shows under the text."""

    places: list[Place] = field(default_factory=list)
    preview: Preview | None = None
    lines: list[TextLine] = field(default_factory=list)
    error: AegisError | None = None
    is_stale: bool = False
    reason_fault: str = ""  # belongs under the reason, not into the text
    extra: dict[str, Any] = field(default_factory=dict)  # what the kind shows beside the text, see `KindPages.beside`

    @property
    def status(self) -> int:
        return self.error.http_status if self.error else 200

    @property
    def may_apply(self) -> bool:
        shown = self.preview
        return bool(shown and not shown.is_empty and not shown.faults and not shown.missing and not self.error)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    row = editable_row(request, kind, pk)
    if request.method != "POST":
        text = texts.to_text(canonical.parse(row.document))
        return _form(request, kind, row, Posted(text, base=row.digest), Outcome())
    return _posted(request, kind, row, Posted.of(request))


@require_http_methods(["GET", "HEAD", "POST"])
def create_page(request: HttpRequest, kind: KindPages) -> HttpResponse:
    if not may_create(request.user, kind):
        raise forbidden(None, kind)
    if request.method != "POST":
        return _form(request, kind, None, Posted(texts.to_text(_skeleton(request, kind))), Outcome())
    return _posted(request, kind, None, Posted.of(request))


@require_POST
def live_edit(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    """What the editor shows beside a text while it is typed: findings, the change in words, what the kind draws."""
    return _live(request, kind, editable_row(request, kind, pk))


@require_POST
def live_create(request: HttpRequest, kind: KindPages) -> HttpResponse:
    if not may_create(request.user, kind):
        raise forbidden(None, kind)
    return _live(request, kind, None)


def _live(request: HttpRequest, kind: KindPages, row: Governed | None) -> HttpResponse:
    """Always 200: what is wrong with the text is what was asked."""
    posted = Posted.of(request)
    outcome = _judged(cast(User, request.user), kind, row, posted)
    return render(request, "portal/_outcome.html", {"kind": kind, "row": row, "posted": posted, "outcome": outcome})


def _judged(user: User, kind: KindPages, row: Governed | None, posted: Posted) -> Outcome:
    """The text, read and judged; nothing is changed."""
    outcome = Outcome()
    read: Manifest | None = None
    try:
        read = texts.from_text(posted.text)
        key = _key(kind, row, read)
        outcome.preview = changes.preview([(key, read.document)], user)
        outcome.places = places_of(outcome.preview.faults, key, read)
        outcome.lines = diff_as_text(canonical.parse(row.document) if row else None, read.document)
    except AegisError as error:
        outcome.error = error
        outcome.places = places_of(error.faults, None, read)
    if read is not None and kind.beside is not None:
        outcome.extra = kind.beside(read.document, user, row)
    return outcome


def _posted(request: HttpRequest, kind: KindPages, row: Governed | None, posted: Posted) -> HttpResponse:
    user = cast(User, request.user)
    if posted.do == "rebase" and row is not None:  # the reader has seen what stands and goes on from it
        posted = Posted(posted.text, posted.reason, row.digest, "check")
    if posted.do == "remove" and row is not None:
        return _remove(request, kind, row, posted)
    outcome = _judged(user, kind, row, posted)
    if posted.do == "apply" and outcome.error is None:
        try:
            read = texts.from_text(posted.text)
            key = _key(kind, row, read)
            bases = {key: posted.base or None}
            change_set = changes.propose(
                [(key, read.document)], author=user, actor=_actor(user), reason=posted.reason, bases=bases
            )
            return done(request, kind, key, change_set)
        except AegisError as error:
            outcome.error = error
            outcome.is_stale = isinstance(error, Stale)
            outcome.reason_fault = _reason_fault(error)
            if not outcome.places and not outcome.reason_fault:
                outcome.places = places_of(error.faults, None, None)
    return _form(request, kind, row, posted, outcome)


def _remove(request: HttpRequest, kind: KindPages, row: Governed, posted: Posted) -> HttpResponse:
    user = cast(User, request.user)
    key = Key(kind.kind, row.name)
    try:
        change_set = changes.propose(
            [(key, None)], author=user, actor=_actor(user), reason=posted.reason, bases={key: posted.base or None}
        )
    except AegisError as error:
        fault = _reason_fault(error)
        places = [] if fault else places_of(error.faults, key, None)
        outcome = Outcome(places=places, error=error, is_stale=isinstance(error, Stale), reason_fault=fault)
        return _form(request, kind, row, posted, outcome)
    return done(request, kind, key, change_set)


def _form(request: HttpRequest, kind: KindPages, row: Governed | None, posted: Posted, outcome: Outcome) -> HttpResponse:
    context = frame(request, kind, row, "edit")
    context |= {
        "posted": posted,
        "outcome": outcome,
        "max_reason": MAX_REASON,
        "needs_two": bool(outcome.preview and outcome.preview.guards),
        "cell": request.GET.get("cell", "")[:200],
        "live_url": url_of(row, "live") if row is not None else reverse(f"{kind.prefix}_add_live"),
    }
    page = render(request, "portal/edit.html", context, status=outcome.status)
    return refusals.mark(page, outcome.error) if outcome.error else page


def done(request: HttpRequest, kind: KindPages, key: Key, change_set: ChangeSet) -> HttpResponse:
    if change_set.status == ChangeSet.Status.PROPOSED:
        messages.info(request, f"{key} is touched by a rule of two: others decide. Nothing has changed yet.")
        return HttpResponseRedirect(_request_url(change_set))
    row = kind.model.objects.visible_to(request.user).filter(name=key.name).first()
    if row is None:
        messages.success(request, f"{key} is removed." if not _stands(kind, key) else f"{key} is applied.")
        return HttpResponseRedirect(reverse(f"{kind.prefix}_changelist"))
    messages.success(request, f"Applied as version {row.version}.")
    return HttpResponseRedirect(url_of(row))


def _stands(kind: KindPages, key: Key) -> bool:
    return kind.model._default_manager.filter(name=key.name).exists()


def _request_url(change_set: ChangeSet) -> str:
    return reverse("approvals:request", args=[change_set.pk])


def _key(kind: KindPages, row: Governed | None, read: Manifest) -> Key:
    """The key the text is about. A document keeps its name for life; another name is another document."""
    key = read.key
    if key.kind != kind.kind:
        raise _invalid("/kind", f"this page is about {kind.plural}; kind must be {kind.kind}")
    if row is not None and key.name != row.name:
        raise _invalid(
            "/metadata/name", f"this page changes “{row.name}”; a name never changes, add a new document for another"
        )
    if row is None and _stands(kind, key):
        raise _invalid("/metadata/name", f"there is a {kind.singular} “{key.name}” already")
    return key


def _skeleton(request: HttpRequest, kind: KindPages) -> Json:
    """The text a new document starts from; `?copy=<name>` starts from one the reader may see."""
    whole: dict[str, Any] = {"apiVersion": API_VERSION, "kind": kind.kind}
    copied = request.GET.get("copy", "")
    if not copied:
        return {**whole, **kind.skeleton}
    row = kind.model.objects.visible_to(request.user).filter(name=copied).first()
    if row is None:
        raise NotFound
    if kind.is_ended_by_another:
        return {**whole, "metadata": {"name": f"{row.name}-ended"}, "spec": {"ends": row.name, "basis": "", "owner": ""}}
    document: dict[str, Any] = canonical.parse(row.document)
    document["metadata"] = {**document["metadata"], "name": _next_name(row.name)}
    return document


def _next_name(name: str) -> str:
    found = _VERSIONED.fullmatch(name)
    return f"{found[1]}@{int(found[2]) + 1}" if found else f"{name}-copy"


def places_of(faults: Iterable[Fault], key: Key | None, read: Manifest | None) -> list[Place]:
    """Faults in the order of their lines, those of no line first; "Kind/name/pointer", as change control names a place, loses
    its first two parts."""
    places = []
    for fault in faults:
        where = fault.where.removeprefix(str(key)) if key is not None else fault.where
        line, column = read.place(where) if read is not None and where.startswith("/") else _stated_place(where)
        places.append(Place(replace(fault, where=where), line, column))
    return sorted(places, key=lambda place: (place.line or 0, place.column or 0))


def _reason_fault(error: AegisError) -> str:
    return error.detail if any(fault.where == "/reason" for fault in error.faults) else ""


def _stated_place(where: str) -> tuple[int, int] | tuple[None, None]:
    found = re.match(r"line (\d{1,6}), column (\d{1,6})", where)
    return (int(found[1]), int(found[2])) if found else (None, None)


def _actor(user: User) -> Any:
    return user_actor(user.pk, auth="session")


def _invalid(where: str, what: str) -> Invalid:
    return Invalid(what, faults=[Fault(where, what)])
