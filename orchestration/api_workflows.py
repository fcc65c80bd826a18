"""API of workflows: dry runs, samples, the map as Mermaid text, and the schemas of the language. Edges only."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import bodies, canonical
from aegis.core.api import actor_of
from aegis.core.bodies import MAX_BODY_BYTES
from aegis.core.errors import Fault, Invalid
from aegis.core.kinds import all_kinds, get_kind
from aegis.core.refusals import right_before_input
from aegis.identity.authentication import person_of
from approvals import schemas
from orchestration.engine import rehearsals, verbs
from orchestration.engine.rehearsal_words import as_json
from orchestration.workflows import drawing, flowmap, parse, samples
from orchestration.workflows.models import Workflow

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH)
_PLAYED = inline_serializer(
    "DryRun",
    {
        "status": serializers.CharField(),
        "outcome": serializers.CharField(),
        "success": serializers.CharField(),
        "business_key": serializers.CharField(),
        "path": serializers.ListField(child=serializers.CharField()),
        "says": serializers.CharField(),
        "waits_for": serializers.DictField(allow_null=True),
        "output": serializers.JSONField(allow_null=True),
        "happenings": serializers.ListField(child=serializers.DictField()),
        "parts": serializers.ListField(
            child=serializers.DictField(), help_text="child runs of its blocks: step, visit, part, and the same as here"
        ),
    },
)


class DryRunView(APIView):
    """What would come of an input. Nothing is sent, nothing is written."""

    @extend_schema(
        operation_id="workflows_dry_run",
        parameters=[_NAME],
        request=inline_serializer(
            "DryRunRequest",
            {
                "input": serializers.DictField(),
                "answers": serializers.DictField(required=False, help_text="step, or step/visit -> what is answered there"),
                "decisions": serializers.DictField(required=False),
                "fails": serializers.DictField(required=False),
                "records": serializers.ListField(child=serializers.DictField(), required=False),
                "call_agents": serializers.BooleanField(required=False, help_text="really ask Python agents of this process"),
            },
        ),
        responses=_PLAYED,
    )
    @right_before_input(lambda person, name: Workflow.objects.get_visible(person, "start", name=name))
    def post(self, request: Request, name: str) -> Response:
        person = person_of(request)
        with bodies.admitted(request, actor_of(request).ref, at_most=MAX_BODY_BYTES):
            payload, said, asks = _asked(request.data)
            played = rehearsals.dry_run(name, payload, samples.script_of(said), person=person, asks_agents=asks)
        return Response(as_json(played))


class SamplesView(APIView):
    """The stored samples, each tried now."""

    @extend_schema(
        operation_id="workflows_samples",
        parameters=[_NAME],
        responses=inline_serializer(
            "SampleResults",
            {
                "samples": inline_serializer(
                    "SampleResult",
                    {
                        "name": serializers.CharField(),
                        "verdict": serializers.CharField(help_text="passes, fails, not decided"),
                        "faults": serializers.ListField(child=serializers.DictField()),
                        "played": _PLAYED,
                    },
                    many=True,
                )
            },
        ),
    )
    def get(self, request: Request, name: str) -> Response:
        results = rehearsals.try_samples(name, person=person_of(request))
        told = [
            {
                "name": one.sample.name,
                "verdict": one.verdict,
                "faults": [{"where": fault.where, "what": fault.what, "remedy": fault.remedy} for fault in one.faults],
                "played": as_json(one.rehearsal) if one.rehearsal else None,
            }
            for one in results
        ]
        return Response({"samples": told})


class MapView(APIView):
    """The flow map as Mermaid text."""

    @extend_schema(operation_id="workflows_map", parameters=[_NAME], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, name: str) -> HttpResponse:
        row = Workflow.objects.get_visible(request.user, name=name)
        text = drawing.mermaid(flowmap.layout(parse.load(canonical.parse(row.document))))
        return HttpResponse(text, content_type="text/plain; charset=utf-8")


class RetireView(APIView):
    """Retire a version through change control: applied at once, or waiting for others to approve it."""

    @extend_schema(
        operation_id="workflows_retire",
        parameters=[_NAME],
        request=inline_serializer(
            "RetireVersion", {"version": serializers.IntegerField(min_value=1), "reason": serializers.CharField()}
        ),
        responses=inline_serializer(
            "VersionRetired",
            {
                "change_set": serializers.UUIDField(help_text="of an open request the id too"),
                "status": serializers.CharField(help_text="applied, or proposed: others must approve it"),
            },
        ),
    )
    @right_before_input(lambda person, name: Workflow.objects.get_visible(person, "edit", name=name))
    def post(self, request: Request, name: str) -> Response:
        person, actor = person_of(request), actor_of(request)
        with bodies.admitted(request, actor.ref, at_most=MAX_BODY_BYTES):
            version, reason = _version(request.data)
            made = verbs.retire_version(name, version, person=person, actor=actor, reason=reason)
        return Response({"change_set": str(made.pk), "status": made.status})


class SchemasView(APIView):
    """The kinds there are."""

    @extend_schema(
        operation_id="schemas_list",
        responses=inline_serializer("Schemas", {"kinds": serializers.ListField(child=serializers.CharField())}),
    )
    def get(self, request: Request) -> Response:
        return Response({"kinds": [kind.name for kind in all_kinds()]})


class SchemaView(APIView):
    """The JSON Schema of one kind ("Workflow"), or of any document ("Document")."""

    @extend_schema(
        operation_id="schemas_read",
        parameters=[OpenApiParameter("kind", str, OpenApiParameter.PATH)],
        responses={(200, "application/schema+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, kind: str) -> HttpResponse:
        schema = schemas.of_any_document() if kind == "Document" else get_kind(kind).schema
        return HttpResponse(schemas.as_text(schema), content_type="application/schema+json")


def _version(body: Any) -> tuple[int, str]:
    """Version and reason, of a body that holds nothing else.

    Raises:
        Invalid
    """
    given = body if isinstance(body, dict) else {}
    version = given.get("version")
    if set(given) != {"version", "reason"} or isinstance(version, bool) or not isinstance(version, int):
        what = 'must be {"version": a whole number, "reason": text}'
        raise Invalid(f"The body {what}", faults=[Fault("", what)])
    return version, given["reason"] if isinstance(given["reason"], str) else ""


def _asked(body: Any) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Input, script and wish to ask agents, of a body that holds nothing else.

    Raises:
        Invalid
    """
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        what = "must be an object: what the workflow would be started with"
        raise Invalid(f"input {what}", faults=[Fault("/input", what)])
    if not isinstance(body.get("call_agents", False), bool):
        raise Invalid("call_agents is true or false", faults=[Fault("/call_agents", "is true or false")])
    said = {name: value for name, value in body.items() if name not in ("input", "call_agents")}
    if faults := samples.script_faults(said):
        raise Invalid(f"The request cannot be used: {faults[0]}", faults=faults)
    return body["input"], said, body.get("call_agents", False)


urlpatterns = [
    path("workflows/<str:name>/dry-run", DryRunView.as_view(), name="workflow-dry-run"),
    path("workflows/<str:name>/samples", SamplesView.as_view(), name="workflow-samples"),
    path("workflows/<str:name>/retire", RetireView.as_view(), name="workflow-retire"),
    path("workflows/<str:name>/map", MapView.as_view(), name="workflow-map"),
    path("schemas", SchemasView.as_view(), name="schemas"),
    path("schemas/<str:kind>", SchemaView.as_view(), name="schema"),
]
