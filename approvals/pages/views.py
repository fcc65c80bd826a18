"""Pages of the approvals inbox. They hold no rules: `gates` decides who may do what; here it is asked and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from aegis.core import refusals
from aegis.core.actors import user_actor
from aegis.core.errors import AegisError, Conflict, Fault, Forbidden, Invalid, NotFound, Stale
from aegis.core.pages import etag_of, not_modified, partial
from aegis.core.visibility import one_look
from aegis.identity import signins
from aegis.identity.models import User
from approvals import editing, gates, handling, questions, signing
from approvals.models import ApprovalRequest, Decision
from approvals.pages import forms, proving
from approvals.pages.detail import Detail, detail, sees_run_of
from approvals.pages.inbox import MAX_KEPT, Filters, Inbox, inbox, next_to_decide
from audit import names

_FORMS = ("approve", "reject", "request_changes", "edit")


class SubjectNotTyped(Invalid):
    """A high risk asks for the subject in the approver's own typing."""

    code, title = "subject_not_typed", "Type the subject"


@require_safe
@one_look()
def inbox_page(request: HttpRequest) -> HttpResponse:
    """The list, and beside it, when wide, a place for the request the reader picks."""
    user = _person(request)
    filters = Filters.of(request.GET)
    if request.GET.get("part") == "list":
        return _list_part(request, user, filters)
    found = inbox(user, filters)
    return render(request, "approvals/inbox.html", _list_context(found, filters))


