"""What workflows have beside the pages of every kind: the map while a text is typed, samples, dry runs, the map as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Forbidden, Invalid, NotFound
from aegis.identity.models import User
from aegis.portal.governed import pages, texts, versions
from aegis.portal.governed.kinds import KindPages
from audit.outcomes import Mark
from orchestration.engine import rehearsals
from orchestration.engine.rehearsal import Part, Rehearsal
from orchestration.engine.rehearsal_words import Line, ending_words, lines_of
from orchestration.workflows import drawing, flowmap, parse, samples
from orchestration.workflows.drawing import Drawing
from orchestration.workflows.models import Workflow, WorkflowRelease

MAX_TYPED = 100_000  # characters of an input or script
_EXAMPLE = "answers: {}\ndecisions: {}\nfails: {}\nrecords: []\n"
_GONE = Mark("green", "check-circle", "passed")
_STANDS = Mark("amber", "hourglass", "stops here")


@dataclass(frozen=True, slots=True)
class Told:
    """A rehearsal for people: its lines with values as text, its end, its way on the map, the parts of its blocks."""

    played: Rehearsal
    lines: list[tuple[Line, list[tuple[str, str]]]]
    ending: str
    map: Drawing | None = None
    parts: tuple[tuple[Part, Told], ...] = ()


@dataclass(slots=True)
class Tried:
    """The form of the page as it came, and what came of it."""

    input: str = "{}"
    script: str = _EXAMPLE
    sample: str = ""
    asks_agents: bool = False
    told: Told | None = None
    faults: tuple[Fault, ...] = ()
    error: AegisError | None = None
    results: list[rehearsals.SampleResult] = field(default_factory=list)


def beside(document: Json, reader: User, row: Workflow | None) -> dict[str, Any]:
    """The map of a text as it is typed, and its samples once it can be read. Nothing of a text that cannot."""
    try:
        context: dict[str, Any] = {"drawing": drawing.draw(flowmap.layout(parse.load(document)))}
    except AegisError:
        return {}
    if row is None or not document["spec"].get("samples"):
        return context
    try:
        results = rehearsals.try_samples(row.name, person=reader, document=document)
    except AegisError:  # what it names is not there: a finding says so
        return context
    return {**context, "samples": [(one, _told(one.rehearsal) if one.rehearsal else None) for one in results]}


@require_safe
def map_text(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    """The map as a file of Mermaid text."""
    row = pages.visible_row(request, kind, pk)
    text = drawing.mermaid(flowmap.layout(parse.load(canonical.parse(row.document))))
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(row.name)}.mmd"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


@require_safe
def compare_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    """Two releases (`?old=`, `?new=`, by id): in words, what they pin, and as text."""
    row = pages.visible_row(request, kind, pk)
    old, new = (_release(row, request.GET.get(name, "")) for name in ("old", "new"))
    before, after = (canonical.parse(one.document, max_bytes=4 * canonical.MAX_PAYLOAD_BYTES) for one in (old, new))
    context = pages.frame(request, kind, row, "overview")
    context |= {
        "old": old,
        "new": new,
        "words": versions.diff_in_words(kind.kind, row.name, before["workflow"], after["workflow"]),
        "pins": list(_pin_sentences(before["pins"], after["pins"])),
        "lines": versions.diff_as_text(before["workflow"], after["workflow"]),
        "sides": versions.diff_side_by_side(before["workflow"], after["workflow"]),
    }
    return render(request, "portal/compare.html", context)


def _release(row: Any, wanted: str) -> WorkflowRelease:
    try:
        found = row.releases.filter(pk=UUID(wanted)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound
    return cast(WorkflowRelease, found)


def _pin_sentences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for pin in sorted(old.keys() | new.keys()):
        kind, _, name = pin.partition("/")
        if pin not in old:
            yield f"Now pins {kind} {name}."
        elif pin not in new:
            yield f"No longer pins {kind} {name}."
        elif old[pin] != new[pin]:
            yield f"{kind} {name} is another version: was {old[pin][:8]}, now {new[pin][:8]}."


@require_http_methods(["GET", "HEAD", "POST"])
def try_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    """A dry run: a form, and under it what would come of it. A POST because of what it may carry; it changes nothing."""
    row = pages.visible_row(request, kind, pk)
    if not pages.may(request.user, row, "start"):
        givers = ", ".join(pages.who_may(row, kind, "start")) or "nobody yet; an admin can grant it"
        what = f"You may not try “{row.name}”; the right “start” is granted to: {givers}"
        raise Forbidden(what, right="start (workflows)", granted_by=givers)
    document = canonical.parse(row.document)
    tried = _tried(request, row, document, cast(User, request.user))
    context = pages.frame(request, kind, row, "try")
    context |= {"tried": tried, "samples": document["spec"].get("samples", []), "max_typed": MAX_TYPED}
    return render(request, "portal/try.html", context, status=tried.error.http_status if tried.error else 200)


def _tried(request: HttpRequest, row: Any, document: Json, user: User) -> Tried:
    if request.method != "POST":
        return _from_sample(document, request.GET.get("sample", ""))
    posted = request.POST
    tried = Tried(
        input=posted.get("input", "")[:MAX_TYPED].replace("\r\n", "\n"),
        script=posted.get("script", "")[:MAX_TYPED].replace("\r\n", "\n"),
        asks_agents=posted.get("asks") == "yes",
    )
    try:
        if posted.get("do") == "samples":
            tried.results = rehearsals.try_samples(row.name, person=user, asks_agents=tried.asks_agents)
            return tried
        payload, said = _object(tried.input, "input"), _object(tried.script, "script")
        if faults := samples.script_faults(said):
            raise Invalid("The script cannot be used", faults=faults)
        played = rehearsals.dry_run(row.name, payload, samples.script_of(said), person=user, asks_agents=tried.asks_agents)
        tried.told = _told(played, document)
    except AegisError as error:
        tried.error, tried.faults = error, tuple(error.faults)
    return tried


def _from_sample(document: Json, name: str) -> Tried:
    """The form filled from a stored sample, or empty."""
    for one in document["spec"].get("samples", ()):
        if one["name"] == name:
            said = {key: value for key, value in one.items() if key not in ("name", "input", "expect")}
            return Tried(texts.value_text(one["input"]), texts.value_text(said) if said else _EXAMPLE, name)
    return Tried()


def _object(text: str, what: str) -> Mapping[str, Json]:
    """What was typed, as YAML or JSON.

    Raises:
        Invalid: with the line.
    """
    value = texts.value_from(text, what)
    if not isinstance(value, dict):
        raise Invalid(f"The {what} is an object", faults=[Fault(f"/{what}", "is an object", "write name: value")])
    return value


def _told(played: Rehearsal, document: Json = None) -> Told:
    lines = [(line, [(name, texts.value_text(value)) for name, value in line.values.items()]) for line in lines_of(played)]
    way = _way(played, document) if document is not None else None
    return Told(played, lines, ending_words(played), way, tuple((part, _told(part.played)) for part in played.parts))


def _way(played: Rehearsal, document: Json) -> Drawing:
    """The map with the way it went."""
    marks: dict[str, drawing.Mark] = dict.fromkeys(_walked(played), _GONE)
    if played.waits_for is not None:
        marks[played.waits_for.step] = _STANDS
    taken = set(zip(played.path, played.path[1:], strict=False))
    return drawing.draw(flowmap.layout(parse.load(document)), marks, taken=taken)


def _walked(played: Rehearsal) -> Iterator[str]:
    """The steps it entered, those of branches and items too; of another workflow there is no map here."""
    yield from played.path
    for part in played.parts:
        if not part.is_run:
            yield from _walked(part.played)


def _file_name(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "-" for char in name)
