"""The kind `Alert`: a rule over the metrics or over a state, and who hears of it. Applied last, for it names workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group

from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.kinds import Change, Overlay
from aegis.identity.models import User
from approvals.alerts import seeing
from approvals.alerts.models import Alert
from approvals.governed import DocumentKind
from audit.alerts import documents, wording
from audit.alerts.rules import Rule


class AlertKind(DocumentKind):
    name = documents.KIND
    title = "Alerts"
    area = seeing.AREA
    order = 90
    schema = documents.SCHEMA
    model = Alert

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        try:
            rule = documents.read(change.new)
        except Invalid as error:
            return list(error.faults)
        faults = _notify_faults(change.new["spec"].get("notify", {}), overlay)
        if isinstance(rule, Rule) and rule.workflow and overlay.get("Workflow", rule.workflow) is None:
            faults.append(Fault("/spec/workflow", f"there is no workflow {rule.workflow!r}"))
        return faults

    def diff(self, change: Change) -> list[str]:
        old, new = said(change.old), said(change.new)
        label = f"Alert “{change.key.name}”"
        if change.new is None:
            return [f"Removes the a{label[1:]}: nobody hears of it any more."]
        if change.old is None:
            return [f"Adds the a{label[1:]}.", *new]
        gone = [f"{label} no longer says: {sentence}" for sentence in old if sentence not in new]
        come = [f"{label} now says: {sentence}" for sentence in new if sentence not in old]
        return [*gone, *come] or super().diff(change)

    def fields(self, document: Json) -> Mapping[str, Any]:
        rule = documents.read(document)
        return {"hours": rule.hours if isinstance(rule, Rule) else 0}


def said(document: Json | None) -> list[str]:
    """The document in sentences; none of one that no longer makes sense."""
    if document is None:
        return []
    try:
        sentences = wording.describe(documents.read(document))
    except Invalid as error:
        return [f"It is not judged: {error}"]
    return [*sentences, _told(document["spec"].get("notify", {}))]


def _told(notify: Mapping[str, str]) -> str:
    if "group" in notify:
        return f"The group {notify['group']} answers for it, and is told."
    return f"{notify['owner']} answers for it, and is told." if "owner" in notify else "Nobody is told by mail."


def _notify_faults(notify: Mapping[str, str], overlay: Overlay) -> list[Fault]:
    if group := notify.get("group"):
        role = overlay.get("Role", group)
        if not (Group.objects.filter(name=group).exists() or (role and role["spec"].get("people", False))):
            return [Fault("/spec/notify/group", f"there is no group {group!r}")]
    if (owner := notify.get("owner")) and not User.objects.filter(username=owner, is_active=True).exists():
        return [Fault("/spec/notify/owner", f"there is no active person {owner!r}")]
    return []
