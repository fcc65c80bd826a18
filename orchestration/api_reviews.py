"""API of the reviews of access: which roles are due, one role with its grants, a reviewer's word on them. Edges only: rights
and rules are in `authority.confirming`, as for the page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aegis.core import clock
from aegis.core.api import Field, actor_of, body_of
from aegis.core.refusals import right_before_input
from aegis.identity.authentication import person_of
from aegis.identity.models import User
from orchestration.authority import confirming, reviewers, reviewing, role_reviews
from orchestration.authority.reviewing import Use
from orchestration.authority.role_reviews import Standing
from orchestration.engine import explaining

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="of the role")
_TEXTS = serializers.ListField(child=serializers.CharField(), required=False)
_FIELDS: Final[dict[str, Any]] = {
    "role": serializers.CharField(),
    "reviewer": serializers.CharField(help_text="in words"),
    "every_days": serializers.IntegerField(),
    "due_at": serializers.DateTimeField(),
    "is_due": serializers.BooleanField(),
    "has_reviewer": serializers.BooleanField(help_text="false: whoever is named has left, or holds the role"),
    "may_review": serializers.BooleanField(help_text="you may"),
    "left": serializers.ListField(child=serializers.CharField(), help_text="capabilities to be confirmed or dropped"),
    "reviewed_at": serializers.DateTimeField(allow_null=True),
    "request": serializers.UUIDField(allow_null=True, help_text="of the proposal to drop that waits"),
}
_GRANT: Final[dict[str, Any]] = {
    "capability": serializers.CharField(),
    "grant": serializers.DictField(help_text="as in the role's document"),
    "state": serializers.ChoiceField(["left", "confirmed", "proposed"]),
    "uses": serializers.IntegerField(help_text="verdicts that rested on it within `every_days`"),
    "last_used_at": serializers.DateTimeField(allow_null=True),
    "widens": serializers.CharField(help_text="what would become more allowed if it were dropped; empty if nothing"),
}
_LIST = inline_serializer("RoleReviews", {"reviews": inline_serializer("RoleReviewListed", _FIELDS, many=True)})
_ONE = inline_serializer(
    "RoleReview",
    {
        **_FIELDS,
        "digest": serializers.CharField(help_text="what a word on it names as `seen`"),
        "grants": inline_serializer("ReviewedGrant", _GRANT, many=True),
    },
)
_WORD = inline_serializer(
    "ReviewWord",
    {
        "reason": serializers.CharField(),
        "seen": serializers.CharField(help_text="the `digest` that you read"),
        "confirm": _TEXTS,
        "drop": _TEXTS,
        "told": serializers.ListField(
            child=serializers.CharField(), required=False, help_text="dropped ones of which you read what that `widens`"
        ),
    },
)
_SAID = inline_serializer(
    "ReviewSaid",
    {
        "request": serializers.UUIDField(allow_null=True, help_text="of the proposal to drop; others decide it"),
        "left": serializers.ListField(child=serializers.CharField()),
    },
)


class RoleReviewsView(APIView):
    @extend_schema(
        operation_id="reviews_list",
        parameters=[OpenApiParameter("show", str, enum=["due"], description="only those due, or within two weeks")],
        responses={200: _LIST},
    )
    def get(self, request: Request) -> Response:
        """The review of each role that you may see or review, the next due first."""
        user, now = person_of(request), clock.now()
        found = role_reviews.readable_by(user, role_reviews.of_all())
        if not found:
            explaining.require_reader(user)
        if request.query_params.get("show") == "due":
            found = [one for one in found if one.is_soon(now)]
        return Response({"reviews": [_told(one, user, now) for one in found]})


class RoleReviewView(APIView):
    @extend_schema(operation_id="reviews_read", parameters=[_NAME], responses={200: _ONE})
    def get(self, request: Request, name: str) -> Response:
        """One role with its grants: their state, their use, and what dropping each would allow."""
        user, now = person_of(request), clock.now()
        standing = role_reviews.readable(user, name)
        used = reviewing.uses(clock.db_now() - timedelta(days=standing.terms.every_days))
        widens = confirming.widening(standing.role, standing.grants)
        grants = [
            _grant(standing, capability, used.get(f"{name}/{capability}"), widens.get(capability, ""))
            for capability in standing.grants
        ]
        return Response({**_told(standing, user, now), "digest": standing.role.digest, "grants": grants})

    @extend_schema(operation_id="reviews_settle", parameters=[_NAME], request=_WORD, responses={200: _SAID})
    @right_before_input(reviewers.require_named)
    def post(self, request: Request, name: str) -> Response:
        """A reviewer's word: these are confirmed, those are proposed to be dropped. In part, or on all that is left."""
        optional: dict[str, Field] = {"confirm": "texts", "drop": "texts", "told": "texts"}
        body = body_of(request, required={"reason": "text", "seen": "text"}, optional=optional)
        said = confirming.settle(name, actor=actor_of(request), **{**dict.fromkeys(optional, ()), **body})
        return Response({"request": said.request, "left": list(said.left)})


def _told(one: Standing, user: User, now: datetime) -> dict[str, Any]:
    return {
        "role": one.name,
        "reviewer": one.terms.who,
        "every_days": one.terms.every_days,
        "due_at": one.due_at,
        "is_due": one.is_due(now),
        "has_reviewer": one.has_reviewer,
        "may_review": one.may_review(user),
        "left": one.left,
        "reviewed_at": one.reviewed_at,
        "request": one.request,
    }


def _grant(standing: Standing, capability: str, use: Use | None, widens: str) -> dict[str, Any]:
    return {
        "capability": capability,
        "grant": standing.grants[capability],
        "state": standing.state_of(capability),
        "uses": use.count if use else 0,
        "last_used_at": use.last_at if use else None,
        "widens": widens,
    }


urlpatterns = [
    path("reviews", RoleReviewsView.as_view(), name="api-role-reviews"),
    path("reviews/<str:name>", RoleReviewView.as_view(), name="api-role-review"),
]
