"""The remote effects of invoice-change: calls of a ledger that lies in a file beside the installation.

A ledger refuses: a closed period, a frozen account, an invoice that somebody else changed. It is busy at times (account 4930,
at the first try). It remembers keys, so the capabilities are `keyed`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from examples.outside import OtherContent, World
from orchestration.engine.effects import EffectRefused, EffectRequest, EffectUnavailable, effect_handler

from . import books

LEDGER: Final = World("ledger", Path(__file__).resolve().parent / "books.json")
BUSY_ACCOUNT: Final = "4930"
BUSY_SECONDS: Final = 1.0


@effect_handler("ledger.amend")
def amend(request: EffectRequest) -> Any:
    asked = request.parameters
    return _call(
        request,
        lambda state: books.amend(
            state, invoice=request.resource["id"], from_cents=asked["from_cents"], to_cents=asked["to_cents"]
        ),
    )


@effect_handler("ledger.unamend")
def unamend(request: EffectRequest) -> Any:
    """Parameters: {effect, parameters, result} of the amendment."""
    done, result = request.parameters["parameters"], request.parameters["result"]
    return _call(
        request,
        lambda state: books.unamend(
            state, invoice=request.resource["id"], from_cents=done["from_cents"], revision=result["revision"]
        ),
    )


@effect_handler("ledger.post")
def post(request: EffectRequest) -> Any:
    asked = request.parameters
    if asked["account"] == BUSY_ACCOUNT and request.attempt == 1:
        raise EffectUnavailable(f"account {BUSY_ACCOUNT} is being closed for the day", retry_after=BUSY_SECONDS)
    return _call(
        request,
        lambda state: books.post(
            state,
            invoice=request.resource["id"],
            account=asked["account"],
            period=asked["period"],
            amount_cents=asked["amount_cents"],
        ),
    )


@effect_handler("ledger.reverse")
def reverse(request: EffectRequest) -> Any:
    """Parameters: {effect, parameters, result} of the posting."""
    entry = request.parameters["result"]["entry"]
    return _call(request, lambda state: books.reverse(state, entry=entry))


@effect_handler("ledger.notify")
def notify(request: EffectRequest) -> Any:
    asked = request.parameters
    return _call(
        request,
        lambda state: books.notify(state, invoice=request.resource["id"], supplier=asked["supplier"], text=asked["text"]),
    )


def _call(request: EffectRequest, change: Callable[[books.Books], Any]) -> Any:
    """Under the key of the effect: repeated, it is answered as before. A refusal leaves the ledger as it was."""
    try:
        return LEDGER.change(request.key, dict(request.parameters), change)
    except (books.Refused, OtherContent) as error:
        raise EffectRefused(str(error)) from None
