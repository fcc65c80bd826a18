"""The kind `Alert` goes through change control: lint, words, rights, versions."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.core import canonical, kinds
from aegis.core.actors import user_actor
from aegis.core.errors import Forbidden
from aegis.core.kinds import Change, Key
from aegis.identity.models import User
from approvals import changes
from approvals.alerts import kind as alert_kind
from approvals.alerts.models import Alert
from approvals.errors import ChangeInvalid
from audit import journal
from audit.alerts import states
from audit.alerts.states import State
from tests.alerts.changing import apply, document, remove

pytestmark = pytest.mark.django_db

states.register(
    State("kettle_cold", "A kettle is cold", "kettle", lambda at, within: [], names=frozenset({"north", "south"})),
)
RUNS = {"count": {"measure": "runs"}}


def faults(author: User, **spec: Any) -> list[tuple[str, str]]:
    judged = changes.preview([(Key("Alert", "one"), document(**spec))], author)
    return [(fault.where, fault.what) for item in judged.items for fault in item.faults]


def test_a_rule_is_applied_with_its_version_and_event(ada: User) -> None:
    row = apply(ada, document(threshold={**RUNS, "above": 5}, hours=6), reason="too many")

    assert (row.hours, row.version) == (6, 1)
    assert canonical.parse(row.document) == kinds.get_kind("Alert").dump("one")
    (event,) = journal.read("config:Alert")
    assert (event.type, event.scope) == ("config.applied", "system")
    assert row.history.get().history_user == ada


def test_a_rule_is_told_in_words(ada: User) -> None:
    old = document(by=["agent"], anomaly={"count": {"measure": "answers"}, "direction": "up"})
    new = document(by=["agent"], threshold={"count": {"measure": "answers"}, "above": 9}, notify={"group": "Admins"})

    added = alert_kind.AlertKind().diff(Change(Key("Alert", "one"), None, new))
    changed = alert_kind.AlertKind().diff(Change(Key("Alert", "one"), old, new))

    assert added == [
        "Adds the alert “one”.",
        "Fires when the number of answers is above 9 in an hour.",
        "Judged for each agent.",
        "A border that people set, held against each closed window.",
        "The group Admins answers for it, and is told.",
    ]
    assert "Alert “one” no longer says: Nobody is told by mail." in changed
    assert "Alert “one” now says: Fires when the number of answers is above 9 in an hour." in changed


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"threshold": {"count": {"measure": "nothing"}, "above": 1}}, "/spec/threshold/count/measure"),
        ({"threshold": {"count": {"measure": "runs", "where": {"agent": "a"}}, "above": 1}}, "/spec/threshold/count/where"),
        ({"threshold": {**RUNS, "above": 1}, "by": ["agent"]}, "/spec/by"),
        ({"threshold": {**RUNS, "above": 1}, "workflow": "nowhere"}, "/spec/workflow"),
        ({"threshold": {**RUNS, "above": 1}, "notify": {"group": "Strangers"}}, "/spec/notify/group"),
        ({"threshold": {**RUNS, "above": 1}, "notify": {"owner": "nobody"}}, "/spec/notify/owner"),
        ({"threshold": {**RUNS, "above": 1}, "notify": {"owner": "ada", "group": "Admins"}}, "/spec/notify"),
        ({"state": {"is": "kettle_gone"}}, "/spec/state/is"),
        ({"state": {"is": "kettle_cold", "within": "2h"}}, "/spec/state/within"),
        ({"state": {"is": "kettle_cold", "only": ["north", "west"]}}, "/spec/state/only/1"),
        ({"state": {"is": "kettle_cold"}, "hours": 2}, "/spec/hours"),
        ({"state": {"is": "kettle_cold"}, "threshold": {**RUNS, "above": 1}}, "/spec"),
    ],
)
def test_lint_names_the_place_of_what_cannot_be_judged(ada: User, spec: Any, where: str) -> None:
    assert [place for place, _ in faults(ada, **spec)] == [where]
    with pytest.raises(ChangeInvalid):
        apply(ada, document(**spec))
    assert not Alert.objects.exists()


def test_a_state_is_applied_and_told(ada: User) -> None:
    row = apply(ada, document(state={"is": "kettle_cold", "only": ["north"]}, notify={"owner": "ada"}))

    assert row.hours == 0
    assert alert_kind.said(canonical.parse(row.document)) == [
        "Fires when this stands: a kettle is cold.",
        "Only of north.",
        "Judged as it stands, several times a minute, and for each thing apart.",
        "ada answers for it, and is told.",
    ]


def test_only_who_may_edit_alerts_changes_a_rule(ada: User, quinn: User) -> None:
    apply(ada, document(threshold={**RUNS, "above": 5}))

    with pytest.raises(Forbidden):
        apply(quinn, document(threshold={**RUNS, "above": 50}))

    assert [row.version for row in Alert.objects.all()] == [1]


def test_a_removed_rule_leaves_its_versions(ada: User) -> None:
    apply(ada, document(threshold={**RUNS, "above": 5}))
    remove(ada)

    assert not Alert.objects.exists()
    assert [event.type for event in journal.read("config:Alert")] == ["config.applied"] * 2


def test_what_was_exported_applies_as_it_is(ada: User) -> None:
    apply(ada, document(state={"is": "kettle_cold"}), document("two", threshold={**RUNS, "above": 5}))
    kept = {name: kinds.get_kind("Alert").dump(name) for name in kinds.get_kind("Alert").names()}
    for name in kept:
        remove(ada, name)

    given = [(Key("Alert", name), text) for name, text in kept.items()]
    changes.propose(given, author=ada, actor=user_actor(ada.pk, auth="session"), reason="again")

    assert {name: kinds.get_kind("Alert").dump(name) for name in kinds.get_kind("Alert").names()} == kept
    assert kinds.get_kind("Alert").is_portable


def test_two_states_cannot_share_a_name() -> None:
    assert states.get("nothing") is None
    with pytest.raises(ValueError):
        states.register(State("kettle_cold", "Another", "kettle", lambda at, within: []))
