"""Every admin class: a table of contents. What is not here is not mounted (`portal.site.AegisSite.register`)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from aegis.core.admin import RestrictedAdmin
from aegis.identity.models import Area, User
from aegis.portal.governed import catalogue
from aegis.portal.governed.agents import AgentAdminBase
from aegis.portal.governed.base import GovernedAdmin
from aegis.portal.templatetags.aegis import moment, tag
from approvals.alerts.models import Alert
from approvals.models import ApprovalPolicy
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability, FloorLock, Role
from orchestration.contracts.models import Contract
from orchestration.engine.models import ReviewQueue
from orchestration.routing.models import RoutingTable
from orchestration.workflows.models import Workflow


@admin.register(Agent)
class AgentAdmin(AgentAdminBase):
    """Its columns: `portal.governed.agents`."""


@admin.register(Workflow)
class WorkflowAdmin(GovernedAdmin):
    kind_pages = catalogue.WORKFLOW
    list_display = ("entry", "owner_name", "version_number", "changed")
    list_select_related = ("owner",)

    @admin.display(description="Owner", ordering="owner__name")
    def owner_name(self, row: Workflow) -> str:
        return row.owner.name


@admin.register(RoutingTable)
class RoutingTableAdmin(GovernedAdmin):
    kind_pages = catalogue.TABLE


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(GovernedAdmin):
    kind_pages = catalogue.POLICY


@admin.register(Contract)
class ContractAdmin(GovernedAdmin):
    kind_pages = catalogue.CONTRACT


@admin.register(Capability)
class CapabilityAdmin(GovernedAdmin):
    kind_pages = catalogue.CAPABILITY


@admin.register(Role)
class RoleAdmin(GovernedAdmin):
    kind_pages = catalogue.ROLE


@admin.register(FloorLock)
class FloorLockAdmin(GovernedAdmin):
    kind_pages = catalogue.LOCK


@admin.register(ReviewQueue)
class ReviewQueueAdmin(GovernedAdmin):
    kind_pages = catalogue.QUEUE


@admin.register(Alert)
class AlertAdmin(GovernedAdmin):
    kind_pages = catalogue.ALERT


@admin.register(User)
class PeopleAdmin(RestrictedAdmin):
    """People, read-only, for those who may see the area "people". Verbs on people are commands and pages of their own."""

    list_display = ("person", "username", "group_list", "state", "seen")
    search_fields = ("username", "first_name", "last_name")
    ordering = ("username",)
    list_filter = ("is_active",)
    filter_lookups: ClassVar[frozenset[str]] = frozenset({"is_active__exact"})
    empty_hint = "You may not see people; the right is granted on the area “people”."

    def visible(self, request: HttpRequest) -> QuerySet[User]:
        if not Area.objects.visible_to(request.user).filter(name="people").exists():
            return User.objects.none()
        return User.objects.prefetch_related(Prefetch("groups", Group.objects.order_by("name")))

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.changelist_view), name="identity_user_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        intro = {"title": "People", "list_intro": "Who may sign in, and their groups; rights go to groups only"}
        return super().changelist_view(request, {**intro, **(extra_context or {})})

    @admin.display(description="Name", ordering="last_name")
    def person(self, row: User) -> str:
        demo = format_html(" {}", tag("amber", "alert", "demo")) if row.is_demo else ""
        url = reverse("portal:permissions-person", args=[row.pk])
        return format_html('<a class="ag-strong" href="{}">{}</a>{}', url, row.display_name, demo)

    @admin.display(description="Groups")
    def group_list(self, row: User) -> str:
        return ", ".join(group.name for group in row.groups.all()) or "—"

    @admin.display(description="State", ordering="is_active")
    def state(self, row: User) -> str:
        return tag("green", "check-circle", "active") if row.is_active else tag("grey", "skip", "disabled")

    @admin.display(description="Last sign-in", ordering="last_login")
    def seen(self, row: User) -> str:
        return moment(row.last_login) if row.last_login else "never"
