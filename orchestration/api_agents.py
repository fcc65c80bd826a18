"""API of agents: disable one, enable it again. Edges only: rights and rules are in the verb."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, body_of
from orchestration.agents import registry

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH)
_REASON = inline_serializer("SwitchAgent", {"reason": serializers.CharField()})
_STATE = inline_serializer(
    "AgentState",
    {
        "name": serializers.CharField(),
        "is_enabled": serializers.BooleanField(),
        "is_new": serializers.BooleanField(help_text="false: it was so already, and nothing was recorded"),
    },
)


class DisableAgentView(APIView):
    """Disable an agent: from this commit on none of its effects is allowed."""

    @extend_schema(operation_id="agents_disable", parameters=[_NAME], request=_REASON, responses={200: _STATE})
    def post(self, request: Request, name: str) -> Response:
        return _switched(request, name, is_enabled=False)


class EnableAgentView(APIView):
    """Let a disabled agent work again."""

    @extend_schema(operation_id="agents_enable", parameters=[_NAME], request=_REASON, responses={200: _STATE})
    def post(self, request: Request, name: str) -> Response:
        return _switched(request, name, is_enabled=True)


def _switched(request: Request, name: str, *, is_enabled: bool) -> Response:
    body = body_of(request, required={"reason": "text"})
    is_new = registry.switch(name, is_enabled, actor=actor_of(request), reason=body["reason"])
    return Response({"name": name, "is_enabled": is_enabled, "is_new": is_new})


urlpatterns = [
    path("agents/<str:name>/disable", DisableAgentView.as_view(), name="api-agent-disable"),
    path("agents/<str:name>/enable", EnableAgentView.as_view(), name="api-agent-enable"),
]
