"""API of dead letters and of what people say about effects. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import canonical, durations
from aegis.core.api import actor_of, body_of
from aegis.core.errors import Fault, Invalid
from aegis.core.refusals import right_before_input
from aegis.identity.authentication import person_of
from orchestration.engine import deadletters, reviews, settlements
from orchestration.engine.deadletters import DeadLetter, Filters

_LETTER = inline_serializer(
    "DeadLetter",
    {
        "id": serializers.CharField(help_text="names this very failure: a later one of the same run has another id"),
        "run": serializers.UUIDField(),
        "business_key": serializers.CharField(),
        "workflow": serializers.CharField(),
        "step": serializers.CharField(),
        "code": serializers.CharField(),
        "since": serializers.DateTimeField(),
        "queue": serializers.CharField(help_text="empty for a run that failed"),
        "needs_statement": serializers.BooleanField(help_text="it may have happened; it is not sent on until a person says"),
        "behind": serializers.ListField(
            child=serializers.CharField(), help_text="of branch_failed: the codes of the runs it had forked that were not well"
        ),
    },
)
_RESULT = inline_serializer(
    "RedriveResult",
    {
        "id": serializers.CharField(),
        "outcome": serializers.ChoiceField(["done", "refused"]),
        "code": serializers.CharField(),
        "detail": serializers.CharField(),
    },
)
_REASON = inline_serializer("RedriveReason", {"reason": serializers.CharField()})
_ID = OpenApiParameter("letter_id", str, OpenApiParameter.PATH)
_ITEM = OpenApiParameter("item_id", UUID, OpenApiParameter.PATH)
_TEXTS = ("code", "workflow", "step", "agent", "capability")


class DeadLettersView(APIView):
    """What cannot proceed until its cause is mended, newest first."""

    @extend_schema(
        operation_id="dead_letters_list",
        parameters=[
            *(OpenApiParameter(name, str) for name in _TEXTS),
            OpenApiParameter("older_than", str, description="a duration such as 15m, 4h or 7d"),
            OpenApiParameter("before", str, description="`next` of the page before"),
        ],
        responses=inline_serializer(
            "DeadLetterPage", {"dead_letters": serializers.ListField(child=_LETTER), "next": serializers.CharField()}
        ),
    )
    def get(self, request: Request) -> Response:
        values = {name: request.query_params.get(name, "") for name in _TEXTS}
        canonical.check_value(list(values.values()))
        filters = Filters(**values, older_than=_age(request.query_params.get("older_than", "")))
        page, following = deadletters.find(request.user, filters, before=request.query_params.get("before", ""))
        return Response({"dead_letters": [_told(letter) for letter in page], "next": following})


class RedriveManyView(APIView):
    """Send many on, each in a transaction of its own. Repeated, nothing happens twice."""

    @extend_schema(
        operation_id="dead_letters_redrive_many",
        request=inline_serializer(
            "RedriveMany",
            {
                "ids": serializers.ListField(child=serializers.CharField(), max_length=deadletters.MAX_AT_ONCE),
                "reason": serializers.CharField(),
            },
        ),
        responses=inline_serializer("RedriveResults", {"results": serializers.ListField(child=_RESULT)}),
    )
    def post(self, request: Request) -> Response:
        data = body_of(request, required={"ids": "texts", "reason": "text"})
        person, actor = person_of(request), actor_of(request)
        results = deadletters.redrive_many(data["ids"], person=person, actor=actor, reason=data["reason"])
        return Response(
            {
                "results": [
                    {
                        "id": one.id,
                        "outcome": "done" if one.is_done else "refused",
                        "code": one.code,
                        "detail": one.detail,
                    }
                    for one in results
                ]
            }
        )


class RedriveView(APIView):
    """Send one on."""

    @extend_schema(operation_id="dead_letters_redrive", parameters=[_ID], request=_REASON, responses={202: None})
    @right_before_input(deadletters.require_operable)
    def post(self, request: Request, letter_id: str) -> Response:
        data = body_of(request, required={"reason": "text"})
        deadletters.redrive(letter_id, person=person_of(request), actor=actor_of(request), reason=data["reason"])
        return Response(status=202)


class StatementView(APIView):
    """Say what became of the effect that a review item is about: "happened", "not_happened", or (of an undo) "left"."""

    @extend_schema(
        operation_id="review_items_state",
        parameters=[_ITEM],
        request=inline_serializer(
            "Statement",
            {
                "outcome": serializers.ChoiceField(["happened", "not_happened", "left"]),
                "reason": serializers.CharField(),
                "reference": serializers.CharField(required=False),
                "result": serializers.JSONField(required=False),
            },
        ),
        responses={202: None},
    )
    @right_before_input(reviews.require_operate)
    def post(self, request: Request, item_id: UUID) -> Response:
        data = body_of(request, required={"outcome": "text", "reason": "text"}, optional={"reference": "text", "result": "any"})
        person, actor = person_of(request), actor_of(request)
        reason, reference = data["reason"], data.get("reference", "")
        match data["outcome"]:
            case "happened":
                result = data.get("result")
                settlements.happened(item_id, person=person, auth=actor.auth, reason=reason, reference=reference, result=result)
            case "not_happened":
                settlements.not_happened(item_id, person=person, auth=actor.auth, reason=reason)
            case "left":
                settlements.leave(item_id, person=person, auth=actor.auth, reason=reason)
            case _:
                raise Invalid("Say what you found", faults=[Fault("/outcome", "must be happened, not_happened or left")])
        return Response(status=202)


def _told(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "run": str(letter.run.pk),
        "business_key": letter.run.business_key,
        "workflow": letter.run.workflow.name,
        "step": letter.step,
        "code": letter.code,
        "since": letter.since,
        "queue": letter.item.queue.name if letter.item else "",
        "needs_statement": letter.needs_statement,
        "behind": list(letter.behind),
    }


def _age(text: str) -> timedelta | None:
    try:
        return durations.parse(text) if text else None
    except durations.DurationInvalid as error:
        raise Invalid("`older_than` is no duration", faults=[Fault("older_than", error.detail)]) from None


urlpatterns = [
    path("dead-letters", DeadLettersView.as_view(), name="api-dead-letters"),
    path("dead-letters/redrive", RedriveManyView.as_view(), name="api-dead-letters-redrive"),
    path("dead-letters/<str:letter_id>/redrive", RedriveView.as_view(), name="api-dead-letter-redrive"),
    path("review-items/<uuid:item_id>/statement", StatementView.as_view(), name="api-review-item-statement"),
]