@require_safe
@one_look()
def request_page(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """One request; with the list beside it unless only the pane was asked for."""
    user = _person(request)
    row = _visible(user, request_id)
    form = request.GET.get("form", "")
    context = _pane_context(request, user, row, form=form if form in _FORMS else "")
    if request.GET.get("part") == "pane":
        return render(request, "approvals/_pane.html", context)
    return render(request, "approvals/inbox.html", context)


@require_safe
@one_look()
def pulse(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Did it move while the reader looks at it? Polled; empty as long as nothing happened."""
    user = _person(request)
    row = _visible(user, request_id)
    shown = detail(user, row)
    moved = (str(row.seq), shown.shown_digest) != (request.GET.get("seq", ""), request.GET.get("digest", ""))
    return partial(request, "approvals/_pulse.html", {"detail": shown, "moved": moved})


@require_POST
def decide(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """A decision. Refused, the page comes back with what was typed; recorded, the next request opens."""
    user = _person(request)
    row = _visible(user, request_id)
    verdict, reason = request.POST.get("verdict", ""), request.POST.get("reason", "")
    filters = _filters_posted(request)
    try:
        _require_typed(request, user, row, verdict)
        decided = gates.decide(
            row.pk,
            person=user,
            auth="session",
            verdict=verdict,
            reason=reason,
            seen_digest=(seen := request.POST.get("seen_digest", "")),
            proved_at=proving.proved_at(request, user, request.POST.get("password", "")),
            seconds_open=proving.seconds_open(request.POST.get("opened", ""), row.pk, seen),
        )
    except NotFound:
        raise
    except (Invalid, Stale, Conflict, Forbidden) as error:
        return _refused(request, user, request_id, filters, error)
    following = next_to_decide(user, filters, decided)
    word = Decision.Verdict(verdict).label.capitalize()
    if decided.status == decided.Status.APPROVED and (
        aftermath := questions.get(decided.question).live(decided.subject).aftermath
    ):
        messages.warning(request, f"{decided.label}: {aftermath}")
    rest = "The next request is open." if following else "That was the last one you can decide."
    messages.success(request, format_html("{}: {} {}", word, _decided_links(user, decided), rest))
    if following is None:
        return redirect(f"{reverse('approvals:inbox')}{filters.query()}")
    return redirect(f"{reverse('approvals:request', args=[following.pk])}{filters.query()}")


@require_POST
def edit(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Other parameters, from the form made of their contract. Refused, the page comes back with what was typed."""
    user = _person(request)
    row = _visible(user, request_id)
    filters = _filters_posted(request)
    try:
        editing.edit(
            row.pk,
            actor=user_actor(user.pk, auth="session"),
            parameters=forms.parameters(user, row, request.POST),
            reason=request.POST.get("reason", ""),
            seen_digest=request.POST.get("seen_digest", ""),
        )
    except NotFound:
        raise
    except (Invalid, Stale, Conflict, Forbidden) as error:
        return _refused(request, user, request_id, filters, error, form="edit")
    messages.success(request, f"{row.label} is edited. Somebody else decides about it now.")
    return redirect(f"{reverse('approvals:request', args=[row.pk])}{filters.query()}")


@require_POST
def handle(request: HttpRequest, request_id: UUID, verb: str) -> HttpResponse:
    """Claim, release, reassign, escalate, comment, withdraw. Refused, the page comes back with what was typed."""
    user = _person(request)
    row = _visible(user, request_id)
    actor, text = user_actor(user.pk, auth="session"), request.POST.get("reason", "")
    try:
        match verb:
            case "claim":
                handling.claim(row.pk, actor=actor, reason=text)
            case "release":
                handling.release(row.pk, actor=actor, reason=text)
            case "comment":
                handling.comment(row.pk, actor=actor, text=text)
            case "reassign":
                handling.reassign(row.pk, to=_picked(request.POST.get("to", "")), actor=actor, reason=text)
            case "escalate":
                handling.escalate(row.pk, actor=actor, reason=text)
            case "withdraw":
                handling.withdraw(row.pk, actor=actor, reason=text)
            case _:
                raise NotFound
    except NotFound:
        raise
    except (Invalid, Conflict, Forbidden) as error:
        return _refused(request, user, request_id, _filters_posted(request), error)
    return redirect(f"{reverse('approvals:request', args=[row.pk])}{_filters_posted(request).query()}")


def _picked(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("Pick somebody", faults=[Fault("/to", "pick somebody")]) from None


def _decided_links(user: User, decided: ApprovalRequest) -> str:
    """The request, and its run for who may see it: "APR-1. RUN-2 (req-7)."."""
    said = format_html('<a href="{}">{}</a>.', reverse("approvals:request", args=[decided.pk]), decided.label)
    if decided.run_id is None or not sees_run_of(user, decided):
        return said
    url, label = names.url_of(f"run:{decided.run_id}"), names.label("run", str(decided.run_id))
    key = names.load(set(), set(), {decided.run_id}).subject(decided.run_id)
    return format_html('{} <a href="{}">{}{}</a>.', said, url, label, f" ({key})" if key != label else "")


def _list_part(request: HttpRequest, user: User, filters: Filters) -> HttpResponse:
    found = inbox(user, filters, keep=_kept(request))
    context = _list_context(found, filters)
    etag = _list_etag(user, found)
    return not_modified(request, etag) or partial(request, "approvals/_list.html", context, etag=etag)


def _list_etag(user: User, found: Inbox) -> str:
    rows = [(row.request.pk, row.request.seq, row.request.status, row.left.word) for row in found.rows]
    return etag_of(user.pk, found.filters, rows, [tab.count for tab in found.tabs])


def _kept(request: HttpRequest) -> list[UUID]:
    kept = []
    for text in request.GET.get("keep", "").split(",")[:MAX_KEPT]:
        try:
            kept.append(UUID(text))
        except ValueError:
            continue
    return kept


def _list_context(found: Inbox, filters: Filters) -> dict[str, Any]:
    return {"inbox": found, "filters": filters, **_addresses(filters), "view": "list", "title": "Approvals"}


def _pane_context(
    request: HttpRequest,
    user: User,
    row: ApprovalRequest,
    *,
    filters: Filters | None = None,
    form: str = "",
    typed: Mapping[str, str] | None = None,
    error: AegisError | None = None,
) -> dict[str, Any]:
    filters = filters or Filters.of(request.GET)
    shown: Detail = detail(user, row)
    posted = request.POST if form == "edit" and request.method == "POST" else None
    return {
        "detail": shown,
        "filters": filters,
        **_addresses(filters),
        "view": "item",
        "title": shown.title,
        "form": form if shown.is_open else "",
        "typed": typed or {},
        "error": error,
        "faults": _by_place(error),
        "edit": forms.edit_form(row, shown.proposal, posted, error) if shown.may_edit else None,
        "must_prove": signing.step_up(row, shown.stands.policy, signins.proved_at(request), shown.at) is not None,
        "opened": proving.opened(row, shown.shown_digest),
        "link": request.build_absolute_uri(reverse("approvals:request", args=[row.pk])),
    }


def _addresses(filters: Filters) -> dict[str, str]:
    """The list's query string, and the same ready for one more parameter."""
    query = filters.query()
    return {"query": query, "query_and": f"{query}&" if query else "?"}


def _by_place(error: AegisError | None) -> dict[str, str]:
    """Field name -> fault, for the faults that name a field of the form."""
    faults = error.faults if error else ()
    return {fault.where.strip("/"): fault.what for fault in faults if fault.where.startswith("/")}


def _refused(
    request: HttpRequest, user: User, request_id: UUID, filters: Filters, error: AegisError, *, form: str = ""
) -> HttpResponse:
    """The page again, as things stand now, with everything that was typed."""
    row = _visible(user, request_id)
    verdict = form or request.POST.get("verdict", "")
    typed = {"reason": request.POST.get("reason", ""), "typed": request.POST.get("typed", ""), "verdict": verdict}
    context = _pane_context(
        request, user, row, filters=filters, form=verdict if verdict in _FORMS else "", typed=typed, error=error
    )
    return refusals.mark(render(request, "approvals/inbox.html", context, status=error.http_status), error)


def _require_typed(request: HttpRequest, user: User, row: ApprovalRequest, verdict: str) -> None:
    if verdict != Decision.Verdict.APPROVE or signing.risk_of(row) != "high":
        return
    wanted = detail(user, row).must_type
    if " ".join(request.POST.get("typed", "").split()) != " ".join(wanted.split()):
        gates.require_right(row.pk, user)  # who may not decide is told that, not what to type
        raise SubjectNotTyped("A high risk asks for its subject", faults=[Fault("/typed", f"type exactly: {wanted}")])


def _filters_posted(request: HttpRequest) -> Filters:
    """The list's filters, carried through the form as the query string they came in."""
    query = QueryDict(request.POST.get("query", "").lstrip("?")[:2000])
    return Filters.of(query)


def _visible(user: User, request_id: UUID) -> ApprovalRequest:
    return ApprovalRequest.objects.select_related("policy", "requester", "claimed_by").get_visible(user, pk=request_id)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    return request.user
