"""The list of agents: beside what every list shows, who answers for each, how it did, and what is wrong with it."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from aegis.portal.governed import catalogue
from aegis.portal.governed.base import GovernedAdmin
from aegis.portal.templatetags.aegis import tag
from orchestration.agents import alarms
from orchestration.agents.models import Agent
from orchestration.pages import agentfigures, guardboard

_ALARMS = {
    "owner_left": "owner left",
    "owner_without_group": "owner without rights",
    "no_secret": "no signing secret",
    "secret_ends": "secret ends soon",
    "secret_ended": "secret ended",
    "secret_lost": "secret lost",
}


class AgentAdminBase(GovernedAdmin):
    kind_pages = catalogue.AGENT
    list_display = ("entry", "state", "owner_name", "figures", "waits", "version_number", "changed")
    list_select_related = ("owner",)
    list_filter = ("is_enabled",)
    filter_lookups: ClassVar[frozenset[str]] = frozenset({"is_enabled__exact"})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """What the columns show is read once for all rows of the page: columns themselves ask nothing."""
        found: Any = super().get_changelist_instance(request)
        rows = list(found.result_list)
        figures = agentfigures.of(request.user, [row.name for row in rows])
        wrong: dict[Any, list[alarms.Alarm]] = {}
        for alarm in alarms.of_all(request.user):
            wrong.setdefault(alarm.agent_id, []).append(alarm)
        board = guardboard.board(request.user)
        halted = {line.halt.name for line in board.halts if line.halt.scope == "agent"}
        broken = {line.name for line in board.breakers if line.kind == "agent" and line.phase != "closed"}
        for row in rows:
            row.shown_figures, row.shown_alarms = figures[row.name], wrong.get(row.pk, [])
            row.is_halted, row.is_broken = row.name in halted or board.everything_halted, row.name in broken
        found.result_list = rows
        return found

    @admin.display(description="State", ordering="is_enabled")
    def state(self, row: Any) -> str:
        marks = [tag("green", "check-circle", "enabled") if row.is_enabled else tag("grey", "pause", "disabled")]
        if row.is_halted:
            marks.append(tag("red", "pause", "halted"))
        if row.is_broken:
            marks.append(tag("red", "x-circle", "breaker open"))
        marks += [tag(alarm.tone, "alarm", _ALARMS[alarm.code]) for alarm in row.shown_alarms]
        return format_html_join(" ", "{}", ((mark,) for mark in marks))

    @admin.display(description="Owner")
    def owner_name(self, row: Agent) -> str:
        return row.owner.display_name

    @admin.display(description="Done, last 24 h")
    def figures(self, row: Any) -> str:
        shown: agentfigures.Figures = row.shown_figures
        if shown.success is None:
            return format_html('<span class="ag-muted">{}</span>', "no call")
        return format_html('<span class="ag-num">{} % <span class="ag-muted">of {}</span></span>', shown.success, shown.calls)

    @admin.display(description="Open requests")
    def waits(self, row: Any) -> str:
        if not row.shown_figures.open_requests:
            return format_html('<span class="ag-muted">{}</span>', "none")
        url = f"{reverse('approvals:inbox')}?{urlencode({'tab': 'waiting', 'agent': row.name})}"
        return format_html('<a class="ag-num" href="{}">{}</a>', url, row.shown_figures.open_requests)
