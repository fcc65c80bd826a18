"""Limits in Role documents: every fault by its place, changes in words, and nobody raises one alone."""

from __future__ import annotations

from typing import Any

import pytest

from aegis.identity.models import User
from approvals.models import ChangeSet
from orchestration.authority.grant_documents import read, widened, words
from tests.support import configuration as config
from tests.support.configuration import capability, faults, policy, role, sentences

PAY = "invoice.refund"
PARAMETERS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"amount": {"type": "number"}, "note": {"type": "string"}, "lines": {"type": "array"}},
}


def cell(effect: str = "allow", *, most: float = 5000, per: str = "1d", of: str = "parameters.amount", **rest: Any) -> Any:
    return {"capability": PAY, "effect": effect, "limits": {"amount": {"of": of, "most": most, "per": per}}, **rest}


@pytest.fixture
def standing(db: None, olivia: User, sam: User, ada: User, person: Any) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")
    config.bootstrap(
        capability(PAY, resource="invoice", parameters=PARAMETERS),
        role("pay-bot", cell()),
        policy("duty", ("Support leads", 1)),
    )


def hours(**during: Any) -> Any:
    return {"capability": PAY, "effect": "allow", "during": {"zone": "UTC", **during}}


@pytest.mark.parametrize(
    ("grant", "where", "what"),
    [
        (cell(of="parameters.sum"), "limits/amount/of", "has no parameter sum"),
        (cell(of="parameters.note"), "limits/amount/of", "is no number but string"),
        (cell(of="parameters."), "limits/amount/of 1:12", ""),
        (cell(of="clock.now"), "limits/amount/of 1:6", "clock"),
        (cell(per="32d"), "limits/amount/per", "longer than 31d"),
        (cell(per="0s"), "limits/amount/per", "more than nothing"),
        (cell(beyond="nobody"), "beyond", "no approval policy"),
        (cell("deny"), "limits", "a deny has no limits"),
        ({"capability": PAY, "effect": "allow", "beyond": "duty"}, "beyond", "no limit to be beyond"),
        (hours(zone="Mars/Base"), "during", ""),
        (hours(zone="Mars/Base", days=["mon"]), "during/zone", "no time zone"),
        (hours(**{"from": "08:00"}), "during", "go together"),
        (hours(**{"from": "08:00", "to": "08:00"}), "during/to", "no time, or all day"),
        (hours(valid_from="2026-02-30"), "during/valid_from", 'is not a "date"'),
        (hours(valid_from="2026-03-02", valid_until="2026-03-01"), "during/valid_until", "before valid_from"),
    ],
)
def test_every_fault_names_its_place(standing: None, grant: Any, where: str, what: str) -> None:
    found = faults(role("pay-bot", grant))

    place = next((at for at in found if at.startswith(f"Role/pay-bot/spec/grants/0/{where}")), None)
    assert place is not None, found
    assert what in found[place]


@pytest.mark.parametrize(
    "grant",
    [
        cell(of="parameters.amount * 2.0"),
        cell(beyond="duty"),
        hours(days=["mon"], **{"from": "22:00", "to": "06:00"}),
        {
            "capability": PAY,
            "effect": "allow",
            "limits": {"tokens": {"most": 10, "per": "1h"}, "rate": {"count": 1, "per": "1h"}},
        },
    ],
)
def test_what_is_in_order_has_no_fault(standing: None, grant: Any) -> None:
    assert faults(role("pay-bot", grant)) == {}


def test_a_limit_on_a_revealing_right_is_refused(standing: None) -> None:
    reveal = capability("invoice.reveal", resource="invoice", handler="portal.reveal", parameters=PARAMETERS)
    grant = {"capability": "invoice.reveal", "effect": "allow", "limits": {"rate": {"count": 1, "per": "1h"}}}

    assert "nothing is counted" in faults(reveal, role("pay-bot", grant))["Role/pay-bot/spec/grants/0/limits"]


def test_a_lowered_amount_is_told_with_what_it_was(standing: None) -> None:
    told = sentences(role("pay-bot", cell(most=2000)))

    assert f"pay-bot may {PAY} at most 2,000 of parameters.amount a day, formerly 5,000." in told


def test_a_new_cell_tells_its_limits(standing: None) -> None:
    grant = {**cell(beyond="duty"), **hours(days=["mon", "tue"], **{"from": "08:00", "to": "18:00"})}

    told = sentences(role("other-bot", grant))

    limits = "at most 5,000 of parameters.amount a day, only mon, tue from 08:00 to 18:00 (UTC)"
    assert any(f"{limits}; beyond that, with an approval under duty" in one for one in told)


@pytest.mark.parametrize(
    ("limits", "is_guarded"),
    [
        (cell(most=6000), True),
        (cell(per="12h"), True),
        (cell(of="parameters.amount / 2.0"), True),
        (cell(beyond="duty"), True),
        ({"capability": PAY, "effect": "allow"}, True),
        (cell(most=2000), False),
        (cell(per="7d"), False),
        ({"capability": PAY, "effect": "deny"}, False),
    ],
    ids=["more", "more often", "other amount", "deny to gate", "gone", "less", "longer", "denied"],
)
def test_nobody_raises_a_limit_alone(standing: None, ada: User, limits: Any, is_guarded: bool) -> None:
    status = config.propose(ada, role("pay-bot", limits)).status

    assert status == (ChangeSet.Status.PROPOSED if is_guarded else ChangeSet.Status.APPLIED)


@pytest.mark.parametrize(
    ("old", "new", "is_wider"),
    [
        (hours(days=["mon", "tue"]), hours(days=["mon"]), False),
        (hours(days=["mon"]), hours(days=["mon", "tue"]), True),
        (hours(**{"from": "08:00", "to": "18:00"}), hours(**{"from": "09:00", "to": "17:00"}), False),
        (hours(**{"from": "08:00", "to": "18:00"}), hours(**{"from": "09:00", "to": "19:00"}), True),
        (hours(**{"from": "08:00", "to": "18:00"}), hours(**{"from": "18:00", "to": "08:00"}), True),
        (hours(valid_until="2026-12-31"), hours(valid_until="2027-12-31"), True),
        (hours(valid_until="2026-12-31"), hours(valid_until="2026-11-30"), False),
        (hours(days=["mon"]), hours(days=["mon"], zone="Europe/Vienna"), True),
        (hours(days=["mon"]), {"capability": PAY, "effect": "allow"}, True),
    ],
)
def test_hours_widen_when_they_hold_at_another_time(old: Any, new: Any, is_wider: bool) -> None:
    assert bool(widened(old, new)) is is_wider


def test_words_of_every_limit() -> None:
    grant = {
        "capability": PAY,
        "effect": "allow",
        "limits": {
            "rate": {"count": 20, "per": "1h", "by": "resource"},
            "amount": {"of": "parameters.amount", "most": 99.5, "per": "12h", "by": "requester"},
            "tokens": {"most": 1000, "per": "7d"},
            "cost": {"most": 5, "per": "1d"},
        },
    }

    assert words(read(grant)) == (
        "at most 20 times an hour on each resource, at most 99.5 of parameters.amount in 12h for each requester, "
        "at most 1,000 tokens a week, at most 5 of cost a day; beyond that, denied"
    )
