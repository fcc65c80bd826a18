"""API of the audit: the page's search, with the page's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, page_size
from aegis.core.diffs import Part
from audit import exporting, following, history, scopes, search, telling
from audit.asking import FACETS, SPANS, from_params
from audit.changed import Changed
from audit.index import projection

MAX_PAGE: Final = 500

_NUMBERS = ("position", "seq")
_EVENT = inline_serializer(
    "FoundEvent",
    {
        **{name: (serializers.IntegerField if name in _NUMBERS else serializers.CharField)() for name in exporting.COLUMNS},
        "line": serializers.CharField(help_text="exactly the text that was hashed"),
        "changed": serializers.ListField(
            required=False,
            allow_null=True,
            child=serializers.DictField(),
            help_text="with `object`: {field, kind, before, after} of each field that differs; null where it cannot be told",
        ),
    },
    many=True,
)
_OBJECT = (
    "a governed object, <kind>/<name>: Role/clerk, Person/<id>, Group/<name>, Run/<id>, Item/<business key>, Request/<id>;"
    " each event then says field by field what it changed"
)
_MANY = [OpenApiParameter(name, str, many=True, description="any of these") for name in FACETS]


class EventsView(APIView):
    """What happened, newest first: the events that fit and that you may see."""

    @extend_schema(
        operation_id="events_search",
        parameters=[
            OpenApiParameter("q", str, description="words that must all occur; the last one counts as a beginning"),
            *_MANY,
            OpenApiParameter("run", str, description="id, label or business key"),
            OpenApiParameter("stream", str),
            OpenApiParameter("object", str, description=_OBJECT),
            OpenApiParameter("figure", str, description="the events counted in a figure of the metrics, such as runs/failed"),
            OpenApiParameter("span", str, enum=list(SPANS), description="default: 30d; all of it for a run or a stream"),
            OpenApiParameter("from", str, description="inclusive; without a zone it is UTC"),
            OpenApiParameter("to", str, description="exclusive"),
            OpenApiParameter("before", int, description="`next` of the page before"),
            OpenApiParameter("limit", int, description=f"at most {MAX_PAGE}"),
        ],
        responses=inline_serializer(
            "FoundEventPage",
            {
                "events": _EVENT,
                "next": serializers.IntegerField(allow_null=True, help_text="`before` of the next page; null on the last"),
                "seconds_behind": serializers.FloatField(help_text="age of the oldest event that is not searched yet"),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        asked, limit = from_params(request.query_params), page_size(request, default=search.PAGE, most=MAX_PAGE)
        found = search.find(asked, request.user, limit=limit, seen=scopes.reach(request.user))
        if asked.before is None and asked.narrows:
            search.record_search(asked, user_id=request.user.pk, auth=actor_of(request).auth)
        told = telling.tell(found.events, request.user)
        rows = [exporting.row(one, hit.position) for one, hit in zip(told, found.hits, strict=True)]
        if asked.object:
            for row, what in zip(rows, history.changes(told, request.user), strict=True):
                row["changed"] = _fields(what)
        behind = round(following.lag(projection.NAME).seconds, 1)
        return Response({"events": rows, "next": found.older, "seconds_behind": behind})


def _fields(what: Changed | None) -> list[dict[str, str]] | None:
    """What an event changed; [] where it changes no such thing, None where that can no longer be told."""
    if what is None:
        return []
    if what.erased_at is not None or what.is_untold:
        return None
    return [{"field": row.path, "kind": row.kind, "before": _text(row.now), "after": _text(row.proposed)} for row in what.rows]


def _text(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts)


urlpatterns = [path("events", EventsView.as_view(), name="api-events")]
