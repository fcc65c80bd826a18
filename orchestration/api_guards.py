"""API of guards: what holds runs back, halt and resume, breakers. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, body_of
from aegis.core.errors import NotFound
from aegis.core.refusals import right_before_input
from orchestration.engine.guards import verbs
from orchestration.engine.guards.models import Breaker, Halt
from orchestration.engine.guards.standing import Standing, standing, visible_halts

_HALT_ID = OpenApiParameter("halt_id", UUID, OpenApiParameter.PATH)
_KIND = OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=["agent", "capability"])
_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH)


class HaltSerializer(serializers.ModelSerializer[Halt]):
    """A halt. `released` counts the held runs that went on since it was resumed."""

    what = serializers.CharField(source="scope")

    class Meta:
        model = Halt
        fields = ("id", "what", "name", "status", "placed_at", "resumed_at", "pace", "released", "lifted_at")
        read_only_fields = fields


class BreakerSerializer(serializers.ModelSerializer[Breaker]):
    """A breaker. While open without `until`, it waits for somebody to close it."""

    class Meta:
        model = Breaker
        fields = ("key", "phase", "until", "openings", "changed_at")
        read_only_fields = fields


_STANDING = inline_serializer(
    "Guards",
    {
        "halts": inline_serializer(
            "HaltStands",
            {"halt": HaltSerializer(), "reason": serializers.CharField(), "held": serializers.IntegerField()},
            many=True,
        ),
        "breakers": inline_serializer(
            "BreakerStands",
            {
                "key": serializers.CharField(),
                "phase": serializers.CharField(),
                "until": serializers.DateTimeField(allow_null=True),
                "openings": serializers.IntegerField(),
                "failures": serializers.ListField(child=serializers.CharField(), help_text="places, <stream>/<seq>"),
                "changed_at": serializers.DateTimeField(),
                "held": serializers.IntegerField(),
            },
            many=True,
        ),
        "limits": inline_serializer(
            "LimitStands",
            {
                "key": serializers.CharField(),
                "code": serializers.CharField(),
                "held": serializers.IntegerField(),
                "since": serializers.DateTimeField(),
            },
            many=True,
        ),
    },
)
_REASON = inline_serializer("Reason", {"reason": serializers.CharField()})


class GuardsView(APIView):
    """What holds runs back now, as far as you may see what it guards."""

    @extend_schema(operation_id="guards_read", responses=_STANDING)
    def get(self, request: Request) -> Response:
        return Response(_standing(standing(request.user)))


class HaltsView(APIView):
    """Halts that are not over; and the stop."""

    @extend_schema(operation_id="halts_list", responses=inline_serializer("HaltList", {"halts": HaltSerializer(many=True)}))
    def get(self, request: Request) -> Response:
        return Response({"halts": HaltSerializer(visible_halts(request.user), many=True).data})

    @extend_schema(
        operation_id="halts_place",
        request=inline_serializer(
            "PlaceHalt",
            {
                "what": serializers.ChoiceField(Halt.Scope.values),
                "name": serializers.CharField(required=False, help_text="of the agent or workflow"),
                "reason": serializers.CharField(),
            },
        ),
        responses={201: HaltSerializer, 200: HaltSerializer},
    )
    def post(self, request: Request) -> Response:
        body = body_of(request, required={"what": "text", "reason": "text"}, optional={"name": "text"})
        placed = verbs.halt(body["what"], body.get("name", ""), actor=actor_of(request), reason=body["reason"])
        return Response(HaltSerializer(placed.halt).data, status=201 if placed.is_new else 200)


class ResumeView(APIView):
    """Let what is halted go on, the held runs at a pace."""

    @extend_schema(
        operation_id="halts_resume",
        parameters=[_HALT_ID],
        request=inline_serializer(
            "ResumeHalt",
            {
                "reason": serializers.CharField(),
                "pace": serializers.IntegerField(required=False, help_text="held runs that go on per second"),
            },
        ),
        responses={200: HaltSerializer},
    )
    @right_before_input(verbs.require_resumable)
    def post(self, request: Request, halt_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"}, optional={"pace": "number"})
        if not any(halt.pk == halt_id for halt in visible_halts(request.user)):
            raise NotFound
        pace = body.get("pace", verbs.DEFAULT_PACE)
        placed = verbs.resume(halt_id, actor=actor_of(request), reason=body["reason"], pace=pace)
        return Response(HaltSerializer(placed.halt).data)


class OpenBreakerView(APIView):
    """Open a breaker by hand: it stays open until somebody closes it."""

    @extend_schema(operation_id="breakers_open", parameters=[_KIND, _NAME], request=_REASON, responses={200: BreakerSerializer})
    @right_before_input(verbs.require_switchable)
    def post(self, request: Request, kind: str, name: str) -> Response:
        body = body_of(request, required={"reason": "text"})
        return _switched(verbs.open_breaker(kind, name, actor=actor_of(request), reason=body["reason"]))


class CloseBreakerView(APIView):
    """Close a breaker by hand: what it holds goes on."""

    @extend_schema(
        operation_id="breakers_close", parameters=[_KIND, _NAME], request=_REASON, responses={200: BreakerSerializer}
    )
    @right_before_input(verbs.require_switchable)
    def post(self, request: Request, kind: str, name: str) -> Response:
        body = body_of(request, required={"reason": "text"})
        return _switched(verbs.close_breaker(kind, name, actor=actor_of(request), reason=body["reason"]))


def _switched(switched: verbs.Switched) -> Response:
    return Response(BreakerSerializer(switched.breaker).data)


def _standing(found: Standing) -> dict[str, Any]:
    return {
        "halts": [{"halt": HaltSerializer(item.halt).data, "reason": item.reason, "held": item.held} for item in found.halts],
        "breakers": [
            {
                "key": item.key,
                "phase": item.phase,
                "until": item.until,
                "openings": item.openings,
                "failures": [failure.place for failure in item.failures],
                "changed_at": item.changed_at,
                "held": item.held,
            }
            for item in found.breakers
        ],
        "limits": [{"key": item.key, "code": item.code, "held": item.held, "since": item.since} for item in found.limits],
    }


urlpatterns = [
    path("guards", GuardsView.as_view(), name="api-guards"),
    path("halts", HaltsView.as_view(), name="api-halts"),
    path("halts/<uuid:halt_id>/resume", ResumeView.as_view(), name="api-halt-resume"),
    path("breakers/<str:kind>/<str:name>/open", OpenBreakerView.as_view(), name="api-breaker-open"),
    path("breakers/<str:kind>/<str:name>/close", CloseBreakerView.as_view(), name="api-breaker-close"),
]
