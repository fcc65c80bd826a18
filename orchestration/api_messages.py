"""API of messages to runs. Edges only: rights and rules are in the verb."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import bodies
from aegis.core.api import actor_of
from aegis.core.bodies import MAX_BODY_BYTES
from aegis.core.errors import Fault, Invalid
from aegis.core.idempotency import HEADER
from aegis.identity.authentication import person_of
from orchestration.engine import verbs
from orchestration.engine.messages.models import SentMessage

_FIELDS = ("workflow", "name", "key", "payload")


class SentMessageSerializer(serializers.ModelSerializer[SentMessage]):
    """A message as its sender may see it. Which run got it is seen by those who see the run."""

    workflow = serializers.CharField(source="workflow.name", default="", help_text='"" = any')

    class Meta:
        model = SentMessage
        fields = ("id", "workflow", "name", "key", "status", "sent_at", "ends_at")
        read_only_fields = fields


class MessagesView(APIView):
    """Send a message to the run that has waited longest for this name and key; kept for a week if none does yet."""

    @extend_schema(
        operation_id="messages_send",
        parameters=[OpenApiParameter(HEADER, str, OpenApiParameter.HEADER)],
        request=inline_serializer(
            "Message",
            {
                "workflow": serializers.CharField(required=False, help_text="left out: any whose runs you may start"),
                "name": serializers.CharField(),
                "key": serializers.CharField(),
                "payload": serializers.DictField(),
            },
        ),
        responses={201: SentMessageSerializer, 200: SentMessageSerializer},
    )
    def post(self, request: Request) -> Response:
        person, actor = person_of(request), actor_of(request)
        with bodies.admitted(request, actor.ref, at_most=MAX_BODY_BYTES):
            data = _read(request.data)
            sent = verbs.send_message(
                data.get("workflow"),
                data["name"],
                data["key"],
                data["payload"],
                person=person,
                actor=actor,
                idempotency_key=request.headers.get(HEADER),
            )
        return Response(SentMessageSerializer(sent.message).data, status=201 if sent.is_new else 200)


def _read(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Invalid("The body must be an object", faults=[Fault("/", "must be an object")])
    faults = [Fault(f"/{name}", "is unknown") for name in sorted(set(data) - set(_FIELDS))]
    faults += [Fault(f"/{name}", "must be text") for name in ("name", "key") if not isinstance(data.get(name), str)]
    if not isinstance(data.get("workflow", ""), str):
        faults.append(Fault("/workflow", "must be the name of a workflow"))
    if "payload" not in data:
        faults.append(Fault("/payload", "is missing"))
    if faults:
        raise Invalid("The message is not complete", faults=faults)
    return data


urlpatterns = [path("messages", MessagesView.as_view(), name="api-messages")]
