"""API of agents: disable one, enable it again; list and revoke its signing secrets. Edges only: the verbs hold the rules.

Secrets are not issued here: whoever comes with a key cannot, and people with a session have the page.
"""

from __future__ import annotations

from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, body_of
from aegis.core.refusals import right_before_input
from orchestration.agents import credentials, registry
from orchestration.agents.models import Agent, AgentCredential

MAX_LISTED: Final = 100

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
_PREFIX = OpenApiParameter("prefix", str, OpenApiParameter.PATH)
_CREDENTIAL = inline_serializer(
    "AgentCredential",
    {
        "prefix": serializers.CharField(help_text="names it; not secret"),
        "issued_at": serializers.DateTimeField(),
        "expires_at": serializers.DateTimeField(),
        "revoked_at": serializers.DateTimeField(allow_null=True),
        "last_used_on": serializers.DateField(allow_null=True),
    },
    many=True,
)
_CREDENTIALS = inline_serializer("AgentCredentials", {"credentials": _CREDENTIAL})
_REVOKED = inline_serializer(
    "AgentCredentialRevoked",
    {
        "name": serializers.CharField(),
        "prefix": serializers.CharField(),
        "is_new": serializers.BooleanField(help_text="false: it was revoked already, and nothing was recorded"),
    },
)


class DisableAgentView(APIView):
    """Disable an agent: from this commit on none of its effects is allowed."""

    @extend_schema(operation_id="agents_disable", parameters=[_NAME], request=_REASON, responses={200: _STATE})
    @right_before_input(registry.require_operable)
    def post(self, request: Request, name: str) -> Response:
        return _switched(request, name, is_enabled=False)


class EnableAgentView(APIView):
    """Let a disabled agent work again."""

    @extend_schema(operation_id="agents_enable", parameters=[_NAME], request=_REASON, responses={200: _STATE})
    @right_before_input(registry.require_operable)
    def post(self, request: Request, name: str) -> Response:
        return _switched(request, name, is_enabled=True)


class CredentialsView(APIView):
    """The signing secrets of an agent: when issued, until when, when last used; never the secret. Newest first."""

    @extend_schema(operation_id="agents_credentials", parameters=[_NAME], responses={200: _CREDENTIALS})
    def get(self, request: Request, name: str) -> Response:
        agent = Agent.objects.get_visible(request.user, name=name)
        rows = agent.credentials.order_by("-created_at")[:MAX_LISTED]
        return Response({"credentials": [_told(row) for row in rows]})


class RevokeCredentialView(APIView):
    """End a signing secret: no call that begins from now on is signed with it."""

    @extend_schema(
        operation_id="agents_credential_revoke", parameters=[_NAME, _PREFIX], request=_REASON, responses={200: _REVOKED}
    )
    @right_before_input(lambda person, name, prefix: registry.require_operable(person, name))
    def post(self, request: Request, name: str, prefix: str) -> Response:
        body = body_of(request, required={"reason": "text"})
        is_new = credentials.revoke(name, prefix, actor=actor_of(request), reason=body["reason"])
        return Response({"name": name, "prefix": prefix, "is_new": is_new})


def _told(row: AgentCredential) -> dict[str, Any]:
    return {
        "prefix": row.prefix,
        "issued_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_on": row.last_used_on,
    }


def _switched(request: Request, name: str, *, is_enabled: bool) -> Response:
    body = body_of(request, required={"reason": "text"})
    is_new = registry.switch(name, is_enabled, actor=actor_of(request), reason=body["reason"])
    return Response({"name": name, "is_enabled": is_enabled, "is_new": is_new})


urlpatterns = [
    path("agents/<str:name>/disable", DisableAgentView.as_view(), name="api-agent-disable"),
    path("agents/<str:name>/enable", EnableAgentView.as_view(), name="api-agent-enable"),
    path("agents/<str:name>/credentials", CredentialsView.as_view(), name="api-agent-credentials"),
    path("agents/<str:name>/credentials/<str:prefix>/revoke", RevokeCredentialView.as_view(), name="api-agent-revoke"),
]
