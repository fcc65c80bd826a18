"""API of routing tables: what a draft would have answered to recorded inputs. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import canonical
from aegis.core.errors import Fault, Invalid
from aegis.core.refusals import right_before_input
from orchestration.engine.replay import DEFAULT_LAST, MAX_LAST, replay
from orchestration.routing import drafts
from orchestration.routing.models import RoutingTable

_MOVE = inline_serializer(
    "RoutingMove",
    {
        "event": serializers.CharField(help_text="stream/seq of the recorded route"),
        "run": serializers.CharField(),
        "label": serializers.CharField(),
        "before": serializers.DictField(help_text="rule, case; an empty rule is the default"),
        "after": serializers.DictField(help_text="rule, case, error"),
        "is_case": serializers.BooleanField(help_text="false: only other outputs differ"),
    },
    many=True,
)


class ReplayView(APIView):
    """Ask a draft about the newest recorded inputs that you may see. Nothing is changed."""

    @extend_schema(
        operation_id="routing_table_replay",
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)],
        request=inline_serializer(
            "ReplayRequest",
            {
                "document": serializers.DictField(help_text="the draft; left out: the table as it stands", required=False),
                "last": serializers.IntegerField(required=False, min_value=1, max_value=MAX_LAST),
            },
        ),
        responses=inline_serializer(
            "ReplayAnswer",
            {
                "asked": serializers.IntegerField(),
                "moved": serializers.IntegerField(help_text="would take another case"),
                "differing": serializers.IntegerField(help_text="same case, other outputs"),
                "erased": serializers.IntegerField(),
                "is_bounded": serializers.BooleanField(help_text="there may be more inputs than were looked through"),
                "moves": _MOVE,
            },
        ),
    )
    @right_before_input(lambda person, name: RoutingTable.objects.get_visible(person, name=name))
    def post(self, request: Request, name: str) -> Response:
        row = RoutingTable.objects.get_visible(request.user, name=name)
        data = request.data if isinstance(request.data, dict) else {}
        if unknown := sorted(set(data) - {"document", "last"}):
            raise Invalid("The request is not complete", faults=[Fault(f"/{one}", "is unknown") for one in unknown])
        last = data.get("last", DEFAULT_LAST)
        if isinstance(last, bool) or not isinstance(last, int) or not 1 <= last <= MAX_LAST:
            raise Invalid("The request is not complete", faults=[Fault("/last", f"must be 1 to {MAX_LAST:,}")])
        document = data.get("document") or canonical.parse(row.document)
        canonical.check_value(document)
        draft = drafts.load(document)
        if draft.name != row.name:
            raise Invalid("The draft is of another table", faults=[Fault("/document/metadata/name", f"must be {row.name}")])
        found = replay(draft, last=last, viewer=request.user)
        moves = [
            {
                "event": move.place,
                "run": move.run,
                "label": move.label,
                "before": {"rule": move.before_rule, "case": move.before_case},
                "after": {"rule": move.after_rule, "case": move.after_case, "error": move.error},
                "is_case": move.is_case,
            }
            for move in found.moves
        ]
        counts = {name: getattr(found, name) for name in ("asked", "moved", "differing", "erased", "is_bounded")}
        return Response({**counts, "moves": moves})


urlpatterns = [path("routing-tables/<str:name>/replay", ReplayView.as_view(), name="api-routing-replay")]
