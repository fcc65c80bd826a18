"""The list as a file: exactly what the reader sees, whole and in its order, or nothing.

The places are settled before the first line is sent, so a file neither grows nor skips while it is written; above `MOST` it is
refused, never cut. It is an event itself, a refusal too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import StreamingHttpResponse

from aegis.core import canonical, clock_text
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Fault, Invalid
from aegis.core.visibility import Viewer
from audit import journal, search, telling
from audit.access import stream_of
from audit.asking import Search
from audit.drafts import Context, Draft
from audit.scopes import reach
from audit.telling import Told

MOST: Final = 50_000
CHUNK: Final = 500
WHAT: Final = "the audit"
COLUMNS: Final = (
    "position", "at", "type", "sentence", "actor", "actor_id", "proof", "on_behalf", "object", "outcome", "rule", "reason",
    "workflow_run", "step", "agent", "capability", "stream", "seq", "leaf",
)  # fmt: skip
_RUN: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class TooManyRows(AegisError):
    code, http_status, title = "export_too_large", 413, "This is too much for one export"


def answer(asked: Search, user: Viewer, actor: Actor, kind: str) -> StreamingHttpResponse:
    """The file.

    Raises:
        Invalid: no such format.
        TooManyRows: more than `MOST` events fit.
    """
    if kind not in TYPES:
        raise Invalid("There is no such format", faults=[Fault("format", f"one of {', '.join(TYPES)}")])
    seen = reach(user)
    places = search.newest(search.narrowed(asked, seen), asked, user, MOST + 1)
    if len(places) > MOST:
        _record(actor, Draft("export.refused", actor, data={"what": WHAT, "code": TooManyRows.code}))
        raise TooManyRows(f"More than {MOST:,} events fit; an export holds at most that many and is never cut. Narrow the time")
    query = {"filters": asked.narrows, "span": asked.span, "format": kind}
    data = {"what": WHAT, "rows": len(places), "digest": canonical.digest_of(query)}
    _record(actor, Draft("export.created", actor, data=data, payloads={"query": canonical.dump(query)}))
    chunks = (places[at : at + CHUNK] for at in range(0, len(places), CHUNK))
    write: Callable[[Iterable[dict[str, Json]]], Iterator[str]] = _csv if kind == "csv" else _jsonl
    response = StreamingHttpResponse(write(_rows(chunks, user)), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="audit.{kind}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def row(told: Told, position: int) -> dict[str, Json]:
    """One event for machines: what the page's row and panel say, and the line exactly as hashed. The API's answer too."""
    event = told.event
    return {
        "position": position,
        "at": clock_text.render(event.at),
        "type": event.type,
        "sentence": told.sentence,
        "actor": told.actor,
        "actor_id": event.actor_ref,
        "proof": told.proof,
        "on_behalf": told.on_behalf,
        "object": told.subject,
        "outcome": event.outcome,
        "rule": told.rule,
        "reason": told.why,
        "workflow_run": str(event.run_id) if event.run_id else "",
        "step": event.step,
        "agent": event.agent,
        "capability": event.capability,
        "stream": event.stream,
        "seq": event.seq,
        "leaf": event.leaf,
        "line": event.line,
    }


def _rows(chunks: Iterable[Sequence[int]], user: Viewer) -> Iterator[dict[str, Json]]:
    for chunk in chunks:
        # Asked again: a right withdrawn, or an account disabled, while the file is written ends it there.
        reader = get_user_model().objects.filter(pk__in=[user.pk]).first() or AnonymousUser()
        hits = search.at(chunk, reach(reader))
        for told, hit in zip(telling.tell([hit.event for hit in hits], reader), hits, strict=True):
            yield row(told, hit.position)


def _jsonl(rows: Iterable[dict[str, Json]]) -> Iterator[str]:
    for one in rows:
        yield canonical.dump(one).decode() + "\n"


class _Echo:
    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[dict[str, Json]]) -> Iterator[str]:
    sheet: Any = csv.writer(_Echo())
    yield sheet.writerow(COLUMNS)
    for one in rows:
        yield sheet.writerow([_plain(one[name]) for name in COLUMNS])


def _plain(value: Json) -> Json:
    """A spreadsheet runs what begins with one of these; a quote before it makes it text."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value[:1] in _RUN or value.lstrip()[:1] in _RUN else value


def _record(actor: Actor, draft: Draft) -> None:
    def work() -> None:
        stream = journal.lock(stream_of(actor.kind, actor.ref))
        journal.extend(stream, Context(stream=stream.name, scope="access", scope_id=actor.ref), [draft])

    in_transaction(work)
