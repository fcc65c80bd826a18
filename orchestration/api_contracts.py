"""API of contracts: what a version says, how it stands to the one before, who hands its messages over. Edges only."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import canonical
from orchestration.contracts.models import Contract
from orchestration.engine import parties
from orchestration.engine.parties import Party

_HANDOFF = inline_serializer(
    "Handoff",
    {
        "place": serializers.CharField(help_text="input, output, or the step that makes the message"),
        "producer": serializers.CharField(),
        "consumers": serializers.ListField(child=serializers.CharField()),
    },
    many=True,
)
_PARTY = inline_serializer(
    "ContractParty",
    {
        "workflow": serializers.CharField(),
        "version": serializers.IntegerField(),
        "is_standing": serializers.BooleanField(help_text="false: only runs under way are bound to this version"),
        "running": serializers.IntegerField(help_text="runs under way that are bound to an earlier version"),
        "handoffs": _HANDOFF,
    },
    many=True,
)
_LOSS = inline_serializer(
    "ContractLoss",
    {
        "giver": serializers.CharField(),
        "taker": serializers.CharField(),
        "pointer": serializers.CharField(help_text="into the message"),
        "rule": serializers.CharField(help_text="what the taker asks there"),
        "example": serializers.JSONField(help_text="a message the giver takes and the taker refuses; null: cannot be compared"),
        "sentence": serializers.CharField(),
    },
    many=True,
)
_BEFORE = inline_serializer(
    "ContractBefore",
    {
        "version": serializers.CharField(),
        "proven": serializers.CharField(help_text="the strictest rule that holds: full, backward, forward or none"),
        "losses": _LOSS,
    },
    many=True,
)
_MARK = inline_serializer(
    "ContractMark",
    {"place": serializers.CharField(), "word": serializers.CharField(), "value": serializers.CharField()},
    many=True,
)


class ContractView(APIView):
    """One version of a contract, with its producers and consumers among the workflows you may see."""

    @extend_schema(
        operation_id="contracts_read",
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH, description="such as classification@1")],
        responses=inline_serializer(
            "ContractVersion",
            {
                "name": serializers.CharField(),
                "compatibility": serializers.CharField(),
                "schema": serializers.DictField(),
                "marks": _MARK,
                "before": _BEFORE,
                "parties": _PARTY,
            },
        ),
    )
    def get(self, request: Request, name: str) -> Response:
        row = Contract.objects.all().get_visible(request.user, name=name)
        spec = canonical.parse(row.document)["spec"]
        marks = [dict(zip(("place", "word", "value"), mark, strict=True)) for mark in parties.told_marks(spec["schema"])]
        return Response(
            {
                "name": row.name,
                "compatibility": spec.get("compatibility", "none"),
                "schema": spec["schema"],
                "marks": marks,
                "before": [
                    {"version": before, "proven": rule, "losses": [_loss(loss) for loss in losses]}
                    for before, rule, losses in parties.neighbours(row.name)
                ],
                "parties": [_party(party) for party in parties.parties(row.name, request.user)],
            }
        )


def _loss(loss: Any) -> dict[str, Any]:
    said = {"giver": loss.giver, "taker": loss.taker, "pointer": loss.where, "rule": loss.rule}
    return {**said, "example": loss.example, "sentence": loss.sentence}


def _party(party: Party) -> dict[str, Any]:
    return {
        "workflow": party.workflow,
        "version": party.version,
        "is_standing": party.is_standing,
        "running": party.running,
        "handoffs": [
            {"place": one.place, "producer": one.producer, "consumers": list(one.consumers)} for one in party.handoffs
        ],
    }


urlpatterns = [path("contracts/<str:name>", ContractView.as_view(), name="api-contract")]
