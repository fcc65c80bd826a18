"""What a person may see of policies, requests and change sets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.contrib.auth.models import Group
from django.db.models import Exists, F, OuterRef, Q

from aegis.core import clock
from aegis.core.visibility import GrantedQuerySet, Viewer, VisibleQuerySet, remembered
from audit.scopes import scope_filter

if TYPE_CHECKING:
    from approvals.models import ApprovalRequest, ChangeSet  # noqa: F401  (named in the bases below)


class GovernedQuerySet(GrantedQuerySet[Any]):
    """Configuration rows: by a grant on the row itself, or on its area (`Model.area`)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        area: str = getattr(self.model, "area", "")
        if area and area in remembered(
            ("areas", action, user.pk), lambda: frozenset(Area.objects.visible_to(user, action).values_list("name", flat=True))
        ):
            return self.all()
        return super().visible_to(user, action)


class RequestQuerySet(VisibleQuerySet["ApprovalRequest"]):
    """Visible: who may see the scope it belongs to, who is in a group of its policy or decides for somebody who is, and who
    asked."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        if not (user.is_authenticated and user.is_active):
            return self.none()
        groups = Group.objects.filter(user=user.pk)
        mine = Q(policy__in=self._policies_of(groups)) | Q(requester=user.pk)
        return self.filter(scope_filter(user) | mine | Exists(_delegations(user, clock.now())))

    def awaiting(self, user: Viewer, now: datetime) -> Self:
        """Open requests whose stage now voting `user` may decide: the inbox and the count on the navigation.

        In a group of that stage, not bound when it opened, no vote yet, not past its deadline; or the same of a person for whom
        he decides. `gates.decide` asks all of it again. Two queries beside the list, and one for each such person; policies
        are few.
        """
        if not (user.is_authenticated and user.is_active):
            return self.none()
        seats = remembered(("stages", user.pk), lambda: _stages_of(user.pk)) | Q(pk__in=[])
        for delegation in _in_force(now):
            if delegation.delegate_id != user.pk or not delegation.delegator.is_active:
                continue
            other = delegation.delegator_id
            scope = Q(policy__name=delegation.policy) if delegation.policy else Q()
            scope &= Q(capability=delegation.capability) if delegation.capability else Q()
            stages = remembered(("stages", other), lambda other=other: _stages_of(other))  # type: ignore[misc]  # bound now
            seats |= Q(stages & scope) & ~Q(pk__in=_tied(other, now))
        return self.filter(seats, status="open", deadline__gt=now).exclude(pk__in=_tied(user.pk, now))

    def _policies_of(self, groups: Any) -> Any:
        from approvals.models import ApprovalPolicy

        return ApprovalPolicy.groups.through.objects.filter(group__in=groups).values("approvalpolicy_id")


def _delegations(user: Viewer, now: datetime) -> Any:
    """The delegations to `user` that reach a request of the query around, with a delegator in a group of its policy."""
    from approvals.models import ApprovalPolicy, Delegation

    asked = ApprovalPolicy.groups.through.objects.filter(approvalpolicy_id=OuterRef(OuterRef("policy_id"))).values("group_id")
    return Delegation.objects.filter(
        Q(policy="") | Q(policy=OuterRef("policy__name")),
        Q(capability="") | Q(capability=OuterRef("capability")),
        delegate=user.pk,
        delegator__is_active=True,
        delegator__groups__in=asked,
        ended_at__isnull=True,
        starts_at__lte=now,
        ends_at__gt=now,
    )


def _in_force(now: datetime) -> list[Any]:
    """Every delegation in force, with whether its delegator is active. One query for one look."""
    from approvals import delegations

    rows = (
        delegations.in_force(now)
        .select_related("delegator")
        .only("policy", "capability", "delegate_id", "delegator__is_active")
    )
    return remembered("delegations in force", lambda: list(rows))


def _tied(person: Any, now: datetime) -> Any:
    """Requests that a person cannot decide, for himself or for anybody: bound, asked for, by himself or by somebody for whom he
    acts; or spoken about already."""
    from approvals import delegations
    from approvals.models import ApprovalRequest, Decision

    # Under a policy that is another than the one they were given under, votes count no more (`docket.rebind`).
    standing = Decision.objects.filter(is_void=False, request__policy_digest=F("request__policy__digest"))
    # As `electors.silenced_by`: a delegation taken back gives the delegator his voice back, unless a stage was passed with it.
    lent = Q(delegation__delegator=person) & (Q(delegation__ended_at=None) | Q(stage__lt=F("request__stage")))
    spoken = standing.filter(Q(person=person) | lent).values("request_id")
    people = [person, *delegations.acted_for(person, _in_force(now))]
    bound = ApprovalRequest.bound.through.objects.filter(user_id__in=people).values("approvalrequest_id")
    asked = ApprovalRequest.objects.filter(requester__in=people, status="open").values("pk")
    return ApprovalRequest.objects.filter(Q(pk__in=spoken) | Q(pk__in=bound) | Q(pk__in=asked), status="open").values("pk")


def _stages_of(person: Any) -> Q:
    """The (policy, stage) pairs in which one of the person's groups votes. One query.

    A request that another version of its policy binds is asked from the first stage (`ApprovalRequest.place_under`).
    """
    from approvals import policies
    from approvals.models import ApprovalPolicy

    documents: dict[Any, tuple[str, str]] = {}
    mine: set[str] = set()
    rows = ApprovalPolicy.objects.filter(groups__user=person).values_list("pk", "digest", "document", "groups__name")
    for policy_id, digest, text, group in rows:
        documents[policy_id] = digest, text
        mine.add(group)
    stages = Q(pk__in=[])
    for policy_id, (digest, text) in documents.items():
        for index, stage in enumerate(policies.load_text(text).stages):
            levels = [level for level in range(len(stage.escalations) + 1) if mine.intersection(stage.asked(level))]
            if levels:
                stages |= Q(policy=policy_id, policy_digest=digest, stage=index, escalated__in=levels)
            if index == 0 and 0 in levels:
                stages |= Q(policy=policy_id) & ~Q(policy_digest=digest)
    return stages


class ChangeSetQuerySet(VisibleQuerySet["ChangeSet"]):
    """Visible: the author, and who may view any area (the diff itself is shown per kind the reader may see)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        if not (user.is_authenticated and user.is_active):
            return self.none()
        if Area.objects.visible_to(user, "view").filter(name="audit").exists():
            return self.all()
        return self.filter(author=user.pk)
