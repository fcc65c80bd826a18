"""The ledger of the example: what it does to its books, and when it says no. Pure, over a dict that the caller keeps.

Books: {"invoices": {id: {amount_cents, currency, supplier, status, revision, unposted_cents}}, "periods": {"2026-10": "open"},
"accounts": {number: "open" | "frozen"}, "suppliers": {name: {"address": text}}, "entries": [{account, period, amount_cents,
invoice, reverses}], "letters": [{supplier, invoice, text}]}. `unposted_cents` is what an invoice was changed by and no entry
says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Books = dict[str, Any]


class Refused(Exception):
    """The ledger says no; nothing was changed."""


def amend(books: Books, *, invoice: str, from_cents: int, to_cents: int) -> dict[str, Any]:
    """Give an open invoice another amount, if it still has the one it was to be changed from."""
    found = _invoice(books, invoice)
    if found["status"] != "open":
        raise Refused(f"{invoice} is {found['status']}")
    if found["amount_cents"] != from_cents:
        raise Refused(f"{invoice} does not have the amount it was to be changed from")
    found["amount_cents"] = to_cents
    found["unposted_cents"] = found.get("unposted_cents", 0) + to_cents - from_cents
    found["revision"] += 1
    return {"invoice": invoice, "amount_cents": to_cents, "revision": found["revision"]}


def unamend(books: Books, *, invoice: str, from_cents: int, revision: int) -> dict[str, Any]:
    """Put the earlier amount back, unless somebody changed the invoice since."""
    found = _invoice(books, invoice)
    if found["revision"] != revision:
        raise Refused(f"{invoice} was changed again since revision {revision}")
    found["unposted_cents"] -= found["amount_cents"] - from_cents
    found["amount_cents"] = from_cents
    found["revision"] += 1
    return {"invoice": invoice, "amount_cents": from_cents, "revision": found["revision"]}


def post(books: Books, *, invoice: str, account: str, period: str, amount_cents: int) -> dict[str, Any]:
    """Add an entry for exactly what an invoice was changed by, if period and account take one."""
    found = _invoice(books, invoice)
    if books["periods"].get(period) != "open":
        raise Refused(f"period {period} is {books['periods'].get(period, 'unknown')}")
    if books["accounts"].get(account) != "open":
        raise Refused(f"account {account} is {books['accounts'].get(account, 'unknown')}")
    if found.get("unposted_cents", 0) != amount_cents:
        raise Refused(f"{invoice} was not changed by this amount")
    found["unposted_cents"] = 0
    return _entry(books, invoice, account, period, amount_cents)


def reverse(books: Books, *, entry: int) -> dict[str, Any]:
    """Add the opposite of an entry. An entry is never removed, and reversed once."""
    if not 1 <= entry <= len(books["entries"]):
        raise Refused(f"there is no entry {entry}")
    if any(one.get("reverses") == entry for one in books["entries"]):
        raise Refused(f"entry {entry} is reversed already")
    found = books["entries"][entry - 1]
    invoice = _invoice(books, found["invoice"])
    invoice["unposted_cents"] = invoice.get("unposted_cents", 0) + found["amount_cents"]
    return _entry(books, found["invoice"], found["account"], found["period"], -found["amount_cents"], reverses=entry)


def notify(books: Books, *, invoice: str, supplier: str, text: str) -> dict[str, Any]:
    """Send the supplier a letter, if there is an address to send it to."""
    address = books["suppliers"].get(supplier, {}).get("address")
    if not address:
        raise Refused(f"there is no address of {supplier}")
    books["letters"].append({"supplier": supplier, "invoice": invoice, "text": text})
    return {"letter": len(books["letters"]), "to": address}


def balance(books: Mapping[str, Any], account: str) -> int:
    return sum(one["amount_cents"] for one in books["entries"] if one["account"] == account)


def _invoice(books: Books, invoice: str) -> dict[str, Any]:
    found: dict[str, Any] | None = books["invoices"].get(invoice)
    if found is None:
        raise Refused(f"there is no invoice {invoice}")
    return found


def _entry(books: Books, invoice: str, account: str, period: str, amount_cents: int, **more: int) -> dict[str, Any]:
    books["entries"].append({"invoice": invoice, "account": account, "period": period, "amount_cents": amount_cents, **more})
    return {"entry": len(books["entries"]), "account": account, "amount_cents": amount_cents}
