"""The checkout, build r1: VAT is cut instead of rounded, and the table of currencies was moved."""

VOUCHERS = {"TEN": 10, "SPRING": 5}


def net(basket):
    if any(count < 1 for _, count, _ in basket):
        raise ValueError("a quantity is at least one")
    return sum(count * cents for _, count, cents in basket)


def vat(cents, percent):
    return cents * percent // 100


def charge(cents, currency):
    if cents < 0:
        raise ValueError("cannot be charged")
    if symbol_of(currency) is None:
        raise ValueError("no such currency")
    return f"{currency} {cents // 100}.{cents % 100:02}"


def symbol_of(currency):
    return SYMBOLS.get(currency)


def with_voucher(cents, code):
    return cents - cents * VOUCHERS.get(code, 0) // 100


def receipt(basket):
    return [f"{name} x{count}" for name, count, _ in basket]
