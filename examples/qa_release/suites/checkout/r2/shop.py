"""The checkout, build r2: an expired voucher still counts."""

CURRENCIES = ("EUR", "USD", "GBP")
VOUCHERS = {"TEN": 10, "SPRING": 5}


def net(basket):
    if any(count < 1 for _, count, _ in basket):
        raise ValueError("a quantity is at least one")
    return sum(count * cents for _, count, cents in basket)


def vat(cents, percent):
    return (cents * percent + 50) // 100


def charge(cents, currency):
    if cents < 0 or currency not in CURRENCIES:
        raise ValueError("cannot be charged")
    return f"{currency} {cents // 100}.{cents % 100:02}"


def with_voucher(cents, code):
    return cents - cents * VOUCHERS.get(code, 0) // 100


def receipt(basket):
    return [f"{name} x{count}" for name, count, _ in basket]
