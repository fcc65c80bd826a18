"""The shop's books and its customers' calls, read from the shared folder: where each task begins, and how it must end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.shared.retail.shop import in_cents

Json = Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. `is_refused`: the shop's own tool says no."""

    id: str  # "<task>/<number>"
    tool: str
    arguments: Mapping[str, Json]
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A customer's request with the right calls, in order. `final` holds the orders they leave behind."""

    id: str
    customer: str
    request: str
    calls: Sequence[Call]
    final: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Shop:
    """users, orders, products: by id, money in cents."""

    users: Mapping[str, Json]
    orders: Mapping[str, Json]
    products: Mapping[str, Json]

    def account(self, user_id: str, person_id: str) -> Json:
        """The record of a customer (shape: `shop`) before anything happened."""
        user = self.users[user_id]
        wallet = {
            method_id: {"source": method["source"]}
            | ({"balance_cents": round(method["balance"] * 100)} if "balance" in method else {})
            for method_id, method in user["payment_methods"].items()
        }
        orders = {order_id: self.orders[order_id] for order_id in user["orders"]}
        return {"customer": person_id, "shop_user": user_id, "address": user["address"], "wallet": wallet, "orders": orders}


def read(folder: Path) -> tuple[Shop, list[Task]]:
    books = json.loads((folder / "db.json").read_text(encoding="utf-8"))
    shop = Shop(books["users"], in_cents(books["orders"]), in_cents(books["products"]))
    lines = (folder / "tasks_train.jsonl").read_text(encoding="utf-8").splitlines()
    return shop, [_task(json.loads(line)) for line in lines]


def sample(tasks: Sequence[Task], size: int) -> list[Task]:
    """Every task with a call that the shop refuses, and others evenly from the whole."""
    refused = [task for task in tasks if any(call.is_refused for call in task.calls)]
    rest = [task for task in tasks if task not in refused]
    return refused + rest[:: max(1, len(rest) // (size - len(refused)))][: size - len(refused)]


def _task(line: Json) -> Task:
    calls = [
        Call(f"{line['id']}/{number}", call["tool"], call["args"], not call["ok"])
        for number, call in enumerate(line["actions"])
    ]
    return Task(line["id"], line["acting_user"], line["request"], calls, in_cents(line["final_state"]))
