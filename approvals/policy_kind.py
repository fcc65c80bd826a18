"""The kind `ApprovalPolicy`. Applied before roles, because grants and locks name policies."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import ExpressionInvalid
from aegis.core.kinds import Change, Key, Overlay
from aegis.identity import people
from approvals import electors, policies, policy_schema, policy_words, strictness, tally
from approvals.changes import CONFIG_POLICY, ERASURE_POLICY, LEAST_APPROVERS
from approvals.governed import DocumentKind
from approvals.models import ApprovalPolicy
from approvals.policies import Policy


class ApprovalPolicyKind(DocumentKind):
    name = "ApprovalPolicy"
    title = "Approval policies"
    area = "approvals"
    order = 15
    schema = policy_schema.SCHEMA
    model = ApprovalPolicy

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        try:
            policy = policies.load(change.new)
        except Invalid as error:
            return list(error.faults)
        faults = _fast_path_faults(policy)
        known = set(Group.objects.filter(name__in=policy.groups).values_list("name", flat=True))
        for index, stage in enumerate(policy.stages):
            for place, name in enumerate(stage.groups):
                if name not in known and not _is_role_of_people(name, overlay):
                    what = f"there is no group {name!r}, and no role of people of that name"
                    faults.append(Fault(f"/spec/stages/{index}/groups/{place}", what))
        if not faults and known.issuperset(policy.groups):
            faults += _shortfall(policy)
        if policy.fallback_queue and overlay.get("ReviewQueue", policy.fallback_queue) is None:
            faults.append(Fault("/spec/fallback/queue", f"there is no review queue {policy.fallback_queue!r}"))
        if policy.name == CONFIG_POLICY and tally.people_needed(policy) < LEAST_APPROVERS:
            faults.append(Fault("/spec/stages", "guarded changes need at least two people other than the one who proposes"))
        if policy.name == ERASURE_POLICY and tally.people_needed(policy) < LEAST_APPROVERS:
            faults.append(Fault("/spec/stages", "an erasure needs at least two people other than the one who asks"))
        return faults

    def diff(self, change: Change) -> list[str]:
        old, new = _said(change.old), _said(change.new)
        label = f"Approval policy “{change.key.name}”"
        if change.new is None:
            return [f"Removes the a{label[1:]}."]
        if change.old is None:
            return [f"Adds the a{label[1:]}.", *new]
        gone = [f"{label} no longer says: {sentence}" for sentence in old if sentence not in new]
        come = [f"{label} now says: {sentence}" for sentence in new if sentence not in old]
        return [*gone, *come] or super().diff(change)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        if change.key.name == CONFIG_POLICY and change.old is not None:
            return [f"“{CONFIG_POLICY}” says who approves guarded changes; nobody changes it alone."]
        old, new = change.old, change.new
        if change.key.name == ERASURE_POLICY:  # while there is none, that of guarded changes takes its place
            old, new = old or _standing(CONFIG_POLICY), new or _standing(CONFIG_POLICY)
        if old is None or new is None:  # nothing that stands can name it yet, or any more: lint sees to that
            return []
        why = strictness.weakened(policies.load(old), policies.load(new))
        return [f"Approval policy “{change.key.name}” {why}; nobody lowers alone what others must say yes to."] if why else []

    def apply(self, change: Change, *, actor: Actor, change_id: UUID) -> None:
        if change.new is not None:
            # Roles of people come later in the set and bring their groups; the policy points at them already.
            for name in policies.load(change.new).groups:
                if not Group.objects.filter(name=name).exists():
                    people.create_group(name, actor=actor, reason=f"policy {change.key.name}, change {change_id}")
        super().apply(change, actor=actor, change_id=change_id)

    def wrote(self, row: Any, document: Json) -> None:
        row.groups.set(Group.objects.filter(name__in=policies.load(document).groups))


def _fast_path_faults(policy: Policy) -> list[Fault]:
    try:
        policies.fast_path_of(policy)
    except ExpressionInvalid as error:
        return [Fault(f"/spec/fast_path {fault.where}".rstrip(), fault.what) for fault in error.faults] or [
            Fault("/spec/fast_path", error.detail)
        ]
    return []


def _shortfall(policy: Policy) -> list[Fault]:
    """Could the stages ever be passed? Asked once all groups exist; a group that comes with the set has nobody in it yet, and
    then opening a request is refused as long as it stays empty."""
    missing = tally.shortfall(policy.stages, electors.active_people(policy.groups), distinct_groups=policy.distinct_groups)
    return [Fault("/spec/stages", missing)] if missing else []


def _is_role_of_people(name: str, overlay: Overlay) -> bool:
    document = overlay.changes.get(Key("Role", name))
    return bool(document and document["spec"].get("people", False))


def _said(document: Json | None) -> list[str]:
    return policy_words.describe(policies.load(document)) if document is not None else []


def _standing(name: str) -> Json | None:
    row = ApprovalPolicy.objects.filter(name=name).first()
    return canonical.parse(row.document) if row else None
