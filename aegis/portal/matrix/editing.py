"""Changing cells: the form of one, the draft of many, the review before they are applied through change control."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from aegis.core import canonical
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, NotFound, Stale
from aegis.core.kinds import Overlay
from aegis.identity.models import User
from aegis.portal.governed.editing import MAX_REASON
from aegis.portal.governed.kinds import pages_of
from aegis.portal.governed.pages import editable_row
from aegis.portal.matrix import cell_form, cells
from aegis.portal.matrix.affected import Affected, affected
from aegis.portal.matrix.drafts import Draft, label_of, standing_cell
from aegis.portal.matrix.views import lock_view, require_access
from approvals import approvers, changes, previews
from approvals.models import ApprovalPolicy, ChangeSet
from approvals.previews import Preview
from orchestration.authority import scope_tests
from orchestration.authority.grant_limits import DAYS
from orchestration.authority.models import Capability, Role
from orchestration.authority.scope_tests import Result


@dataclass(slots=True)
class Review:
    """What would happen if the draft were applied, and what came of trying."""

    preview: Preview | None = None
    affected: Affected | None = None
    moved: list[str] = field(default_factory=list)  # roles changed, or gone, since their cells were
    error: AegisError | None = None
    tests: list[Result] = field(default_factory=list)  # every scope test that may be told, as it would be answered

    @property
    def failing(self) -> list[Result]:
        return [one for one in self.tests if not one.is_met]

    @property
    def reason_fault(self) -> str:
        found = self.error.faults if self.error else ()
        return self.error.detail if self.error and any(fault.where == "/reason" for fault in found) else ""

    @property
    def faults(self) -> list[Fault]:
        return list(self.preview.faults) if self.preview else []

    @property
    def may_apply(self) -> bool:
        shown = self.preview
        return bool(shown and not shown.is_empty and not shown.faults and not shown.missing and not self.moved)


@require_http_methods(["GET", "HEAD", "POST"])
def cell_page(request: HttpRequest) -> HttpResponse:
    """The form of one cell: a drawer of the grid, and a page of its own without JavaScript.

    A post keeps the cell in the draft, checks it as it is typed (`do=check`), gives it its next state (`do=next`), or takes it
    back to what stands (`do=revert`). Nothing is applied here.
    """
    require_access(request)
    given = request.POST if request.method == "POST" else request.GET
    capability = Capability.objects.filter(name=given.get("capability", "")).first()
    row = Role.objects.get_visible(request.user, name=given.get("role", ""))
    if capability is None:
        raise NotFound
    editable_row(request, pages_of("Role"), row.pk)
    draft = Draft(request.session)
    if request.method != "POST":
        shown = draft.cells().get((row.name, capability.name), standing_cell(row, capability.name))
        return _form(request, row, capability, cell_form.fill(shown), [])
    match request.POST.get("do"):
        case "next":
            draft.put(row, capability.name, _next(draft, row, capability.name))
        case "revert":
            draft.revert(row.name, capability.name)
        case do:
            typed = cell_form.read(request.POST)
            grant = cell_form.cell_of(typed, capability.name)
            people = _is_for_people(row)
            faults = cell_form.judge(row.name, grant, request.user, is_for_people=people)
            if do == "check":
                said = "" if faults else cell_form.words(row.name, grant, is_for_people=people)
                return render(request, "portal/_cell_check.html", {"faults": faults, "said": said})
            if faults:
                return _form(request, row, capability, typed, faults)
            draft.put(row, capability.name, grant)
    return _kept(request, draft, row, capability.name)


@require_http_methods(["GET", "HEAD", "POST"])
def review_page(request: HttpRequest) -> HttpResponse:
    """The draft in words, whom it affects, what speaks against it; then it is applied, or its approval asked for."""
    require_access(request)
    draft = Draft(request.session)
    if request.method == "POST" and request.POST.get("do") == "rebase":
        draft.rebase()
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:MAX_REASON]
    review = _reviewed(draft, cast(User, request.user))
    if request.method == "POST" and request.POST.get("do") == "apply" and not review.moved:
        try:
            return _applied(request, draft, reason)
        except AegisError as error:
            review.error = error
            if isinstance(error, Stale):
                review.moved = _moved(draft)
    context = {
        "title": "Review changes",
        "review": review,
        "cells": draft.cells(),
        "reason": reason,
        "approvers": approvers.of_change(cast(User, request.user)) if review.preview and review.preview.guards else None,
        "max_reason": MAX_REASON,
        "matrix": cells.current(),
    }
    return render(request, "portal/matrix_review.html", context, status=review.error.http_status if review.error else 200)


@require_POST
def discard(request: HttpRequest) -> HttpResponse:
    require_access(request)
    Draft(request.session).clear()
    messages.info(request, "The changes that were not applied are discarded.")
    return HttpResponseRedirect(reverse("portal:matrix"))


def _form(request: HttpRequest, row: Role, capability: Capability, typed: cell_form.Typed, faults: list[Fault]) -> HttpResponse:
    matrix = cells.current()
    spec = canonical.parse(capability.document)["spec"]
    context = {
        "title": f"{row.name} × {capability.name}",
        "role": row,
        "capability": capability,
        "typed": typed,
        "faults": faults,
        "facts": cell_form.facts(spec["parameters"]),
        "policies": ApprovalPolicy.objects.visible_to(request.user).order_by("name").values_list("name", flat=True),
        "locks": [lock_view(lock.name) for lock in matrix.locks.get(capability.name, ())],
        "days": DAYS,
        "effects": [(effect, *cells.MARKS[effect][1:]) for effect in cell_form.EFFECTS],
        "standing": cells.MARKS[label_of(standing_cell(row, capability.name))][2],
        "is_unsaved": (row.name, capability.name) in Draft(request.session).cells(),
    }
    template = "portal/_cell_form.html" if _is_fetched(request) else "portal/cell_form.html"
    return render(request, template, context, status=422 if faults else 200)


def _kept(request: HttpRequest, draft: Draft, row: Role, capability: str) -> HttpResponse:
    """What the grid shows of the cell now."""
    if not _is_fetched(request):
        return HttpResponseRedirect(reverse("portal:matrix"))
    changed = draft.cells()
    shown = cells.cell(cells.current(), row.name, capability)
    if (row.name, capability) in changed:
        shown = cells.unsaved(shown, changed[row.name, capability])
    detail = "raised to its gate" if shown.raised else shown.detail or (f"was {shown.was}" if shown.was else "")
    return JsonResponse({"label": shown.label, "word": shown.word, "detail": detail, "was": shown.was, "unsaved": len(changed)})


def _next(draft: Draft, row: Role, capability: str) -> Json | None:
    """The state after the one shown: empty, allow, allow if, gate, deny. A condition or policy typed before comes back with its
    state; where there is none, the state is passed over."""
    standing = standing_cell(row, capability)
    shown = draft.cells().get((row.name, capability), standing)
    kept = {**({label_of(standing): standing} if standing is not None else {}), **draft.kept(row.name, capability)}
    states: list[Json | None] = [None, kept.get("allow", {"capability": capability, "effect": "allow"})]
    if "allow_if" in kept:
        states.append(kept["allow_if"])
    if gate := kept.get("gate") or _any_gate(capability):
        states.append(gate)
    states.append(kept.get("deny", {"capability": capability, "effect": "deny"}))
    labels = [label_of(state) for state in states]
    return states[(labels.index(label_of(shown)) + 1) % len(states)]


def _any_gate(capability: str) -> Json | None:
    """A gate to start from: under the policy of the capability's floor lock, else the first that stands."""
    locks = cells.current().locks.get(capability, ())
    others = ApprovalPolicy.objects.exclude(name=changes.CONFIG_POLICY).order_by("name").values_list("name", flat=True)
    policy = locks[0].policy if locks else others.first()
    return {"capability": capability, "effect": "gate", "policy": policy} if policy else None


