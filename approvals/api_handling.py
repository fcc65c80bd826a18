"""API of what people do with a request beside deciding, and of delegations. The verbs hold every rule."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.urls import path
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, body_of
from aegis.core.errors import Fault, Invalid
from aegis.core.refusals import right_before_input
from aegis.identity.authentication import person_of
from aegis.identity.models import User
from approvals import delegations, editing, gates, handling
from approvals.models import ApprovalRequest, Delegation

_ID = OpenApiParameter("request_id", UUID, OpenApiParameter.PATH)


def _eligible(person: User, request_id: UUID) -> None:
    gates.require_right(request_id, person)


class HandledSerializer(serializers.ModelSerializer[ApprovalRequest]):
    """A request and who is at it."""

    claimed_by = serializers.CharField(source="claimed_by.username", default=None)

    class Meta:
        model = ApprovalRequest
        fields = ("id", "label", "status", "claimed_by", "claimed_at", "settled_at")
        read_only_fields = fields


class DelegationSerializer(serializers.ModelSerializer[Delegation]):
    """Who decides in whose place, for which requests, from when until when."""

    delegator = serializers.CharField(source="delegator.username")
    delegate = serializers.CharField(source="delegate.username")

    class Meta:
        model = Delegation
        fields = ("id", "delegator", "delegate", "policy", "capability", "starts_at", "ends_at", "ended_at")
        read_only_fields = fields


def _taking(what: str, **fields: serializers.Field[Any, Any, Any, Any]) -> Any:
    return inline_serializer(what, dict(fields))


class ClaimView(APIView):
    """Say that you are at it; DELETE lets it go."""

    @extend_schema(
        operation_id="requests_claim",
        parameters=[_ID],
        request=inline_serializer("Claim", {"reason": serializers.CharField(required=False)}),
        responses=HandledSerializer,
    )
    @right_before_input(_eligible)
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={}, optional={"reason": "text"})
        return _handled(handling.claim(request_id, actor=actor_of(request), reason=body.get("reason", "")))

    @extend_schema(operation_id="requests_release", parameters=[_ID], responses=HandledSerializer)
    def delete(self, request: Request, request_id: UUID) -> Response:
        return _handled(handling.release(request_id, actor=actor_of(request)))


class ReassignView(APIView):
    """Give it to somebody who could decide it, or take it over."""

    @extend_schema(operation_id="requests_reassign", parameters=[_ID], responses=HandledSerializer,
                   request=_taking("Reassign", to=serializers.UUIDField(), reason=serializers.CharField()))  # fmt: skip
    @right_before_input(_eligible)
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={"to": "text", "reason": "text"})
        to = _person(body["to"])
        return _handled(handling.reassign(request_id, to=to, actor=actor_of(request), reason=body["reason"]))


class EscalateView(APIView):
    """Put the next escalation of its stage in force now: by who could decide it, or operates its run. It approves nothing."""

    @extend_schema(operation_id="requests_escalate", parameters=[_ID], responses=HandledSerializer,
                   request=_taking("Escalate", reason=serializers.CharField()))  # fmt: skip
    @right_before_input(handling.require_escalating)
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"})
        return _handled(handling.escalate(request_id, actor=actor_of(request), reason=body["reason"]))


class RevisionsView(APIView):
    """Ask for other parameters instead: checked like the agent's own, votes so far are void, and somebody else decides."""

    @extend_schema(
        operation_id="requests_edit",
        parameters=[_ID],
        request=inline_serializer(
            "EditRequest",
            {
                "parameters": serializers.DictField(help_text="the whole of them, as they shall be"),
                "reason": serializers.CharField(),
                "digest": serializers.CharField(help_text="of what you saw; if it moved, your edit is refused as stale"),
            },
        ),
        responses=HandledSerializer,
    )
    @right_before_input(_eligible)
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={"parameters": "any", "reason": "text", "digest": "text"})
        return _handled(
            editing.edit(
                request_id,
                actor=actor_of(request),
                parameters=body["parameters"],
                reason=body["reason"],
                seen_digest=body["digest"],
            )
        )


