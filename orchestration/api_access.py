"""API of the access matrix: may X do Y on Z now and why, who can do Y, what can X do. Edges only."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.errors import Fault, Invalid
from orchestration.authority import live
from orchestration.authority.explain import explain
from orchestration.authority.explainer import Line, Lines
from orchestration.engine import explaining
from orchestration.engine.explaining import MAX_FACTS_BYTES, Asked

MAX_NAME = 200

_LINES = {
    "matrix": serializers.IntegerField(help_text="version of the access matrix"),
    "lines": inline_serializer(
        "ExplainedLine",
        {
            "who": serializers.CharField(),
            "capability": serializers.CharField(),
            "answer": serializers.CharField(help_text="allow, allow_if, gate, deny"),
            "words": serializers.CharField(),
            "is_stopped": serializers.BooleanField(help_text="by a halt or an open breaker, whatever the answer"),
            "deciders": serializers.ListField(child=serializers.DictField()),
        },
        many=True,
    ),
    "silent": serializers.IntegerField(help_text="how many have no cell, and are denied"),
}


class MayView(APIView):
    """May this agent or person do this now, and why."""

    @extend_schema(
        operation_id="access_may",
        parameters=[
            OpenApiParameter("who", str, required=True, description="agent:<name> or person:<user name>"),
            OpenApiParameter("capability", str, required=True),
            OpenApiParameter("on", str, description="id of the resource"),
            OpenApiParameter("requester", str, description="user name"),
            OpenApiParameter("parameters", str, description="JSON object"),
            OpenApiParameter("record", str, description="JSON object: the record as it would be"),
        ],
        responses=inline_serializer(
            "Explained",
            {
                "matrix": serializers.IntegerField(),
                "answer": serializers.ChoiceField(["allow", "gate", "deny"]),
                "code": serializers.CharField(),
                "policy": serializers.CharField(),
                "grants": serializers.ListField(child=serializers.CharField()),
                "locks": serializers.ListField(child=serializers.CharField()),
                "raised_by": serializers.ListField(child=serializers.CharField()),
                "sentences": serializers.ListField(child=serializers.CharField()),
                "stopped_by": serializers.ListField(child=serializers.CharField()),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        explaining.require_reader(request.user)
        names = {name: _text(request, name) for name in ("who", "on", "requester")}
        facts = {name: _text(request, name, MAX_FACTS_BYTES) for name in ("parameters", "record")}
        asked = Asked(**names, **facts, what=_text(request, "capability"))
        if not asked.is_asked:
            raise Invalid("Say who and what", faults=[Fault(name, "is missing") for name in ("who", "capability")])
        found = explaining.may(live.current().matrix, asked, request.user)
        verdict = found.verdict
        return Response(
            {
                "matrix": verdict.matrix,
                "answer": verdict.answer,
                "code": verdict.code,
                "policy": verdict.policy,
                "grants": list(verdict.grants),
                "locks": list(verdict.locks),
                "raised_by": list(verdict.raised_by),
                "sentences": explain(verdict),
                "stopped_by": list(found.held),
            }
        )


class WhoView(APIView):
    """Agents and people that have a cell for a capability. Only those that you may see are listed, and counted in `silent`."""

    @extend_schema(
        operation_id="access_who",
        parameters=[OpenApiParameter("capability", str, required=True)],
        responses=inline_serializer(
            "WhoCan",
            {
                **_LINES,
                "is_cut": serializers.BooleanField(help_text="more people that you may see have a cell than are listed"),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        explaining.require_reader(request.user)
        matrix = live.current().matrix
        answer = explaining.who(matrix, _text(request, "capability"), request.user)
        return Response({**_told(matrix.number, answer.found), "is_cut": answer.is_cut})


class WhatView(APIView):
    """What an agent, a person or a role can do."""

    @extend_schema(
        operation_id="access_what",
        parameters=[OpenApiParameter("who", str, required=True, description="agent:, person: or role:<name>")],
        responses=inline_serializer("WhatCan", _LINES),
    )
    def get(self, request: Request) -> Response:
        explaining.require_reader(request.user)
        matrix = live.current().matrix
        return Response(_told(matrix.number, explaining.what(matrix, _text(request, "who"), request.user).found))


def _told(number: int, found: Lines) -> dict[str, Any]:
    return {"matrix": number, "lines": [_line(line) for line in found.lines], "silent": found.silent}


def _line(line: Line) -> dict[str, Any]:
    deciders = [{"what": one.what, "name": one.name, "says": one.says} for one in line.deciders]
    return {
        "who": line.who,
        "capability": line.capability,
        "answer": line.label,
        "words": line.answer,
        "is_stopped": line.is_held,
        "deciders": deciders,
    }


def _text(request: Request, name: str, limit: int = MAX_NAME) -> str:
    return request.query_params.get(name, "").replace("\x00", "").strip()[:limit]


urlpatterns = [
    path("access/may", MayView.as_view(), name="api-access-may"),
    path("access/who", WhoView.as_view(), name="api-access-who"),
    path("access/what", WhatView.as_view(), name="api-access-what"),
]
