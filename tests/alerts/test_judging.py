"""Each window of a rule is judged once, whatever stops in between; what holds is one episode until it no longer does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity.models import User
from approvals.alerts import episodes, judging, reading, verbs
from approvals.alerts.models import Alert, Episode, Judged, Silence
from audit import following, journal, sealer, verify
from audit.alerts import states
from audit.drafts import Context, Draft
from audit.metrics import projection
from tests.alerts.changing import apply, document, remove
from tests.alerts.kettles import BOILS, cold, counted, events_of, judged_until, now_hour

pytestmark = pytest.mark.django_db

Make = Callable[..., Alert]


@pytest.fixture
def rule(ada: User) -> Alert:
    row = apply(ada, document("many", title="Many pots", **BOILS))
    sealed()
    return row


@pytest.fixture(autouse=True)
def mid_hour(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No window closes while a test runs, and the one before is settled."""
    with time_machine.travel(datetime.now(UTC).replace(minute=30), tick=True):
        monkeypatch.setattr(clock, "db_now", clock.now)
        yield


@pytest.fixture(autouse=True)
def warm() -> Iterator[None]:
    cold.clear()
    yield
    cold.clear()


def sealed() -> None:
    sealer.seal()
    following.catch_up(projection.NAME)


def only() -> Episode:
    return Episode.objects.get()


def test_a_group_is_one_episode_from_its_first_window_to_the_first_in_order(rule: Alert) -> None:
    counted({5: 1, 4: 9, 3: 12, 2: 8, 1: 2})
    judged_until(rule, 5)

    assert judging.judge() == 1

    row = only()
    assert (row.group, row.status, row.windows) == ([["kitchen", "north"]], "resolved", 3)
    assert [one["value"] for one in (row.first, row.worst, row.last)] == [9, 12, 8]
    assert row.started_at.timestamp() / 3600 == now_hour() - 4
    assert row.last_at.timestamp() / 3600 == now_hour() - 1
    assert row.ended_at is not None
    assert row.ended_at.timestamp() / 3600 == now_hour()
    assert events_of(row) == ["alert.fired", "alert.continued", "alert.continued", "alert.resolved"]
    assert Judged.objects.get().until == now_hour()
    assert "figure=pots%2Fnorth" in row.first["address"]
    assert verify.verify().is_good


def test_a_second_look_says_nothing_new(rule: Alert) -> None:
    counted({3: 9, 2: 9, 1: 9})
    judged_until(rule, 3)
    judging.judge()

    assert judging.judge() == 0

    assert events_of(only()) == ["alert.fired", "alert.continued", "alert.continued"]
    assert only().status == "firing"


def test_groups_fire_apart_and_one_that_comes_back_is_a_new_episode(rule: Alert) -> None:
    counted({5: 9, 4: 0, 3: 9, 2: 9, 1: 9})
    counted({5: 1, 2: 7}, "south")
    judged_until(rule, 5)

    judging.judge()

    found = [
        (dict(row.group)["kitchen"], row.status, row.windows) for row in Episode.objects.order_by("started_at", "group_key")
    ]
    assert sorted(found) == [("north", "firing", 3), ("north", "resolved", 1), ("south", "resolved", 1)]


def test_a_new_rule_begins_with_the_window_that_goes_on(rule: Alert) -> None:
    counted({5: 9, 1: 9})

    judging.judge()

    assert not Episode.objects.exists()
    assert Judged.objects.get().until == now_hour()


def test_a_rule_was_last_judged_when_a_window_of_it_was_and_not_when_it_began(rule: Alert) -> None:
    judging.judge()
    assert Alert.objects.get().judged_at is None
    Judged.objects.update(until=now_hour() - 2)

    judging.judge()

    assert Alert.objects.get().judged_at == Judged.objects.get().at


def test_no_window_is_judged_before_everything_in_it_is_counted(rule: Alert) -> None:
    counted({3: 9, 2: 9, 1: 9})
    judged_until(rule, 3)
    late = clock.now().replace(minute=30, second=0, microsecond=0) - timedelta(hours=2)
    with transaction.atomic():  # happened in the last window but one, and is not counted yet
        journal.append(Context(stream="pots", scope="system"), [Draft("pot.boiled", SYSTEM, {"kitchen": "north"})], late)

    judging.judge()
    before = Judged.objects.get().until
    sealed()
    judging.judge()

    assert before == now_hour() - 2
    assert Judged.objects.get().until == now_hour()
    assert only().windows == 3


