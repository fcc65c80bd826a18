"""API of the advice about an approval policy."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.visibility import one_look
from approvals.advice import advising, reading
from approvals.advice.cases import Advice
from approvals.models import ApprovalPolicy

_FIGURE = inline_serializer(
    "AdviceFigure",
    {
        "name": serializers.CharField(),
        "label": serializers.CharField(),
        "count": serializers.IntegerField(),
        "requests": serializers.ListField(child=serializers.UUIDField()),
        "runs": serializers.ListField(child=serializers.UUIDField()),
    },
    many=True,
)
_ADVICE = inline_serializer(
    "Advice",
    {
        "about": serializers.ChoiceField(["fast_path", "quorum", "deadline"]),
        "says": serializers.CharField(),
        "because": serializers.ListField(child=serializers.CharField()),
        "figures": _FIGURE,
        "document": serializers.JSONField(help_text="the policy as advised, for change control; null: nothing is advised"),
    },
    many=True,
)


class AdviceView(APIView):
    """What the history of a policy says about its thresholds, from the requests you may see. It changes nothing."""

    @extend_schema(
        operation_id="policies_advice",
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH),
            OpenApiParameter("days", int, enum=reading.DAYS, description=f"how far back; default {reading.DEFAULT_DAYS}"),
        ],
        responses=inline_serializer(
            "PolicyAdvice",
            {
                "policy": serializers.CharField(),
                "digest": serializers.CharField(help_text="of the document the advice is about"),
                "days": serializers.IntegerField(),
                "requests": serializers.IntegerField(),
                "is_cut": serializers.BooleanField(help_text="there were more; the newest are looked at"),
                "advice": _ADVICE,
            },
        ),
    )
    def get(self, request: Request, name: str) -> Response:
        with one_look():
            row = ApprovalPolicy.objects.get_visible(request.user, name=name)
            history = reading.read(request.user, row, _days(request))
        document = canonical.parse(row.document)
        return Response(
            {
                "policy": row.name,
                "digest": row.digest,
                "days": history.days,
                "requests": len(history.cases),
                "is_cut": history.is_cut,
                "advice": [_told(document, one) for one in advising.of_policy(document, history)],
            }
        )


def _told(document: Json, advice: Advice) -> dict[str, Any]:
    return {
        "about": advice.topic,
        "says": advice.says,
        "because": list(advice.because),
        "figures": [
            {
                "name": one.key,
                "label": one.label,
                "count": one.count,
                "requests": [] if one.is_of_runs else list(one.refs),
                "runs": list(one.refs) if one.is_of_runs else [],
            }
            for one in advice.figures
        ],
        "document": advising.document_of(document, advice) if advice.is_proposal else None,
    }


def _days(request: Request) -> int:
    text = request.query_params.get("days", str(reading.DEFAULT_DAYS))
    if text not in map(str, reading.DAYS):
        raise Invalid("There is no such time", faults=[Fault("days", f"is one of {', '.join(map(str, reading.DAYS))}")])
    return int(text)


urlpatterns = [path("policies/<str:name>/advice", AdviceView.as_view(), name="api-policy-advice")]
