"""The advice page of a policy: what its history says, each number with the list behind it, and the way into change control.

The page changes nothing. "Propose this change" posts the document as advised to the policy's editor, which checks it, tells the
change in words, and applies nothing without a person's second word and whoever else has to sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aegis.core import canonical
from aegis.core.errors import NotFound
from aegis.core.visibility import Viewer, one_look
from aegis.portal.governed import pages, texts
from aegis.portal.governed.kinds import KindPages
from approvals.advice import advising, reading
from approvals.advice.cases import Advice, Figure
from approvals.models import ApprovalRequest
from approvals.pages import inbox, words
from approvals.pages.words import Mark

MAX_LISTED: Final = 100
TITLES: Final = {
    "fast_path": ("Fast path", "forward"),
    "quorum": ("Quorum", "people"),
    "deadline": ("Deadline and reminders", "alarm"),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One threshold.

    Attributes:
        figures: each with the address of its list.
        condition: the fast path as advised.
        text, reason: what the editor gets; "" where nothing is advised or the reader may not edit.
    """

    title: str
    icon: str
    advice: Advice
    figures: tuple[tuple[Figure, str], ...]
    condition: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The list behind a figure.

    Attributes:
        rows: (name, address, what is asked, outcome or None).
    """

    title: str
    figure: Figure
    rows: tuple[tuple[str, str, str, Mark | None], ...]

    @property
    def more(self) -> int:
        return self.figure.count - min(self.figure.count, MAX_LISTED)


@require_safe
@one_look()
def page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    row = pages.visible_row(request, kind, pk)
    document = canonical.parse(row.document)
    days = _days(request.GET.get("days", ""))
    context = pages.frame(request, kind, row, "advice")
    history = reading.read(request.user, row, days)  # type: ignore[arg-type]  # the kind is that of policies
    found = advising.of_policy(document, history)
    address = pages.url_of(row, "advice")
    behind = request.GET.get("behind", "")
    context |= {
        "history": history,
        "days": [(one, f"{address}?days={one}", one == days) for one in reading.DAYS],
        "cards": [_card(one, document, f"{address}?days={days}", may_edit=context["may_edit"]) for one in found],
        "listed": _listed(request.user, found, behind) if behind else None,
        "most": reading.MOST,
        "back": f"{address}?days={days}",
    }
    return render(request, "governed/advice.html", context)


def _card(advice: Advice, document: Any, address: str, *, may_edit: bool) -> Card:
    figures = tuple((one, f"{address}&behind={advice.topic}.{one.key}" if one.count else "") for one in advice.figures)
    is_offered = may_edit and advice.is_proposal
    text = texts.to_text(advising.document_of(document, advice)) if is_offered else ""
    reason = advising.reason_of(advice, shown_to="the proposer") if is_offered else ""
    condition = str((advice.spec or {}).get("fast_path", "")) if advice.topic == "fast_path" else ""
    return Card(*TITLES[advice.topic], advice, figures, condition, text, reason)


def _listed(reader: Viewer, found: list[Advice], behind: str) -> Listed:
    """
    Raises:
        NotFound: no figure is called so.
    """
    topic, _, key = behind.partition(".")
    figure = next((figure for one in found if one.topic == topic for figure in one.figures if figure.key == key), None)
    if figure is None:
        raise NotFound
    refs = figure.refs[:MAX_LISTED]
    rows = _runs(refs) if figure.is_of_runs else _requests(reader, refs)
    return Listed(TITLES[topic][0], figure, tuple(rows))


def _requests(reader: Viewer, refs: tuple[UUID, ...]) -> list[tuple[str, str, str, Mark | None]]:
    known = {one.pk: one for one in ApprovalRequest.objects.visible_to(reader).filter(pk__in=refs)}
    shown = [known[ref] for ref in refs if ref in known]
    titles = inbox.titles_of(reader, shown)
    return [
        (one.label, reverse("approvals:request", args=[one.pk]), titles[one.pk], words.REQUEST_STATUSES[one.status])
        for one in shown
    ]


def _runs(refs: tuple[UUID, ...]) -> list[tuple[str, str, str, Mark | None]]:
    return [(f"Run {ref.hex[:8]}", reverse("runs:run", args=[ref]), "", None) for ref in refs]


def _days(text: str) -> int:
    return int(text) if text in map(str, reading.DAYS) else reading.DEFAULT_DAYS
