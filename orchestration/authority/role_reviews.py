"""How the review of each role stands: who reviews it, when it is due, what is confirmed, what is proposed to be dropped.

Asked are the grants that let something through; a deny is a guard. Due is counted from the last whole review, or from the day
the role was made. A fixed number of queries, whatever the number of roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.db.models import Max, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import NotFound
from aegis.core.visibility import Viewer
from aegis.identity.authority import hold_shared
from aegis.identity.models import Area, User
from approvals import trail
from approvals.models import ChangeSet, DocumentVersion
from audit.models import Event
from audit.problems import Problem
from orchestration.authority import reviewers
from orchestration.authority.live import STREAM
from orchestration.authority.models import Role, RoleReview
from orchestration.authority.review_terms import Terms, read
from orchestration.authority.reviewers import Seats

SOON: Final = timedelta(days=14)  # told this long before


@dataclass(frozen=True, slots=True)
class Standing:
    """The review of one role.

    Attributes:
        grants: capability -> grant of each that is asked about.
        confirmed: those confirmed since the last whole review, as they stand.
        proposed: those a proposal that waits would drop; `request` is its id, `asked_by` who asked, None for AEGIS itself.
    """

    role: Role
    terms: Terms
    grants: Mapping[str, Json]
    seats: Seats
    confirmed: frozenset[str]
    proposed: frozenset[str]
    request: UUID | None
    asked_by: User | None
    reviewed_at: datetime | None
    reviewed_by: User | None
    due_at: datetime
    lapsed_due: datetime | None
    lapse_code: str

    @property
    def name(self) -> str:
        return str(self.role.name)

    @property
    def has_reviewer(self) -> bool:
        return bool(self.seats.eligible)

    @property
    def left(self) -> list[str]:
        """Neither confirmed nor proposed to be dropped, in order of the document."""
        return [name for name in self.grants if name not in self.confirmed and name not in self.settled]

    @property
    def settled(self) -> frozenset[str]:
        """Those a person proposed to drop. What AEGIS proposed waits for the reviewer's word all the same."""
        return self.proposed if self.asked_by is not None else frozenset()

    def state_of(self, capability: str) -> Literal["left", "confirmed", "proposed"]:
        if capability in self.confirmed:
            return "confirmed"
        return "proposed" if capability in self.proposed else "left"

    @property
    def is_answered(self) -> bool:
        """The last word was given, and two others have yet to decide what it would drop."""
        return bool(self.settled) and not self.left

    def is_due(self, now: datetime) -> bool:
        return bool(self.grants) and not self.is_answered and self.due_at <= now

    def is_soon(self, now: datetime) -> bool:
        return bool(self.grants) and not self.is_answered and self.due_at - SOON <= now

    def may_review(self, person: User) -> bool:
        return str(person.pk) in self.seats.eligible


def of_all(roles: QuerySet[Role] | None = None) -> list[Standing]:
    """The review of each role that has something to review, or of those given, by due date. Eleven queries at most."""
    rows = list((Role.objects.all() if roles is None else roles).order_by("name"))
    specs = {row.name: canonical.parse(row.document)["spec"] for row in rows}
    terms = {name: read(spec) for name, spec in specs.items()}
    lives = {row.name: row.pk for row in rows}
    told = RoleReview.objects.filter(role__in=specs).select_related("reviewed_by", "asked_by")
    kept = {row.role: row for row in told if row.life == lives[row.role]}
    first = _made(specs)
    seats = reviewers.seats_of(terms) if rows else {}
    proposed = _proposed(kept, specs)
    found = [
        _standing(row, specs[row.name], terms[row.name], seats[row.name], kept.get(row.name), first, proposed) for row in rows
    ]
    return sorted((one for one in found if one.grants), key=lambda one: (one.due_at, one.name))


def of_role(name: str) -> Standing | None:
    """None: there is no such role, or nothing of it to review."""
    return next(iter(of_all(Role.objects.filter(name=name))), None)


def readable_by(user: User, every: list[Standing]) -> list[Standing]:
    """Those whose role the person may see, or is named to review."""
    visible = set(Role.objects.visible_to(user).values_list("name", flat=True))
    return [one for one in every if one.name in visible or str(user.pk) in one.seats.named]


def readable(user: User, name: str) -> Standing:
    """
    Raises:
        NotFound: nothing of it is to be reviewed, or the person neither sees the role nor is named to review it.
    """
    found = readable_by(user, of_all(Role.objects.filter(name=name)))
    if not found:
        raise NotFound
    return found[0]


