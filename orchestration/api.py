"""API of runs: submit, read, follow their events. Edges only: rights and rules are in the verbs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import bodies, canonical, clock_text, tracing
from aegis.core.api import MAX_FAULTS, BatchJSONParser, actor_of, body_of, field_faults, problem
from aegis.core.bodies import MAX_BATCH_BYTES, MAX_BODY_BYTES
from aegis.core.errors import Fault, Invalid
from aegis.core.refusals import right_before_input
from aegis.core.visibility import Viewer
from aegis.identity.authentication import person_of
from audit import bundles, chain, masking
from audit.models import Event, Payload
from orchestration.engine import success, verbs, waiting
from orchestration.engine.models import Run

PAGE = 100
MAX_PAGE = 500
MODES = ("all", "each")

_ID = OpenApiParameter("run_id", UUID, OpenApiParameter.PATH)


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run as others may see it."""

    workflow = serializers.CharField(source="workflow.name")
    version = serializers.IntegerField(source="release.version")
    outcome = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = (
            "id", "label", "workflow", "version", "business_key", "status", "step", "priority", "outcome",
            "submitted_at", "ended_at", "parent", "parent_step", "ordinal",
        )  # fmt: skip
        read_only_fields = fields

    def get_outcome(self, run: Run) -> str:
        """How it ended; "" while it runs."""
        outcome: str = canonical.parse(run.state).get("outcome", "")
        return outcome


_EVENT = inline_serializer(
    "Event",
    {
        "seq": serializers.IntegerField(),
        "type": serializers.CharField(),
        "at": serializers.DateTimeField(),
        "line": serializers.DictField(),
        "leaf": serializers.CharField(),
        "payloads": serializers.DictField(help_text="name -> value; null where it was erased"),
    },
)


_RESULT = inline_serializer(
    "BatchResult",
    {
        "is_new": serializers.BooleanField(help_text="false: the key was used before, with the same body; or refused"),
        "run": serializers.DictField(help_text="id, label, business_key, status; null if refused"),
        "problem": serializers.DictField(help_text="why it was refused, as RFC 9457; null if it was not"),
    },
    many=True,
)
_BATCH = inline_serializer(
    "BatchAnswer",
    {
        "new": serializers.IntegerField(),
        "known": serializers.IntegerField(),
        "refused": serializers.IntegerField(),
        "results": _RESULT,
    },
)


class RunsView(APIView):
    """The runs you may see, newest first; and the door by which work comes in."""

    @extend_schema(
        operation_id="runs_list",
        parameters=[
            OpenApiParameter("workflow", str),
            OpenApiParameter("status", str),
            OpenApiParameter("business_key", str),
            OpenApiParameter("parent", str, description="the runs that this one forked; empty: those of every kind"),
            OpenApiParameter("before", str, description="`next` of the page before"),
        ],
        responses=inline_serializer("RunPage", {"runs": RunSerializer(many=True), "next": serializers.CharField()}),
    )
    def get(self, request: Request) -> Response:
        rows = Run.objects.visible_to(request.user).select_related("workflow", "release").order_by("-submitted_at", "-id")
        if "parent" not in request.query_params:
            rows = rows.filter(parent__isnull=True)  # children are named by the run that forked them
        elif parent := request.query_params["parent"]:
            rows = rows.filter(parent=_run_id(parent))
        for name, lookup in (("workflow", "workflow__name"), ("status", "status"), ("business_key", "business_key")):
            if value := request.query_params.get(name):
                canonical.check_value(value)
                rows = rows.filter(**{lookup: value})
        if before := request.query_params.get("before"):
            moment, last = _place(before)
            rows = rows.filter(Q(submitted_at__lt=moment) | Q(submitted_at=moment, id__lt=last))
        page = list(rows[: PAGE + 1])
        last_shown = page[PAGE - 1] if len(page) > PAGE else None
        following = f"{clock_text.render(last_shown.submitted_at)},{last_shown.pk}" if last_shown else ""
        return Response({"runs": RunSerializer(page[:PAGE], many=True).data, "next": following})

    @extend_schema(
        operation_id="runs_submit",
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER),
            OpenApiParameter("traceparent", str, OpenApiParameter.HEADER, description="W3C; the run joins that trace"),
        ],
        request=inline_serializer("Submission", {"workflow": serializers.CharField(), "input": serializers.DictField()}),
        responses={201: RunSerializer, 200: RunSerializer},
    )
    def post(self, request: Request) -> Response:
        person, actor = person_of(request), actor_of(request)
        with bodies.admitted(request, actor.ref, at_most=MAX_BODY_BYTES):
            body = body_of(request, required={"workflow": "text", "input": "any"})
            submission = verbs.Submission(
                body["input"], request.headers.get("Idempotency-Key"), tracing.read(request.headers.get("traceparent"))
            )
            done = verbs.submit(body["workflow"], submission, person=person, actor=actor)
        run = Run.objects.select_related("workflow", "release").get(pk=done.run.pk)
        return Response(
            RunSerializer(run).data, status=201 if done.is_new else 200, headers={"Location": f"/api/v1/runs/{run.pk}"}
        )


