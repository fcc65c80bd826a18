"""An erasure: asked for by one, approved by two others, applied once; the lines stay and verify."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.core.errors import Forbidden, Invalid, NotFound
from approvals.errors import NotEligible
from approvals.models import Decision
from audit import chain, following, journal, keeping
from audit.models import Erasure, Event, Payload
from orchestration.engine.erasing import verbs
from orchestration.engine.models import Run
from orchestration.records.models import Record, RecordVersion
from tests.engine import house as engine
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person), "sam": sam, "ada": ada}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"], idempotency_key=f"order-{house.KEY}")


def test_after_two_approvals_no_table_holds_what_was_recorded_and_the_journal_is_whole(
    people: dict[str, Any], run: Run
) -> None:
    keeping.keep()
    assert house.tables_holding(house.CANARY).keys() >= {
        "audit_payload", "audit_indexed", "orchestration_run", "orchestration_record", "orchestration_recordversion",
    }  # fmt: skip

    erasure = house.erased(people, key=house.KEY)
    keeping.keep()

    assert erasure.status == "applied"
    assert house.tables_holding(house.CANARY) == {}
    report = journal.verify()
    assert report.is_good, report.problems
    assert report.erased == erasure.payloads > 5


def test_what_another_subject_left_stays(people: dict[str, Any], run: Run) -> None:
    other = house.lived(people["zoe"], people["sam"], house.OTHER)

    house.erased(people, key=house.KEY)

    assert not Payload.objects.filter(stream=other.stream, erased_at__isnull=False).exists()
    assert Record.objects.get(key=f"N-{house.OTHER}").body != "{}"
    other.refresh_from_db()
    assert other.business_key == house.OTHER


def test_lines_stay_and_the_salt_goes(people: dict[str, Any], run: Run) -> None:
    before = list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("line", flat=True))

    house.erased(people, run=run)

    assert list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("line", flat=True)) == before
    emptied = Payload.objects.filter(erased_at__isnull=False)
    assert emptied
    assert not emptied.exclude(body="", salt="").exists()


def test_one_approval_erases_nothing(people: dict[str, Any], run: Run) -> None:
    erasure = house.ask(people["pia"], run=run)

    house.vote(house.request_of(erasure), people["una"])

    erasure.refresh_from_db()
    assert erasure.status == "asked"
    assert not Payload.objects.filter(erased_at__isnull=False).exists()


def test_whoever_asks_does_not_decide(people: dict[str, Any], run: Run) -> None:
    people["una"].groups.add(people["pia"].groups.get())
    erasure = house.ask(people["una"], run=run)

    with pytest.raises(NotEligible):
        house.vote(house.request_of(erasure), people["una"])

    assert not Payload.objects.filter(erased_at__isnull=False).exists()


def test_a_rejection_erases_nothing(people: dict[str, Any], run: Run) -> None:
    erasure = house.ask(people["pia"], run=run)

    house.vote(house.request_of(erasure), people["una"], "reject", reason="the law asks us to keep it")

    erasure.refresh_from_db()
    assert erasure.status == "rejected"
    assert not Payload.objects.filter(erased_at__isnull=False).exists()
    assert chain.read_line(house.lines_of_type("erasure.settled")[0].line)["outcome"] == "rejected"


def test_the_run_tells_what_was_emptied_and_by_which_decision(people: dict[str, Any], run: Run) -> None:
    erasure = house.erased(people, run=run)

    (told,) = house.lines_of_type("payload.erased")
    line = chain.read_line(told.line)
    label = house.request_of(erasure).label
    assert (told.stream, told.scope, told.run_id) == (f"keeping:{run.pk}", "workflow", run.pk)
    assert line["data"]["by"] == f"decision {label}"
    assert line["cause"].startswith(f"request:{erasure.pk}/")
    assert f"{run.stream}/1" in line["data"]["places"]


def test_asking_twice_is_asking_once(people: dict[str, Any], run: Run) -> None:
    first, second = house.ask(people["pia"], run=run), house.ask(people["pia"], run=run)

    assert first.pk == second.pk
    assert len(house.lines_of_type("erasure.asked")) == 1


def test_a_second_erasure_finds_nothing_left(people: dict[str, Any], run: Run) -> None:
    house.erased(people, run=run)

    again = house.erased(people, run=run)

    assert (again.status, again.payloads) == ("applied", 0)
    assert len(house.lines_of_type("payload.erased")) == 1
    assert journal.verify().is_good


def test_a_run_that_has_not_ended_is_not_erased(people: dict[str, Any]) -> None:
    house.lived(people["zoe"], people["sam"])
    engine.submit(people["zoe"], {"id": house.KEY})

    with pytest.raises(verbs.ErasureBlocked):
        house.ask(people["pia"], key=house.KEY)


def test_the_request_names_nobody(people: dict[str, Any], run: Run) -> None:
    erasure = house.ask(people["pia"], key=house.KEY)

    request = house.request_of(erasure)
    bodies = Payload.objects.filter(stream=request.stream).values_list("body", flat=True)
    assert not any(house.CANARY in body for body in bodies)
    assert Decision.objects.filter(request=request).count() == 0


def test_who_may_only_view_the_audit_may_not_ask(people: dict[str, Any], run: Run, quinn: Any) -> None:
    with pytest.raises(Forbidden):
        house.ask(quinn, run=run)

    assert not Erasure.objects.exists()


def test_a_run_that_the_asker_may_not_see_is_unknown_to_him(people: dict[str, Any], run: Run) -> None:
    from guardian.models import GroupObjectPermission

    GroupObjectPermission.objects.filter(group__name="Privacy officers", permission__codename="view_workflow").delete()

    for what in ({"run": run}, {"key": house.KEY}):
        with pytest.raises(NotFound):
            house.ask(people["pia"], **what)


def test_a_reason_is_asked_for(people: dict[str, Any], run: Run) -> None:
    with pytest.raises(Invalid):
        house.ask(people["pia"], run=run, reason=" ")


def test_a_record_that_others_wrote_too_stays(people: dict[str, Any], run: Run) -> None:
    record = Record.objects.get(key=f"N-{house.KEY}")
    RecordVersion.objects.create(
        record=record, version=2, body=record.body, effect_key="elsewhere", run_id="0" * 32, at=record.updated_at
    )

    erasure = house.erased(people, run=run)

    record.refresh_from_db()
    assert (erasure.shared_records, record.key) == (1, f"N-{house.KEY}")


def test_words_written_by_a_follower_that_read_before_are_taken_out(people: dict[str, Any], run: Run) -> None:
    keeping.keep()
    house.erased(people, run=run)

    following.rebuild("search")
    following.catch_up("search")

    assert "audit_indexed" not in house.tables_holding(house.CANARY)
