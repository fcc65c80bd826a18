"""API of rights taken in an emergency: list, take, end, review. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import clock
from aegis.core.api import actor_of, body_of
from aegis.identity import emergency
from aegis.identity.authentication import person_of
from aegis.identity.models import Area, TakenRight

MAX_LISTED: Final = 100

_ID = OpenApiParameter("taken_id", UUID, OpenApiParameter.PATH)
_FIELDS: Final[dict[str, Any]] = {
    "id": serializers.UUIDField(),
    "person": serializers.CharField(),
    "area": serializers.CharField(),
    "right": serializers.CharField(),
    "taken_at": serializers.DateTimeField(),
    "ends_at": serializers.DateTimeField(),
    "is_standing": serializers.BooleanField(),
    "verdict": serializers.CharField(help_text="justified or unjustified; empty until it is reviewed"),
}
_TAKEN = inline_serializer("TakenRight", _FIELDS)
_LIST = inline_serializer("TakenRights", {"taken_rights": inline_serializer("TakenRightListed", _FIELDS, many=True)})
_TAKE = inline_serializer(
    "TakeRight",
    {
        "area": serializers.CharField(),
        "right": serializers.ChoiceField(emergency.VERBS),
        "minutes": serializers.IntegerField(help_text="from 1 to 240"),
        "reason": serializers.CharField(),
    },
)
_REASON = inline_serializer("EndTakenRight", {"reason": serializers.CharField()})
_REVIEW = inline_serializer(
    "ReviewTakenRight", {"verdict": serializers.ChoiceField(emergency.VERDICTS), "reason": serializers.CharField()}
)
_STATE = inline_serializer(
    "TakenRightState",
    {"id": serializers.UUIDField(), "is_new": serializers.BooleanField(help_text="false: it was so already")},
)


class TakenRightsView(APIView):
    @extend_schema(operation_id="emergency_list", responses={200: _LIST})
    def get(self, request: Request) -> Response:
        """The newest: all of them to whoever may view access, else one's own."""
        user = person_of(request)
        rows = TakenRight.objects.select_related("person", "area").order_by("-taken_at")
        if not Area.objects.visible_to(user).filter(name="access").exists():
            rows = rows.filter(person=user.pk)
        return Response({"taken_rights": [_told(row) for row in rows[:MAX_LISTED]]})

    @extend_schema(operation_id="emergency_take", request=_TAKE, responses={201: _TAKEN})
    def post(self, request: Request) -> Response:
        """Take a right on an area for a time. Needs a session: an API key takes none."""
        body = body_of(request, required={"area": "text", "right": "text", "minutes": "number", "reason": "text"})
        minutes = body["minutes"] if 0 <= body["minutes"] <= 10_000 else 0
        for_time = timedelta(minutes=minutes)
        row = emergency.take(body["area"], body["right"], for_time=for_time, actor=actor_of(request), reason=body["reason"])
        return Response(_told(TakenRight.objects.select_related("person", "area").get(pk=row.pk)), status=201)


class EndTakenRightView(APIView):
    @extend_schema(operation_id="emergency_end", parameters=[_ID], request=_REASON, responses={200: _STATE})
    def post(self, request: Request, taken_id: UUID) -> Response:
        """Give back what you took, or take it from another."""
        body = body_of(request, required={"reason": "text"})
        is_new = emergency.end(taken_id, actor=actor_of(request), reason=body["reason"])
        return Response({"id": taken_id, "is_new": is_new})


class ReviewTakenRightView(APIView):
    @extend_schema(operation_id="emergency_review", parameters=[_ID], request=_REVIEW, responses={200: _STATE})
    def post(self, request: Request, taken_id: UUID) -> Response:
        """Say whether what another person took was justified."""
        body = body_of(request, required={"verdict": "text", "reason": "text"})
        is_new = emergency.review(taken_id, verdict=body["verdict"], actor=actor_of(request), reason=body["reason"])
        return Response({"id": taken_id, "is_new": is_new})


def _told(row: TakenRight) -> dict[str, Any]:
    return {
        "id": row.pk,
        "person": row.person.username,
        "area": row.area.name,
        "right": row.verb,
        "taken_at": row.taken_at,
        "ends_at": row.ends_at,
        "is_standing": emergency.is_standing(row, clock.now()),
        "verdict": row.verdict,
    }


urlpatterns = [
    path("emergency", TakenRightsView.as_view(), name="api-emergency"),
    path("emergency/<uuid:taken_id>/end", EndTakenRightView.as_view(), name="api-emergency-end"),
    path("emergency/<uuid:taken_id>/review", ReviewTakenRightView.as_view(), name="api-emergency-review"),
]
