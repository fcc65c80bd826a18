"""API of alerts: list, read, take on, note, silence. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core.api import actor_of, body_of, page_size
from aegis.core.errors import Fault, Invalid
from aegis.core.refusals import right_before_input
from approvals.alerts import reading, verbs
from approvals.alerts.models import Episode, Silence

MAX_PAGE = 200

_EPISODE_ID = OpenApiParameter("episode_id", UUID, OpenApiParameter.PATH)
_SILENCE_ID = OpenApiParameter("silence_id", UUID, OpenApiParameter.PATH)
_RULE = OpenApiParameter("rule", str, OpenApiParameter.PATH)
_NOTE = inline_serializer("AlertNote", {"note": serializers.CharField()})
_SILENCE = inline_serializer(
    "PlaceSilence",
    {"until": serializers.DateTimeField(help_text="with a zone; 30 days from now at most"), "reason": serializers.CharField()},
)
_REASON = inline_serializer("EndSilence", {"reason": serializers.CharField()})


class EpisodeSerializer(serializers.ModelSerializer[Episode]):
    """An episode. `first`, `worst` and `last` say what was found in those windows, and where the list behind it is."""

    acknowledged_by = serializers.CharField(source="acknowledged_by.username", allow_null=True, default=None)

    class Meta:
        model = Episode
        fields = (
            "id", "label", "rule", "title", "group", "status", "is_silenced", "started_at", "last_at", "ended_at",
            "ended_because", "windows", "first", "worst", "last", "acknowledged_at", "acknowledged_by",
        )  # fmt: skip
        read_only_fields = fields


class SilenceSerializer(serializers.ModelSerializer[Silence]):
    """A silence. Without a group it covers all of its rule."""

    class Meta:
        model = Silence
        fields = ("id", "rule", "group", "starts_at", "ends_at", "ended_at")
        read_only_fields = fields


_STEP = inline_serializer(
    "AlertStep",
    {
        "seq": serializers.IntegerField(),
        "at": serializers.DateTimeField(),
        "event": serializers.CharField(),
        "actor": serializers.CharField(),
        "text": serializers.CharField(help_text="a note, or what was found; empty once erased"),
    },
    many=True,
)


class AlertsView(APIView):
    """Episodes of alerts that you may see, the newest first."""

    @extend_schema(
        operation_id="alerts_list",
        parameters=[
            OpenApiParameter("status", str, enum=list(reading.SHOWN), description="default: open"),
            OpenApiParameter("rule", str, description="name of the rule"),
            OpenApiParameter("before", str, description="`next` of the page before"),
            OpenApiParameter("limit", int, description=f"at most {MAX_PAGE}"),
        ],
        responses=inline_serializer("AlertPage", {"alerts": EpisodeSerializer(many=True), "next": serializers.CharField()}),
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        rows = reading.episodes(request.user, show=asked.get("status", "open"), rule=asked.get("rule", ""))
        page = reading.page(rows, before=asked.get("before", ""), limit=page_size(request, default=reading.PAGE, most=MAX_PAGE))
        return Response({"alerts": EpisodeSerializer(page.episodes, many=True).data, "next": page.following})


class AlertView(APIView):
    """One episode, with what happened to it, in order: the last steps, or those before a place."""

    @extend_schema(
        operation_id="alerts_read",
        parameters=[
            _EPISODE_ID,
            OpenApiParameter("before", str, description="`next` of the answer before: the steps before those it had"),
            OpenApiParameter("limit", int, description=f"steps; at most {MAX_PAGE}"),
        ],
        responses=inline_serializer(
            "AlertDetail", {"alert": EpisodeSerializer(), "history": _STEP, "next": serializers.CharField()}
        ),
    )
    def get(self, request: Request, episode_id: UUID) -> Response:
        row = Episode.objects.select_related("acknowledged_by").get_visible(request.user, pk=episode_id)
        before, limit = request.query_params.get("before", ""), page_size(request, default=reading.PAGE, most=MAX_PAGE)
        story = reading.history(row, before=before, limit=limit)
        history = [
            {"seq": one.event.seq, "at": one.event.at, "event": one.event.type, "actor": _who(one), "text": one.text}
            for one in story.steps
        ]
        return Response({"alert": EpisodeSerializer(row).data, "history": history, "next": story.older})


class AcknowledgeView(APIView):
    """Take an episode on."""

    @extend_schema(
        operation_id="alerts_acknowledge", parameters=[_EPISODE_ID], request=_NOTE, responses={200: EpisodeSerializer}
    )
    @right_before_input(verbs.require_acting_on)
    def post(self, request: Request, episode_id: UUID) -> Response:
        body = body_of(request, required={"note": "text"})
        row = verbs.acknowledge(episode_id, actor=actor_of(request), note=body["note"])
        return Response(EpisodeSerializer(row).data)


class NotesView(APIView):
    """Write something down about an episode."""

    @extend_schema(operation_id="alerts_note", parameters=[_EPISODE_ID], request=_NOTE, responses={201: EpisodeSerializer})
    @right_before_input(verbs.require_acting_on)
    def post(self, request: Request, episode_id: UUID) -> Response:
        body = body_of(request, required={"note": "text"})
        row = verbs.note(episode_id, actor=actor_of(request), text=body["note"])
        return Response(EpisodeSerializer(row).data, status=201)


class SilenceEpisodeView(APIView):
    """Tell nobody what the rule finds for this group, until an end."""

    @extend_schema(
        operation_id="alerts_silence_group", parameters=[_EPISODE_ID], request=_SILENCE, responses={201: SilenceSerializer}
    )
    @right_before_input(verbs.require_acting_on)
    def post(self, request: Request, episode_id: UUID) -> Response:
        until, reason = _silence(request)
        row = verbs.silence_episode(episode_id, until=until, actor=actor_of(request), reason=reason)
        return Response(SilenceSerializer(row).data, status=201)


class SilencesView(APIView):
    """The silences that stand."""

    @extend_schema(
        operation_id="silences_list", responses=inline_serializer("SilenceList", {"silences": SilenceSerializer(many=True)})
    )
    def get(self, request: Request) -> Response:
        return Response({"silences": SilenceSerializer(reading.standing_silences(request.user), many=True).data})


class SilenceRuleView(APIView):
    """Tell nobody what a rule finds, until an end."""

    @extend_schema(operation_id="alerts_silence_rule", parameters=[_RULE], request=_SILENCE, responses={201: SilenceSerializer})
    @right_before_input(verbs.require_acting)
    def post(self, request: Request, rule: str) -> Response:
        until, reason = _silence(request)
        row = verbs.silence_rule(rule, until=until, actor=actor_of(request), reason=reason)
        return Response(SilenceSerializer(row).data, status=201)


class UnsilenceView(APIView):
    """End a silence before its time."""

    @extend_schema(operation_id="silences_end", parameters=[_SILENCE_ID], request=_REASON, responses={200: SilenceSerializer})
    @right_before_input(verbs.require_unsilencing)
    def post(self, request: Request, silence_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"})
        row = verbs.unsilence(silence_id, actor=actor_of(request), reason=body["reason"])
        return Response(SilenceSerializer(row).data)


def _silence(request: Request) -> tuple[datetime, str]:
    body: dict[str, Any] = body_of(request, required={"until": "text", "reason": "text"})
    try:
        return datetime.fromisoformat(body["until"]), body["reason"]
    except ValueError:
        raise Invalid("Say when the silence ends", faults=[Fault("/until", "write it like 2026-11-24T18:00Z")]) from None


def _who(step: reading.Step) -> str:
    event = step.event
    return f"{event.actor_kind}:{event.actor_ref}" if event.actor_ref else event.actor_kind


urlpatterns = [
    path("alerts", AlertsView.as_view(), name="api-alerts"),
    path("alerts/<uuid:episode_id>", AlertView.as_view(), name="api-alert"),
    path("alerts/<uuid:episode_id>/acknowledge", AcknowledgeView.as_view(), name="api-alert-acknowledge"),
    path("alerts/<uuid:episode_id>/notes", NotesView.as_view(), name="api-alert-notes"),
    path("alerts/<uuid:episode_id>/silence", SilenceEpisodeView.as_view(), name="api-alert-silence"),
    path("alert-rules/<str:rule>/silence", SilenceRuleView.as_view(), name="api-alert-rule-silence"),
    path("silences", SilencesView.as_view(), name="api-silences"),
    path("silences/<uuid:silence_id>/end", UnsilenceView.as_view(), name="api-silence-end"),
]
