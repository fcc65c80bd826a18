"""Pages of the review queues. Every act is a POST that calls a verb of `engine.reviews`; refused, what was typed comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from aegis.core import canonical
from aegis.core.errors import AegisError, Conflict, Fault, Invalid, Malformed
from aegis.core.pages import etag_of, not_modified, partial
from aegis.core.visibility import one_look
from aegis.identity.models import User
from approvals.pages.contractform import ContractForm
from orchestration.engine import reviews, settlements
from orchestration.engine.models import ReviewItem, Run
from orchestration.pages import reviewboard, reviewpage
from orchestration.pages.runs import person_of

Simple = Callable[[UUID, User], ReviewItem]


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    user = person_of(request)
    filters = reviewboard.Filters.of(request.GET)
    found = reviewboard.board(user, filters)
    query = filters.query()
    context = {
        "board": found,
        "filters": filters,
        "title": "Review queues",
        "live_url": f"{reverse('review:list')}{query}{'&' if len(query) > 1 else ''}part=list",
    }
    if request.GET.get("part") != "list":
        return render(request, "review/list.html", context)
    etag = etag_of(user.pk, *found.etag_parts)
    return not_modified(request, etag) or partial(request, "review/_board.html", context, etag=etag)


@require_safe
@one_look()
def item_page(request: HttpRequest, item_id: UUID) -> HttpResponse:
    user = person_of(request)
    return _page(request, user, item_id)


@require_POST
def claim(request: HttpRequest, item_id: UUID) -> HttpResponse:
    return _simply(request, item_id, lambda pk, person: reviews.claim(pk, person=person, auth="session"), "It is yours.")


@require_POST
def release(request: HttpRequest, item_id: UUID) -> HttpResponse:
    return _simply(
        request, item_id, lambda pk, person: reviews.release(pk, person=person, auth="session"), "Given back to the queue."
    )


@require_POST
def complete(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """The answer: an output made from the form, or one of the cases."""
    user = person_of(request)
    reviews.require_operate(user, item_id)  # the right comes before what was typed
    item = reviewpage.visible_item(user, item_id)
    reason, case = request.POST.get("reason", ""), request.POST.get("case", "")
    empty = reviewpage.empty_form(item) if item.status in reviewboard.OPEN else None
    form = empty.posted(request.POST) if empty else None
    try:
        output = _output(form)
        reviews.complete(item.pk, person=user, auth="session", reason=reason, output=output, case=case)
    except (Invalid, Conflict) as error:
        faulty = form.with_faults(error.faults) if form else None
        return _page(request, user, item_id, form=faulty, error=error, act="complete", typed={"reason": reason, "case": case})
    return _done(request, item, "Answered. The run goes on.")


@require_POST
def retry(request: HttpRequest, item_id: UUID) -> HttpResponse:
    return _with_reason(request, item_id, "retry", reviews.retry, "Sent back: the step is tried again.")


@require_POST
def cancel(request: HttpRequest, item_id: UUID) -> HttpResponse:
    return _with_reason(request, item_id, "cancel", reviews.cancel, "The run is being cancelled.")


@require_POST
def happened(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """A person states that an effect happened (or is undone), with what it is called outside and what came back."""
    user = person_of(request)
    reviews.require_operate(user, item_id)
    item = reviewpage.visible_item(user, item_id)
    typed = {name: request.POST.get(name, "") for name in ("reason", "reference", "result")}
    try:
        settlements.happened(
            item.pk,
            person=user,
            auth="session",
            reason=typed["reason"],
            reference=typed["reference"],
            result=_result(typed["result"]),
        )
    except (Invalid, Conflict) as error:
        return _page(request, user, item_id, error=error, act="happened", typed=typed)
    return _done(request, item, "Recorded as your statement. The run goes on.")


@require_POST
def not_happened(request: HttpRequest, item_id: UUID) -> HttpResponse:
    said = "Recorded as your statement. It is sent again under the same key."
    return _with_reason(request, item_id, "not_happened", settlements.not_happened, said)


@require_POST
def leave(request: HttpRequest, item_id: UUID) -> HttpResponse:
    return _with_reason(request, item_id, "leave", settlements.leave, "It stands. What was done before it is undone next.")


def _result(text: str) -> Any:
    """The JSON somebody typed; nothing for an empty text.

    Raises:
        Invalid
    """
    if not text.strip():
        return None
    try:
        return canonical.parse(text)
    except Malformed as error:
        raise Invalid("The result cannot be read yet", faults=[Fault("/result", str(error))]) from None


def _output(form: ContractForm | None) -> Any:
    """The JSON the texts mean.

    Raises:
        Invalid: a text that cannot be read as what its field asks for.
    """
    if form is None:
        return None
    value, faults = form.value()
    if faults:
        raise Invalid("The answer cannot be read yet", faults=faults)
    return value


def _simply(request: HttpRequest, item_id: UUID, verb: Simple, said: str) -> HttpResponse:
    user = person_of(request)
    try:
        verb(item_id, user)
    except Conflict as error:
        return _page(request, user, item_id, error=error)
    messages.success(request, said)
    return redirect("review:item", item_id)


def _with_reason(request: HttpRequest, item_id: UUID, act: str, verb: Callable[..., ReviewItem], said: str) -> HttpResponse:
    user = person_of(request)
    item = reviewpage.visible_item(user, item_id)
    reason = request.POST.get("reason", "")
    try:
        verb(item.pk, person=user, auth="session", reason=reason)
    except (Invalid, Conflict) as error:
        return _page(request, user, item_id, error=error, act=act, typed={"reason": reason})
    return _done(request, item, said)


def _done(request: HttpRequest, item: ReviewItem, said: str) -> HttpResponse:
    run = Run.objects.visible_to(person_of(request)).filter(pk=item.run_id).first()
    link = format_html('<a href="{}">{}</a>', reverse("review:item", args=[item.pk]), item.label)
    shown = format_html("{}: {}", link, said)
    if run is not None:
        key = f" ({run.business_key})" if run.business_key else ""
        shown = format_html('{} <a href="{}">{}{}</a>.', shown, reverse("runs:run", args=[run.pk]), run.label, key)
    messages.success(request, shown)
    return redirect(f"{reverse('review:list')}{reviewboard.Filters(queue=item.queue.name).query()}")


def _page(
    request: HttpRequest,
    user: User,
    item_id: UUID,
    *,
    form: ContractForm | None = None,
    error: AegisError | None = None,
    act: str = "",
    typed: dict[str, str] | None = None,
) -> HttpResponse:
    item = reviewpage.visible_item(user, item_id)
    shown = reviewpage.item_page(user, item, form)
    context = {
        "page": shown,
        "item": item,
        "title": f"{item.run.business_key or '(erased)'}, {item.label}",
        "error": error,
        "act": act,
        "typed": typed or {},
        "reason_fault": _reason_fault(error),
        "result_fault": next((fault.what for fault in error.faults if fault.where == "/result"), "") if error else "",
    }
    return render(request, "review/item.html", context, status=error.http_status if error else 200)


def _reason_fault(error: AegisError | None) -> str:
    faults: tuple[Fault, ...] = error.faults if error else ()
    if any(fault.where == "/reason" for fault in faults):
        return "Say why: the reason goes on record"
    return str(error) if error and not faults and "reason" in str(error).lower() else ""