def _reviewed(draft: Draft, user: User) -> Review:
    review = Review(moved=_moved(draft))
    documents = draft.documents()
    if not documents:
        return review
    try:
        review.preview = changes.preview(documents, user)
        every = scope_tests.run_all(Overlay(dict(documents), user))
        review.tests = [one for one in every if one.is_told]
        if not review.preview.faults:
            review.affected = affected(cells.current(), documents, draft.cells(), user)
    except AegisError as error:
        review.error = error
    return review


def _moved(draft: Draft) -> list[str]:
    return sorted(key.name for key, base in draft.bases().items() if previews.base_digest(key) != base)


def _applied(request: HttpRequest, draft: Draft, reason: str) -> HttpResponse:
    user = cast(User, request.user)
    count = len(draft.cells())
    change_set = changes.propose(
        draft.documents(), author=user, actor=user_actor(user.pk, auth="session"), reason=reason, bases=draft.bases()
    )
    draft.clear()
    if change_set.status == ChangeSet.Status.PROPOSED:
        messages.info(request, "Something guarded is touched: others decide. Nothing has changed yet.")
        return HttpResponseRedirect(reverse("approvals:request", args=[change_set.pk]))
    messages.success(request, f"{count} {'change' if count == 1 else 'changes'} applied.")
    return HttpResponseRedirect(reverse("portal:matrix"))


def _is_for_people(row: Role) -> bool:
    spec: Any = canonical.parse(row.document)["spec"]
    return bool(spec.get("people", False))


def _is_fetched(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"