class CommentsView(APIView):
    """Say something about it. It decides nothing."""

    @extend_schema(operation_id="requests_comment", parameters=[_ID], request=_taking("Comment", text=serializers.CharField()),
                   responses=HandledSerializer)  # fmt: skip
    @right_before_input(lambda person, request_id: ApprovalRequest.objects.get_visible(person, pk=request_id))
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={"text": "text"})
        return _handled(handling.comment(request_id, actor=actor_of(request), text=body["text"]))


class WithdrawView(APIView):
    """Take back what you asked for."""

    @extend_schema(operation_id="requests_withdraw", parameters=[_ID], responses=HandledSerializer,
                   request=_taking("Withdraw", reason=serializers.CharField()))  # fmt: skip
    @right_before_input(handling.require_requester)
    def post(self, request: Request, request_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"})
        return _handled(handling.withdraw(request_id, actor=actor_of(request), reason=body["reason"]))


class DelegationsView(APIView):
    """Delegations you gave or were given; POST lets another person decide in your place."""

    @extend_schema(operation_id="delegations_list",
                   responses=inline_serializer("DelegationPage", {"delegations": DelegationSerializer(many=True)}))  # fmt: skip
    def get(self, request: Request) -> Response:
        me = person_of(request)
        rows = Delegation.objects.filter(Q(delegator=me) | Q(delegate=me)).select_related("delegator", "delegate")
        return Response({"delegations": DelegationSerializer(rows.order_by("-created_at")[:100], many=True).data})

    @extend_schema(
        operation_id="delegations_give",
        request=inline_serializer(
            "Delegate",
            {
                "to": serializers.UUIDField(),
                "starts_at": serializers.DateTimeField(),
                "ends_at": serializers.DateTimeField(),
                "policy": serializers.CharField(required=False),
                "capability": serializers.CharField(required=False),
                "reason": serializers.CharField(),
            },
        ),
        responses={201: DelegationSerializer},
    )
    def post(self, request: Request) -> Response:
        body = body_of(
            request,
            required={"to": "text", "starts_at": "text", "ends_at": "text", "reason": "text"},
            optional={"policy": "text", "capability": "text"},
        )
        row = delegations.delegate(
            to=_person(body["to"]),
            starts_at=_moment(body, "starts_at"),
            ends_at=_moment(body, "ends_at"),
            policy=body.get("policy", ""),
            capability=body.get("capability", ""),
            actor=actor_of(request),
            reason=body["reason"],
        )
        return Response(DelegationSerializer(row).data, status=201)


class DelegationEndView(APIView):
    """Take a delegation back, or decline one that was given to you."""

    @extend_schema(operation_id="delegations_end", request=_taking("EndDelegation", reason=serializers.CharField()),
                   parameters=[OpenApiParameter("delegation_id", UUID, OpenApiParameter.PATH)],
                   responses=DelegationSerializer)  # fmt: skip
    def post(self, request: Request, delegation_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"})
        row = delegations.end(delegation_id, actor=actor_of(request), reason=body["reason"])
        return Response(DelegationSerializer(row).data)


def _handled(row: ApprovalRequest) -> Response:
    return Response(HandledSerializer(row).data)


def _person(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("There is no such person", faults=[Fault("/to", "must be the id of a person")]) from None


def _moment(body: dict[str, Any], name: str) -> datetime:
    try:
        found = parse_datetime(body[name])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Invalid("The dates cannot be read", faults=[Fault(f"/{name}", "must be a time with its zone (RFC 3339)")])
    return found


urlpatterns = [
    path("requests/<uuid:request_id>/claim", ClaimView.as_view(), name="api-request-claim"),
    path("requests/<uuid:request_id>/reassign", ReassignView.as_view(), name="api-request-reassign"),
    path("requests/<uuid:request_id>/escalate", EscalateView.as_view(), name="api-request-escalate"),
    path("requests/<uuid:request_id>/revisions", RevisionsView.as_view(), name="api-request-revisions"),
    path("requests/<uuid:request_id>/comments", CommentsView.as_view(), name="api-request-comments"),
    path("requests/<uuid:request_id>/withdraw", WithdrawView.as_view(), name="api-request-withdraw"),
    path("delegations", DelegationsView.as_view(), name="api-delegations"),
    path("delegations/<uuid:delegation_id>/end", DelegationEndView.as_view(), name="api-delegation-end"),
]