class RunsBatchView(APIView):
    """Many runs of one workflow at once: one check, one transaction."""

    parser_classes = (BatchJSONParser,)

    @extend_schema(
        operation_id="runs_submit_batch",
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="of the batch as a whole")],
        request=inline_serializer(
            "Batch",
            {
                "workflow": serializers.CharField(),
                "items": inline_serializer(
                    "BatchItem",
                    {"input": serializers.DictField(), "idempotency_key": serializers.CharField(required=False)},
                    many=True,
                ),
                "mode": serializers.ChoiceField(MODES, required=False, help_text="all (default): all items or none; each"),
            },
        ),
        responses={201: _BATCH, 200: _BATCH},
    )
    def post(self, request: Request) -> Response:
        person, actor = person_of(request), actor_of(request)
        with bodies.admitted(request, actor.ref, at_most=MAX_BATCH_BYTES):
            workflow, items, mode = _batch(request)
            key = request.headers.get("Idempotency-Key")
            if mode == "each":
                answers = verbs.submit_each(workflow, items, person=person, actor=actor, batch_key=key)
            else:
                answers = [*verbs.submit_many(workflow, items, person=person, actor=actor, batch_key=key, place=_in_batch)]
        results = [_result(answer) for answer in answers]
        is_new = [answer.is_new for answer in answers if isinstance(answer, verbs.Submitted)]
        counts = {"new": sum(is_new), "known": len(is_new) - sum(is_new), "refused": len(answers) - len(is_new)}
        return Response({**counts, "results": results}, status=201 if any(is_new) else 200)


class _RunReadSerializer(RunSerializer):
    """One run, with what it waits for and what its success criterion came to."""

    success = serializers.CharField(read_only=True, help_text='"yes", "no", "unknown"; "" without a criterion')
    waits_for = serializers.DictField(
        read_only=True, allow_null=True, help_text="kind (message, resource, time), name, key, holder, until; null if nothing"
    )

    trace_id = serializers.CharField(read_only=True, help_text="of the W3C trace its calls and logs belong to")
    children = serializers.ListField(
        child=serializers.DictField(), read_only=True, help_text="runs its blocks forked: id, step, visit, ordinal, status"
    )

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "success", "waits_for", "trace_id", "children")  # type: ignore[assignment]  # longer than the base's
        read_only_fields = fields  # type: ignore[assignment]