def test_what_was_found_and_not_written_is_found_again(rule: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
    counted({3: 9, 2: 9, 1: 2})
    judged_until(rule, 3)
    real = journal.write

    def dies(lines: Any) -> None:
        real(lines)
        raise KeyboardInterrupt  # nothing handles it, as when the process is killed

    monkeypatch.setattr(episodes.journal, "write", dies)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        judging.judge()
    monkeypatch.setattr(episodes.journal, "write", real)
    assert (Episode.objects.count(), Judged.objects.get().until) == (0, now_hour() - 3)

    judging.judge()

    assert events_of(only()) == ["alert.fired", "alert.continued", "alert.resolved"]


def test_a_rule_that_breaks_keeps_no_other_from_its_turn(rule: Alert, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    other = apply(ada, document("other", **BOILS))
    sealed()
    counted({1: 9})
    for row in (rule, other):
        judged_until(row, 1)
    real = episodes.Writing.write

    def broken(self: Any) -> int:
        if self.alert.name == "many":
            raise RuntimeError("broken")
        return real(self)

    monkeypatch.setattr(episodes.Writing, "write", broken)
    judging.judge()

    assert only().rule == "other"
    assert {row.alert.name: row.until for row in Judged.objects.select_related("alert")} == {
        "many": now_hour() - 1, "other": now_hour(),
    }  # fmt: skip


def test_who_was_away_for_long_catches_up_in_steps_and_does_not_tell_of_last_week(rule: Alert, settings: Any) -> None:
    settings.TELLS_BY_MAIL = True
    counted(dict.fromkeys(range(1, 200), 9))
    judged_until(rule, 120)

    looks = [judging.judge(), Judged.objects.get().until, judging.judge(), Judged.objects.get().until]
    told_of_last_week = only().fired_notice
    judging.judge()

    assert looks[1] == now_hour() - 120 + judging.AT_ONCE
    assert looks[3] == now_hour() - 120 + 2 * judging.AT_ONCE
    assert told_of_last_week is None
    assert only().fired_notice is not None  # it goes on until today
    assert only().windows == 120


def test_the_statements_do_not_grow_with_the_groups(rule: Alert) -> None:
    def statements(kitchens: range) -> int:
        for number in kitchens:
            counted({3: 9, 2: 9}, f"kitchen-{number}")
        judged_until(rule, 3)
        with CaptureQueriesContext(connection) as asked:
            judging.judge()
        return len(asked)

    few = statements(range(2))
    Episode.objects.all().delete()

    assert statements(range(2, 30)) == few  # more than a database takes at once go in chunks
    assert Episode.objects.count() == 30


def test_a_rule_of_one_workflow_counts_that_alone(ada: User, configured_workflow: Any) -> None:
    row = apply(ada, document("many", workflow=configured_workflow.name, **BOILS))
    sealed()
    counted({1: 4}, scope="workflow", scope_id=str(configured_workflow.pk))
    counted({1: 9}, "south", scope="workflow", scope_id="another")
    counted({1: 7}, "west", scope="workflow", scope_id=str(configured_workflow.pk))
    judged_until(row, 1)

    judging.judge()

    assert [(dict(one.group)["kitchen"], one.scope, one.scope_id) for one in Episode.objects.all()] == [
        ("west", "workflow", str(configured_workflow.pk))
    ]


@pytest.fixture
def configured_workflow(ada: User, sam: User) -> Any:
    from orchestration.workflows.models import Workflow
    from tests.portal.documents import everything, keyed
    from tests.support import configuration

    configuration.configured(keyed(everything()))
    return Workflow.objects.get()


def test_another_rule_or_none_ends_what_the_former_found(rule: Alert, ada: User) -> None:
    counted({1: 9})
    judged_until(rule, 1)
    judging.judge()

    apply(ada, document("many", by=["kitchen"], threshold={"count": {"measure": "pots"}, "above": 7}))
    judging.judge()
    changed = only()
    assert (changed.status, changed.ended_because) == ("resolved", "changed")

    Episode.objects.filter(pk=changed.pk).update(status="firing", ended_at=None)
    remove(ada, "many")
    judging.judge()
    gone = only()
    assert (gone.status, gone.ended_because, gone.alert_id) == ("resolved", "removed", None)
    assert events_of(gone) == ["alert.fired", "alert.resolved", "alert.resolved"]


def test_what_the_former_rule_left_unjudged_is_judged_by_the_new_one(rule: Alert, ada: User) -> None:
    counted({4: 9, 3: 9, 2: 6, 1: 9})
    judged_until(rule, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "counted_until", lambda: now_hour() - 3)
        judging.judge()

    apply(ada, document("many", by=["kitchen"], threshold={"count": {"measure": "pots"}, "above": 7}))
    sealed()
    judging.judge()  # it begins
    judging.judge()

    rows = Episode.objects.order_by("started_at")
    assert [(row.started_at.timestamp() / 3600 - now_hour(), row.windows, row.ended_because) for row in rows] == [
        (-4, 1, "changed"), (-3, 1, "over"), (-1, 1, ""),
    ]  # fmt: skip
    assert Judged.objects.get().until == now_hour()


def test_a_rule_with_wider_windows_begins_with_the_one_in_which_the_former_was_judged_last(rule: Alert, ada: User) -> None:
    judging.judge()
    Judged.objects.update(until=(now_hour() // 24 - 1) * 24 + 5)

    apply(ada, document("many", hours=6, **BOILS))
    judging.judge()

    assert Judged.objects.get().until == (now_hour() // 24 - 1) * 24


def test_what_was_read_of_metrics_that_were_made_again_meanwhile_is_not_written(
    rule: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emptied and counted again between two looks at how far they are: both say all is counted."""
    counted({2: 9, 1: 9})
    judged_until(rule, 2)
    real, asked = judging.counted.history, []

    def half(rules: Any, **named: Any) -> Any:
        asked.append(rules)
        following.rebuild(projection.NAME)
        found = real(rules, **named)
        following.catch_up(projection.NAME)
        counted({2: 9, 1: 9})
        return found

    monkeypatch.setattr(judging.counted, "history", half)
    assert (judging.judge(), len(asked)) == (0, 1)
    assert Judged.objects.get().until == now_hour() - 2
    monkeypatch.setattr(judging.counted, "history", real)

    judging.judge()

    assert (only().windows, Judged.objects.get().until) == (2, now_hour())


def test_a_process_that_ends_leaves_what_is_not_written_to_the_next(rule: Alert) -> None:
    counted({3: 9, 2: 9, 1: 9})
    judged_until(rule, 3)
    looks = iter([False, False, True])

    assert judging.judge(lambda: next(looks, True)) == 0
    assert (Episode.objects.count(), Judged.objects.get().until) == (0, now_hour() - 3)
    assert judging.judge() == 1


def test_one_thread_of_a_process_judges_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, inner = judging.Watch(), []

    def judge(is_over: Any) -> int:
        watch._at = float("-inf")  # it takes longer than the pause
        inner.append(watch.look(is_over))
        return 1

    monkeypatch.setattr(judging, "judge", judge)

    assert (watch.look(lambda: False), inner) == (1, [0])
    assert watch.look(lambda: False) == 1


class TestStates:
    @pytest.fixture
    def state(self, ada: User) -> Alert:
        row = apply(ada, document("cold", state={"is": "pot_cold"}))
        judged_until(row, 0)
        return row

    def test_it_fires_goes_on_and_is_over_as_it_stands(self, state: Alert) -> None:
        cold.update(north=20, south=5)
        judging.judge()
        judged_until(state, 0)
        del cold["south"]
        judging.judge()
        judged_until(state, 0)
        again = judging.judge()

        found = {dict(row.group)["pot"]: row for row in Episode.objects.all()}
        assert (found["north"].status, found["south"].status, again) == ("firing", "resolved", 0)
        assert events_of(found["north"]) == ["alert.fired"]  # told of again once an hour, not at every look
        assert events_of(found["south"]) == ["alert.fired", "alert.resolved"]

    def test_what_goes_on_is_told_of_once_an_hour(self, state: Alert) -> None:
        cold["north"] = 20
        judging.judge()
        Episode.objects.update(last_at=clock.now() - timedelta(hours=1))
        judged_until(state, 0)
        cold["north"] = 40
        judging.judge()

        row = only()
        assert (events_of(row), row.windows, row.worst["value"]) == (["alert.fired", "alert.continued"], 2, 40)

    def test_only_what_the_rule_names_counts(self, ada: User) -> None:
        row = apply(ada, document("cold", state={"is": "pot_cold", "only": ["south"]}))
        judged_until(row, 0)
        cold.update(north=20, south=5)
        judging.judge()

        assert [dict(one.group) for one in Episode.objects.all()] == [{"pot": "south"}]

    def test_what_fires_stays_in_while_it_stands_though_others_get_worse(
        self, state: Alert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(states, "MOST", 3)
        cold.update({f"pot-{number}": 10 for number in range(6)})  # told in the order of their names
        judging.judge()
        judged_until(state, 0)
        cold.update({"a-new-one": 90, "b-new-one": 80})
        judging.judge()
        assert {row.group[0][1]: row.status for row in Episode.objects.all()} == dict.fromkeys(
            ("pot-0", "pot-1", "pot-2"), "firing"
        )

        judged_until(state, 0)
        del cold["pot-1"]
        judging.judge()
        found = {row.group[0][1]: row.status for row in Episode.objects.all()}
        assert found == {"pot-0": "firing", "pot-1": "resolved", "pot-2": "firing", "a-new-one": "firing"}

    def test_a_look_that_comes_late_takes_nothing_back(self, state: Alert) -> None:
        """One worker saw the pot cold; before it wrote that, another saw it warm and said so."""
        cold["north"] = 20
        judged_until(state, 0)
        row = Alert.objects.select_related("judged").get(pk=state.pk)
        seen_before = {("pot_cold", timedelta()): (clock.db_now(), list(_standing()))}
        cold.clear()
        judging.judge()

        from audit.alerts import documents

        rule = documents.read(canonical.parse(row.document))
        assert judging._look(row, rule, seen_before) == 0  # type: ignore[arg-type]
        assert not Episode.objects.exists()

    def test_two_workers_do_not_look_twice_at_one_moment(self, state: Alert) -> None:
        judging.judge()
        cold["north"] = 20

        assert judging.judge() == 0


def _standing() -> Any:
    state = states.get("pot_cold")
    assert state is not None
    return state.look(clock.now(), timedelta())


class TestSilences:
    def silenced(self, row: Alert, by: User, hours: int = 1) -> Silence:
        until = clock.now() + timedelta(hours=hours)
        return verbs.silence_rule(row.name, until=until, actor=user_actor(by.pk, auth="session"), reason="works")

    @pytest.fixture(autouse=True)
    def telling(self, settings: Any) -> None:
        settings.TELLS_BY_MAIL = True

    def test_what_is_silenced_is_recorded_and_told_nobody(self, rule: Alert, ada: User) -> None:
        silence = self.silenced(rule, ada)
        sealed()
        counted({1: 9})
        judged_until(rule, 1)
        judging.judge()

        row = only()
        assert (row.status, row.is_silenced, row.fired_notice) == ("firing", True, None)
        (event,) = journal.read(row.stream)
        assert canonical.parse(event.line)["data"]["silenced"] == str(silence.pk)

    def test_what_still_fires_when_a_silence_ends_is_told_then(self, rule: Alert, ada: User) -> None:
        silence = self.silenced(rule, ada)
        sealed()
        counted({2: 9, 1: 9})
        judged_until(rule, 2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judging, "counted_until", lambda: now_hour() - 1)
            judging.judge()
        verbs.unsilence(silence.pk, actor=user_actor(ada.pk, auth="session"), reason="done")
        sealed()
        judging.judge()

        row = only()
        assert (row.is_silenced, row.fired_notice is None, row.windows) == (False, False, 2)

    def test_a_silence_that_is_over_silences_nothing(self, rule: Alert, ada: User) -> None:
        self.silenced(rule, ada)
        Silence.objects.update(ends_at=clock.now() - timedelta(seconds=1))
        sealed()
        counted({1: 9})
        judged_until(rule, 1)
        judging.judge()

        assert only().fired_notice is not None

    def test_only_the_group_of_the_episode_is_silenced(self, rule: Alert, ada: User) -> None:
        counted({3: 9, 2: 0, 1: 9})
        counted({3: 1, 1: 9}, "south")
        judged_until(rule, 3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judging, "counted_until", lambda: now_hour() - 1)
            judging.judge()
        until = clock.now() + timedelta(hours=1)
        actor = user_actor(ada.pk, auth="session")
        verbs.silence_episode(only().pk, until=until, actor=actor, reason="known")
        sealed()
        judging.judge()

        found = {dict(row.group)["kitchen"]: row.is_silenced for row in Episode.objects.filter(ended_at=None)}
        assert found == {"north": True, "south": False}
        assert len(reading.silences_of(ada, Episode.objects.filter(is_silenced=True).get())) == 1
