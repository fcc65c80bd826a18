"""How sure a share is: exact one-sided bounds of a binomial proportion (Clopper and Pearson, 1934). Pure."""

from __future__ import annotations

from math import ceil, exp, lgamma, log, log1p
from typing import Final

#: What is left to chance: a bound holds with 95 % confidence.
ALPHA: Final = 0.05
_HALVINGS: Final = 60


def upper(hits: int, of: int, alpha: float = ALPHA) -> float:
    """The largest share under which so few hits are still likelier than `alpha`; 1 where nothing was seen."""
    if hits >= of:
        return 1.0
    if hits == 0:
        return 1.0 - exp(log(alpha) / of)
    low, high = hits / of, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(hits, of, middle) > alpha else (low, middle)
    return high


def lower(hits: int, of: int, alpha: float = ALPHA) -> float:
    """The smallest share under which so many hits are still likelier than `alpha`; 0 where nothing was seen."""
    return 1.0 - upper(of - hits, of, alpha) if of else 0.0


def needed(limit: float, alpha: float = ALPHA) -> int:
    """How many cases without a hit bring `upper` down to `limit`: no advice rests on fewer."""
    return ceil(log(alpha) / log1p(-limit))


def _at_most(hits: int, of: int, share: float) -> float:
    """The chance of at most `hits` in `of` draws."""
    yes, no = log(share), log1p(-share) if share < 1.0 else float("-inf")
    terms = (lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + k * yes + (of - k) * no for k in range(hits + 1))
    return sum(exp(term) for term in terms)