class RunView(APIView):
    @extend_schema(operation_id="runs_read", parameters=[_ID], responses=_RunReadSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        run = Run.objects.select_related("workflow", "release").get_visible(request.user, pk=run_id)
        found = waiting.of_run(run, Run.objects.visible_to(request.user))
        known = success.of_runs([run.pk]).get(run.pk, "")
        children = Run.objects.visible_to(request.user).filter(parent=run).order_by("submitted_at", "ordinal")
        family = [
            {"id": str(pk), "step": step, "visit": visit, "ordinal": ordinal, "status": status}
            for pk, step, visit, ordinal, status in children.values_list(
                "pk", "parent_step", "parent_visit", "ordinal", "status"
            )
        ]
        return Response(
            {**RunSerializer(run).data, "success": known, "waits_for": found, "trace_id": run.trace_id, "children": family}
        )


class RunRollbackView(APIView):
    """Ask to undo what a completed run did. Others decide about it, under the policy its workflow names."""

    @extend_schema(
        operation_id="runs_rollback",
        parameters=[_ID],
        request=inline_serializer("Rollback", {"reason": serializers.CharField()}),
        responses={202: RunSerializer},
    )
    @right_before_input(lambda person, run_id: Run.objects.get_visible(person, "operate", pk=run_id))
    def post(self, request: Request, run_id: UUID) -> Response:
        body = body_of(request, required={"reason": "text"})
        verbs.rollback_run(run_id, person=person_of(request), actor=actor_of(request), reason=body["reason"])
        run = Run.objects.select_related("workflow", "release").get(pk=run_id)
        return Response(RunSerializer(run).data, status=202)


class RunEventsView(APIView):
    """The run's stream, oldest first: exactly the lines that were hashed, and the payloads you may see."""

    @extend_schema(
        operation_id="runs_events",
        parameters=[_ID, OpenApiParameter("after", int, description="seq of the last event you have")],
        responses=inline_serializer("EventPage", {"events": _EVENT, "next": serializers.IntegerField()}),
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        run = Run.objects.all().get_visible(request.user, pk=run_id)
        after = _number(request, "after")
        events = list(
            Event.objects.visible_to(request.user).filter(stream=run.stream, seq__gt=after).order_by("seq")[: MAX_PAGE + 1]
        )
        page = events[:MAX_PAGE]
        payloads = _payloads(request.user, run.stream, [event.seq for event in page])
        return Response(
            {
                "events": [
                    {
                        "seq": event.seq,
                        "type": event.type,
                        "at": event.at,
                        "line": chain.read_line(event.line),
                        "leaf": event.leaf,
                        "payloads": payloads.get(event.seq, {}),
                    }
                    for event in page
                ],
                "next": page[-1].seq if len(events) > MAX_PAGE else 0,
            }
        )


class RunEvidenceView(APIView):
    """The evidence bundle of a run: a zip with its events, proofs, checkpoint and a script that verifies it."""

    @extend_schema(
        operation_id="runs_evidence",
        parameters=[_ID],
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, run_id: UUID) -> HttpResponse:
        run = Run.objects.all().get_visible(request.user, pk=run_id)
        bundle = bundles.of_run(run.pk, run.stream, run.label, viewer=request.user, actor=actor_of(request))
        return HttpResponse(
            bundle.content,
            content_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{bundle.name}"'},
        )


def _batch(request: Request) -> tuple[str, list[verbs.Submission], str]:
    data = body_of(request, required={"workflow": "text", "items": "list"}, optional={"mode": "text"})
    items, mode, faults = data["items"], data.get("mode", "all"), []
    if mode not in MODES:
        faults.append(Fault("/mode", "must be all or each"))
    if not items:
        faults.append(Fault("/items", "must be a list of at least one item"))
    elif len(items) > verbs.MAX_BATCH:
        faults.append(Fault("/items", f"holds {len(items):,} items; at most {verbs.MAX_BATCH:,} are taken at once"))
    else:
        found = (
            field_faults(item, f"/items/{index}", required={"input": "any"}, optional={"idempotency_key": "text"})
            for index, item in enumerate(items)
        )
        faults += [fault for of_item in found for fault in of_item]
    if faults:
        raise Invalid("The batch is not complete", faults=faults[:MAX_FAULTS])
    return data["workflow"], [verbs.Submission(item["input"], item.get("idempotency_key")) for item in items], mode


def _in_batch(index: int, where: str | None) -> str:
    return f"/items/{index}" if where is None else f"/items/{index}/input{where}"


def _result(answer: verbs.Submitted | verbs.Refused) -> dict[str, Any]:
    if isinstance(answer, verbs.Refused):
        return {"is_new": False, "run": None, "problem": problem(answer.error)}
    run = answer.run
    shown = {"id": str(run.pk), "label": run.label, "business_key": run.business_key, "status": run.status}
    return {"is_new": answer.is_new, "run": shown, "problem": None}


def _place(before: str) -> tuple[datetime, UUID]:
    moment, _, last = before.partition(",")
    try:
        return clock_text.parse(moment), UUID(last)
    except ValueError:
        raise Invalid("`before` is no page", faults=[Fault("before", "use `next` of the page before")]) from None


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("`parent` is no run", faults=[Fault("parent", "name the id of a run, or leave it empty")]) from None


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"`{name}` must be a number", faults=[Fault(name, "must be a whole number from 0")])
    return int(text)


def _payloads(user: Viewer, stream: str, seqs: list[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    rows = Payload.objects.filter(stream=stream, seq__in=seqs)
    for seq, name in rows.filter(body="").values_list("seq", "name"):
        found.setdefault(seq, {})[name] = None
    for row in masking.shown(user, rows.exclude(body="").values_list("stream", "seq", "name", "body")):
        found.setdefault(row.seq, {})[row.name] = canonical.parse(row.body)
    return found


urlpatterns = [
    path("runs", RunsView.as_view(), name="api-runs"),
    path("runs/batch", RunsBatchView.as_view(), name="api-runs-batch"),
    path("runs/<uuid:run_id>", RunView.as_view(), name="api-run"),
    path("runs/<uuid:run_id>/rollback", RunRollbackView.as_view(), name="api-run-rollback"),
    path("runs/<uuid:run_id>/events", RunEventsView.as_view(), name="api-run-events"),
    path("runs/<uuid:run_id>/evidence", RunEvidenceView.as_view(), name="api-run-evidence"),
]
