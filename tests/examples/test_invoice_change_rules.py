"""What invoice-change computes, and how its ledger keeps its books. Pure, but for the file of the ledger."""

from __future__ import annotations

import copy
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from aegis.core.errors import Malformed
from examples.invoice_change import books, handlers
from examples.invoice_change.amounts import add_up, euros
from examples.invoice_change.orders import differences, read_order
from examples.outside import OtherContent, World
from orchestration.engine.effects import EffectRefused, EffectRequest, EffectUnavailable


def line(article: str = "a", count: int = 1, unit: int = 100, vat: int = 19) -> dict[str, Any]:
    return {"article": article, "count": count, "unit_cents": unit, "vat_percent": vat}


@pytest.mark.parametrize(
    ("lines", "total"),
    [
        ([line(unit=1000)], 1190),
        ([line(unit=250, vat=7)], 268),  # 17.5 cents of VAT go up
        ([line(unit=250, vat=7)] * 2, 535),  # once per rate, not per line
        ([line(unit=250, vat=7), line(unit=250, vat=0)], 518),
        ([line(unit=-250, vat=7)], -268),
        ([line(unit=1000), line(unit=-1000)], 0),
    ],
)
def test_vat_is_rounded_once_per_rate(lines: list[dict[str, Any]], total: int) -> None:
    assert add_up(lines).total_cents == total


def test_amounts_are_said_as_people_write_them() -> None:
    assert (euros(5), euros(-123_450), euros(100_000_000)) == ("0.05 EUR", "-1,234.50 EUR", "1,000,000.00 EUR")


# --- orders ---


def test_an_order_is_found_by_its_number_and_by_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"lines": []}')
    (tmp_path / "PO-1.json").symlink_to(tmp_path / "secret.json")

    for number in ("PO-1", "PO-2", "secret", "../PO-1", "PO-1\n", "", "PO-" + "1" * 11):
        assert read_order(number, folder=tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"lines": 1}', b"\xff", b'{"lines": [], "lines": []}'])
def test_a_damaged_order_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "PO-1.json").write_bytes(content)

    with pytest.raises(Malformed, match=r"PO-1\.json"):
        read_order("PO-1", folder=tmp_path)


def test_what_differs_is_said_article_by_article() -> None:
    order = {"lines": [{"article": "a", "count": 2, "unit_cents": 100}, {"article": "b", "count": 1, "unit_cents": 50}]}

    assert differences(order, [line("a", 2, 100)]) == []
    assert differences(order, [line("a", 3, 110), line("c")]) == [
        "a: 3 invoiced, 2 ordered",
        "a: dearer than ordered (110 instead of 100 cents)",
        "c was never ordered",
    ]


# --- books ---


@pytest.fixture
def state() -> books.Books:
    found: books.Books = json.loads(handlers.LEDGER.seed.read_text())
    return found


def test_what_was_amended_and_posted_is_undone_to_the_same_amounts(state: books.Books) -> None:
    before = copy.deepcopy(state)
    amended = books.amend(state, invoice="INV-2041", from_cents=11_900, to_cents=15_000)
    posted = books.post(state, invoice="INV-2041", account="4910", period="2026-10", amount_cents=3_100)

    books.reverse(state, entry=posted["entry"])
    books.unamend(state, invoice="INV-2041", from_cents=11_900, revision=amended["revision"])

    assert state["invoices"]["INV-2041"]["amount_cents"] == before["invoices"]["INV-2041"]["amount_cents"]
    assert state["invoices"]["INV-2041"]["unposted_cents"] == 0
    assert books.balance(state, "4910") == 0


def test_the_ledger_says_no(state: books.Books) -> None:
    amend = {"invoice": "INV-2041", "from_cents": 11_900, "to_cents": 15_000}
    for wrong in ({"invoice": "INV-1"}, {"invoice": "INV-2048", "from_cents": 35_700}, {"from_cents": 1}):
        with pytest.raises(books.Refused):
            books.amend(state, **{**amend, **wrong})  # type: ignore[arg-type]
    revision = books.amend(state, **amend)["revision"]  # type: ignore[arg-type]
    post = {"invoice": "INV-2041", "account": "4910", "period": "2026-10", "amount_cents": 3_100}
    for other in ({"period": "2026-09"}, {"period": "1999-01"}, {"account": "4990"}, {"account": "1"}, {"amount_cents": 3_099}):
        with pytest.raises(books.Refused):
            books.post(state, **{**post, **other})  # type: ignore[arg-type]
    entry = books.post(state, **post)["entry"]  # type: ignore[arg-type]
    books.reverse(state, entry=entry)
    for number in (entry, 0, 99):
        with pytest.raises(books.Refused):
            books.reverse(state, entry=number)
    with pytest.raises(books.Refused, match="changed again"):
        books.unamend(state, invoice="INV-2041", from_cents=11_900, revision=revision - 1)
    with pytest.raises(books.Refused, match="no address"):
        books.notify(state, invoice="INV-2047", supplier="Ghost Supplies", text="x")


# --- the file behind it ---


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AEGIS_EXAMPLES_DIR", str(tmp_path / "outside"))
    (tmp_path / "seed.json").write_text('{"count": 0}')
    return World("counter", tmp_path / "seed.json")


def raise_count(state: dict[str, Any]) -> int:
    state["count"] += 1
    return int(state["count"])


def test_a_change_happens_once_per_key_and_is_answered_as_before(world: World) -> None:
    assert [world.change("k", {"a": 1}, raise_count) for _ in range(3)] == [1, 1, 1]
    assert world.change("other", {"a": 1}, raise_count) == 2
    assert world.read() == {"count": 2}


def test_a_key_that_comes_with_other_content_is_refused(world: World) -> None:
    world.change("k", {"a": 1}, raise_count)

    with pytest.raises(OtherContent):
        world.change("k", {"a": 2}, raise_count)
    assert world.read() == {"count": 1}


def test_a_refusal_keeps_nothing_and_may_be_tried_again_under_the_same_key(world: World) -> None:
    def refuse(state: dict[str, Any]) -> None:
        state["count"] = 99
        raise books.Refused("no")

    with pytest.raises(books.Refused):
        world.change("k", {}, refuse)
    assert world.read() == {"count": 0}
    assert world.change("k", {}, raise_count) == 1


def test_many_at_once_lose_nothing(world: World) -> None:
    threads = [threading.Thread(target=lambda n=n: world.change(f"k{n % 10}", {}, raise_count)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.read() == {"count": 10}


def test_the_ledger_is_busy_once_and_refuses_in_the_words_of_its_books(world: World) -> None:
    posting = {"account": "4930", "period": "2026-10", "amount_cents": 1}
    first, second = (
        EffectRequest(key="k", attempt=attempt, fence=1, resource={"type": "invoice", "id": "INV-2041"}, parameters=posting)
        for attempt in (1, 2)
    )

    with pytest.raises(EffectUnavailable):
        handlers.post(first)
    with pytest.raises(EffectRefused, match="was not changed by this amount"):
        handlers.post(second)
