"""What the shop's tools do to a customer's account: pure functions from the record and the parameters to the new record.

An account is one record: `{"customer": id of the person, "shop_user", "address", "wallet": {payment method: {"source",
"balance_cents"?}}, "orders": {order id: order}}`. It is whole because one call may touch two things: cancelling an order fills
the gift card that another one is paid with. Orders are as the shop keeps them, with money in cents under the shop's own names.

Written from the shop's policy and the descriptions of its tools.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aegis.core import canonical
from aegis.core.errors import Fault
from orchestration.records.handlers import Body, EffectRefused, Handler

Json = Any
Rule = Callable[[Json, Json, Mapping[str, Json]], None]  # changes an account's copy: account, order, parameters

CHANGED: Final = "pending (item modified)"
_MONEY: Final = frozenset({"price", "amount", "exchange_price_difference"})


def in_cents(value: Json, *, is_money: bool = False) -> Json:
    """The same value with dollars as cents: records hold no fractions."""
    match value:
        case dict():
            return {name: in_cents(child, is_money=name in _MONEY) for name, child in value.items()}
        case list():
            return [in_cents(child, is_money=is_money) for child in value]
        case float() | int() if is_money:
            return round(value * 100)
        case _:
            return value


def confirmation(tool: str, arguments: Mapping[str, Json], refund_cents: int | None) -> str:
    """What the customer says to what he is shown: it names one action with all its details, and no other."""
    return "yes " + canonical.digest_of({"tool": tool, "arguments": dict(arguments), "refund_cents": refund_cents})[:16]


def refund_cents(account: Json, tool: str, arguments: Mapping[str, Json]) -> int | None:
    """What a call gives back; None for those that are no refund.

    Raises:
        EffectRefused: the order has no such item.
    """
    order = account["orders"][arguments["order_id"]]
    match tool:
        case "cancel_pending_order":
            return sum(payment["amount"] for payment in order["payment_history"])
        case "return_delivered_order_items":
            return sum(item["price"] for item in _picked(order, arguments["item_ids"]))
        case _:
            return None


def handlers(products: Mapping[str, Json]) -> dict[str, Handler]:
    """Name -> handler, for the shop's catalogue.

    Args:
        products: product id -> {"variants": {item id: {"available", "price" in cents, "options"}}}.
    """
    variants = {
        item_id: {**variant, "product_id": product_id}
        for product_id, product in products.items()
        for item_id, variant in product["variants"].items()
    }
    rules: dict[str, Rule] = {
        "cancel_pending_order": _cancel,
        "return_delivered_order_items": _return,
        "exchange_delivered_order_items": lambda *call: _exchange(variants, *call),
        "modify_pending_order_items": lambda *call: _modify_items(variants, *call),
        "modify_pending_order_payment": _modify_payment,
        "modify_pending_order_address": _modify_address,
    }
    return {f"shop.{tool}": _handler(tool, rule) for tool, rule in rules.items()}


def _handler(tool: str, rule: Rule) -> Handler:
    def carry_out(current: Body | None, parameters: Mapping[str, Json]) -> Body:
        if current is None:
            raise _refused("there is no such account")
        account = copy.deepcopy(dict(current))
        order = account["orders"].get(parameters["order_id"])
        if order is None:
            raise _refused("there is no such order")
        named = {"confirmation", "refund_cents"}
        arguments = {name: value for name, value in parameters.items() if name not in named}
        if parameters["confirmation"] != confirmation(tool, arguments, parameters.get("refund_cents")):
            raise _refused("the customer confirmed something else")
        if parameters.get("refund_cents") != refund_cents(account, tool, arguments):
            raise _refused("the refund is another one")
        rule(account, order, arguments)
        return account

    return carry_out


def _cancel(account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "pending")
    refunds = [{**payment, "transaction_type": "refund"} for payment in order["payment_history"]]
    for refund in refunds:
        _pay_in(account, refund["payment_method_id"], refund["amount"])
    order["status"], order["cancel_reason"] = "cancelled", call["reason"]
    order["payment_history"] += refunds


def _return(account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "delivered")
    method = _method(account, call["payment_method_id"])
    if method["source"] != "gift_card" and call["payment_method_id"] != order["payment_history"][0]["payment_method_id"]:
        raise _refused("a refund goes to the original payment method or to a gift card")
    _picked(order, call["item_ids"])
    order["status"] = "return requested"
    order["return_items"], order["return_payment_method_id"] = sorted(call["item_ids"]), call["payment_method_id"]


def _exchange(variants: Mapping[str, Json], account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "delivered")
    difference = _difference(variants, order, call)
    _require_balance(_method(account, call["payment_method_id"]), difference)
    order["status"] = "exchange requested"
    order["exchange_items"], order["exchange_new_items"] = sorted(call["item_ids"]), sorted(call["new_item_ids"])
    order["exchange_payment_method_id"], order["exchange_price_difference"] = call["payment_method_id"], difference


def _modify_items(variants: Mapping[str, Json], account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "pending")
    difference = _difference(variants, order, call)
    _require_balance(_method(account, call["payment_method_id"]), difference)
    kind = "payment" if difference > 0 else "refund"
    order["payment_history"].append(
        {"transaction_type": kind, "amount": abs(difference), "payment_method_id": call["payment_method_id"]}
    )
    _pay_in(account, call["payment_method_id"], -difference)
    for old, new in zip(call["item_ids"], call["new_item_ids"], strict=True):
        item = next(item for item in order["items"] if item["item_id"] == old)
        item |= {"item_id": new, "price": variants[new]["price"], "options": variants[new]["options"]}
    order["status"] = CHANGED


def _modify_payment(account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "pending")
    chosen, history = call["payment_method_id"], order["payment_history"]
    method = _method(account, chosen)
    if len(history) != 1 or history[0]["transaction_type"] != "payment":
        raise _refused("the order was paid in more than one way")
    paid = history[0]
    if paid["payment_method_id"] == chosen:
        raise _refused("that is how it is paid already")
    _require_balance(method, paid["amount"])
    history += [{**paid, "payment_method_id": chosen}, {**paid, "transaction_type": "refund"}]
    _pay_in(account, chosen, -paid["amount"])
    _pay_in(account, paid["payment_method_id"], paid["amount"])


def _modify_address(account: Json, order: Json, call: Mapping[str, Json]) -> None:
    _require_status(order, "pending")
    order["address"] = {name: value for name, value in call.items() if name != "order_id"}


def _difference(variants: Mapping[str, Json], order: Json, call: Mapping[str, Json]) -> int:
    """What the new items cost more than the old ones, in cents."""
    old = _picked(order, call["item_ids"])
    if len(old) != len(call["new_item_ids"]):
        raise _refused("each item needs one in its place")
    difference = 0
    for item, new_id in zip(old, call["new_item_ids"], strict=True):
        new = variants.get(new_id)
        if new is None or not new["available"] or new["product_id"] != item["product_id"]:
            raise _refused("there is no such item of this product, or none is left")
        difference += new["price"] - item["price"]
    return difference


def _picked(order: Json, item_ids: Sequence[str]) -> list[Json]:
    """The items of an order with these ids, in their order; an id may be there twice."""
    held = Counter(item["item_id"] for item in order["items"])
    if any(count > held[item_id] for item_id, count in Counter(item_ids).items()):
        raise _refused("the order has no such item")
    return [next(item for item in order["items"] if item["item_id"] == item_id) for item_id in item_ids]


def _method(account: Json, method_id: str) -> Json:
    if method_id not in account["wallet"]:
        raise _refused("the customer has no such payment method")
    return account["wallet"][method_id]


def _require_status(order: Json, status: str) -> None:
    if order["status"] != status:
        raise _refused(f"the order is {order['status']}, not {status}")


def _require_balance(method: Json, cents: int) -> None:
    if method["source"] == "gift_card" and method["balance_cents"] < cents:
        raise _refused("the gift card does not hold enough")


def _pay_in(account: Json, method_id: str, cents: int) -> None:
    method = _method(account, method_id)
    if method["source"] == "gift_card":
        method["balance_cents"] += cents


def _refused(what: str) -> EffectRefused:
    return EffectRefused(what[0].upper() + what[1:], faults=[Fault("", what)])
