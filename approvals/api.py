"""API of approval requests: list, read, decide."""

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
from aegis.core.errors import Fault, Invalid
from aegis.core.idempotency import HEADER
from aegis.identity.authentication import person_of
from approvals import gates, questions, seen
from approvals.models import ApprovalRequest, Decision
from approvals.pages import proving

PAGE = 100
VERDICTS = tuple(Decision.Verdict.values)

_ID = OpenApiParameter("request_id", UUID, OpenApiParameter.PATH)


class RequestSerializer(serializers.ModelSerializer[ApprovalRequest]):
    """A request as a list shows it."""

    policy = serializers.CharField(source="policy.name")

    class Meta:
        model = ApprovalRequest
        fields = (
            "id", "label", "question", "policy", "risk", "capability", "agent", "status", "stage", "run_id",
            "opened_at", "deadline", "settled_at",
        )  # fmt: skip
        read_only_fields = fields


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """One person's vote as recorded."""

    class Meta:
        model = Decision
        fields = ("id", "verdict", "stage", "digest", "at")
        read_only_fields = fields


class DecidedSerializer(RequestSerializer):
    """The request as it stands after a vote, and the vote."""

    decision = DecisionSerializer()

    class Meta:
        model = ApprovalRequest
        fields = (*RequestSerializer.Meta.fields, "decision")
        read_only_fields = fields


_DETAIL = inline_serializer(
    "RequestDetail",
    {
        "request": RequestSerializer(),
        "title": serializers.CharField(),
        "digest": serializers.CharField(help_text="send it back with your decision: it is what you sign"),
        "before": serializers.JSONField(),
        "after": serializers.JSONField(),
        "may_decide": serializers.BooleanField(),
        "because": serializers.CharField(),
    },
)


class RequestsView(APIView):
    """The requests you may see, by deadline."""

    @extend_schema(
        operation_id="requests_list",
        parameters=[OpenApiParameter("status", str, description="default: open")],
        responses=inline_serializer("RequestPage", {"requests": RequestSerializer(many=True)}),
    )
    def get(self, request: Request) -> Response:
        status = request.query_params.get("status", "open")
        if status not in ApprovalRequest.Status.values:
            raise Invalid("There is no such status", faults=[Fault("status", ", ".join(ApprovalRequest.Status.values))])
        rows = ApprovalRequest.objects.visible_to(request.user).filter(status=status).select_related("policy")
        return Response({"requests": RequestSerializer(rows.order_by("deadline", "id")[:PAGE], many=True).data})


class RequestView(APIView):
    """One request with the question as it stands now."""

    @extend_schema(operation_id="requests_read", parameters=[_ID], responses=_DETAIL)
    def get(self, request: Request, request_id: UUID) -> Response:
        row = ApprovalRequest.objects.select_related("policy").get_visible(request.user, pk=request_id)
        return Response(_detail(row, request))


class DecisionsView(APIView):
    """Decide. The digest says what you saw; if it moved, your vote is refused as stale."""

    @extend_schema(
        operation_id="requests_decide",
        parameters=[
            _ID,
            OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, description="send the same again after a lost answer"),
        ],
        request=inline_serializer(
            "Decide",
            {
                "verdict": serializers.ChoiceField(VERDICTS),
                "reason": serializers.CharField(required=False),
                "digest": serializers.CharField(),
                "password": serializers.CharField(required=False, help_text="where the policy asks for a recent sign-in"),
            },
        ),
        responses={200: DecidedSerializer},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        person, actor = person_of(request), actor_of(request)
        try:
            body = _ballot(request)
        except Invalid:
            gates.require_right(request_id, person)
            raise
        decided = gates.decide(
            request_id,
            person=person,
            auth=actor.auth,
            verdict=body["verdict"],
            reason=body.get("reason", ""),
            seen_digest=body["digest"],
            key=request.headers.get(HEADER),
            proved_at=proving.proved_at(request._request, person, body.get("password", "")),
        )
        vote = Decision.objects.filter(request=decided, person=person).latest("at")
        return Response({**RequestSerializer(decided).data, "decision": DecisionSerializer(vote).data})


def _ballot(request: Request) -> dict[str, Any]:
    body = body_of(request, required={"verdict": "text", "digest": "text"}, optional={"reason": "text", "password": "text"})
    if body["verdict"] not in VERDICTS:
        raise Invalid("There is no such verdict", faults=[Fault("/verdict", f"must be one of {', '.join(VERDICTS)}")])
    return body


def _detail(row: ApprovalRequest, request: Request) -> dict[str, Any]:
    whole = questions.get(row.question).live(row.subject)
    live = seen.live(request.user, row, whole)
    eligible = gates.eligibility(row, person_of(request), live=whole)
    return {
        "request": RequestSerializer(row).data,
        "title": live.title,
        "digest": live.digest,
        "before": live.before,
        "after": live.after,
        "may_decide": eligible.may,
        "because": eligible.sentence,
    }


urlpatterns = [
    path("requests", RequestsView.as_view(), name="api-requests"),
    path("requests/<uuid:request_id>", RequestView.as_view(), name="api-request"),
    path("requests/<uuid:request_id>/decisions", DecisionsView.as_view(), name="api-decisions"),
]
