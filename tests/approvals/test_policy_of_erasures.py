"""Who decides about erasures is not moved by one person: the policy `erasure` takes the place of `config-change`."""

from __future__ import annotations

from typing import Any

import pytest

from approvals.errors import ChangeInvalid
from approvals.models import ApprovalPolicy, ChangeSet
from tests.approvals.changing import CONFIG, doc, key, propose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_foreign_hooks")]


@pytest.fixture
def governed(person: Any, ada: Any) -> Any:
    """Guarded changes are decided by two of the admins; no policy of erasures stands yet."""
    people = [person(name, "Admins") for name in ("abe", "amy", "ann")]
    person("lou", "Leads")
    person("lea", "Leads")
    propose(ada, doc("config-change", **CONFIG))
    return people


def test_nobody_says_alone_that_others_decide_about_erasures(governed: Any, ada: Any) -> None:
    change_set = propose(ada, doc("erasure", stages=[{"groups": ["Leads"], "quorum": 2}], deadline="1d"))

    assert change_set.status == ChangeSet.Status.PROPOSED
    assert not ApprovalPolicy.objects.filter(name="erasure").exists()


def test_a_stricter_policy_of_erasures_may_be_added_by_one_and_not_be_taken_away_by_one(governed: Any, ada: Any) -> None:
    stricter = doc("erasure", stages=[{"groups": ["Admins"], "quorum": 3}], deadline="1d")

    assert propose(ada, stricter).status == ChangeSet.Status.APPLIED
    assert propose(ada, (key("erasure"), None)).status == ChangeSet.Status.PROPOSED


def test_a_policy_of_erasures_that_asks_one_is_refused(governed: Any, ada: Any) -> None:
    with pytest.raises(ChangeInvalid):
        propose(ada, doc("erasure", stages=[{"groups": ["Admins"]}], deadline="1d"))