def of_reviewer(user: User, now: datetime) -> list[Standing]:
    """Those due now or soon that the person may review. Three queries for who reviews nothing."""
    groups = set(user.groups.values_list("name", flat=True))
    is_editor = Area.objects.visible_to(user, "edit").filter(name="access").exists()
    mine = [
        name
        for name, text in Role.objects.values_list("name", "document")
        if _is_named(read(canonical.parse(text)["spec"]), user, groups, is_editor=is_editor)
    ]
    every = of_all(Role.objects.filter(name__in=mine)) if mine else []
    return [one for one in every if one.is_soon(now) and one.may_review(user)]


def problems(stream: str | None) -> list[Problem]:
    """What `journal verify` asks: was every review that moved a date recorded when it was done?"""
    if stream not in (None, STREAM):
        return []

    def work() -> list[Problem]:
        hold_shared()  # nobody reviews while they are compared
        types = ("role.reviewed", "role.review_ended")
        lines = Event.objects.filter(stream=STREAM, type__in=types).order_by("seq").values_list("line", "at")
        told = {data["role"]: at for line, at in lines if (data := canonical.parse(line)["data"])["complete"]}
        lives = dict(Role.objects.values_list("name", "pk"))
        made = _made(lives)
        return [
            Problem("review", STREAM, 0, f"the last review of the role {row.role} is not the one that the journal tells of")
            for row in RoleReview.objects.order_by("role")
            if row.reviewed_at != _in_life(told.get(row.role), made[row.role] if row.life == lives.get(row.role, "") else None)
        ]

    return in_transaction(work)


def _in_life(told: datetime | None, made: datetime | None) -> datetime | None:
    """The last review that the journal tells of, if the role that stands has it, or the row is of an earlier one."""
    return None if told is not None and made is not None and told < made else told


def may_see_list(user: Viewer) -> bool:
    return Role.objects.visible_to(user).exists()


def _is_named(terms: Terms, user: User, groups: set[str], *, is_editor: bool) -> bool:
    if terms.person:
        return terms.person == user.username
    return terms.group in groups if terms.group else is_editor


def asked_about(spec: Json) -> dict[str, Json]:
    return {grant["capability"]: grant for grant in spec["grants"] if grant["effect"] != "deny"}


def _standing(
    role: Role,
    spec: Json,
    terms: Terms,
    seats: Seats,
    kept: RoleReview | None,
    first: Mapping[str, datetime],
    proposed: Mapping[UUID, frozenset[str]],
) -> Standing:
    grants = asked_about(spec)
    told: Json = canonical.parse(kept.confirmed) if kept else {}
    since = (kept.reviewed_at if kept else None) or first.get(role.name) or role.updated_at
    request = kept.request if kept and kept.request in proposed else None
    return Standing(
        role=role,
        terms=terms,
        grants=grants,
        seats=seats,
        confirmed=frozenset(name for name, grant in grants.items() if told.get(name) == canonical.digest_of(grant)),
        proposed=proposed[request] & grants.keys() if request else frozenset(),
        request=request,
        asked_by=kept.asked_by if kept and request else None,
        reviewed_at=kept.reviewed_at if kept else None,
        reviewed_by=kept.reviewed_by if kept else None,
        due_at=since + terms.every,
        lapsed_due=kept.lapsed_due if kept else None,
        lapse_code=kept.lapse_code if kept else "",
    )


def _made(roles: Iterable[str]) -> dict[str, datetime]:
    """When each role was made, for the last time if it was removed in between; or when all grants were last reviewed at once,
    as it was before each role had a review of its own (`grants.reviewed`). Two queries."""
    rows = Role.history.filter(name=OuterRef("name"), history_type="+").order_by("-history_id")
    number = Coalesce(Subquery(rows.values("version")[:1]), Value(1))
    first = dict(DocumentVersion.objects.filter(kind="Role", name__in=roles, number=number).values_list("name", "created_at"))
    whole = Event.objects.filter(type="grants.reviewed").aggregate(at=Max("at"))["at"]
    return {name: max(at, whole) if whole else at for name, at in first.items()}


def _proposed(kept: Mapping[str, RoleReview], specs: Mapping[str, Json]) -> dict[UUID, frozenset[str]]:
    """Id of each proposal that waits -> the capabilities it would drop. One query."""
    ids = {row.request: name for name, row in kept.items() if row.request is not None}
    waiting = ChangeSet.objects.filter(pk__in=ids, status=ChangeSet.Status.PROPOSED) if ids else ()
    found = {}
    for change_set in waiting:
        role = ids[change_set.pk]
        new = next((document for key, _, document in trail.documents_of(change_set) if key.name == role), None)
        kept_cells = asked_about(new["spec"]) if new else {}
        found[change_set.pk] = frozenset(asked_about(specs[role]).keys() - kept_cells.keys())
    return found
