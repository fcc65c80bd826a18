"""One scale for the severities of monitoring products. Pure.

Every product has words or numbers of its own. What they mean is written down here once, product by product; a word that nobody
wrote down is no severity, so that an alert with it goes to a person instead of being taken lightly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Severity = Literal["critical", "high", "warning", "low", "info"]
SCALE: Final[tuple[Severity, ...]] = ("critical", "high", "warning", "low", "info")

#: Words that mean the same wherever they are used.
WORDS: Final[Mapping[str, Severity]] = {
    **dict.fromkeys(("critical", "crit", "fatal", "emergency", "disaster", "p1", "sev1", "down"), "critical"),
    **dict.fromkeys(("high", "error", "major", "severe", "p2", "sev2", "alert", "unreachable"), "high"),
    **dict.fromkeys(("warning", "warn", "medium", "moderate", "minor", "average", "p3", "sev3", "degraded"), "warning"),
    **dict.fromkeys(("low", "notice", "p4", "sev4"), "low"),
    **dict.fromkeys(("info", "informational", "information", "debug", "p5", "sev5", "ok", "up", "none"), "info"),
}

#: Numbers, where a product counts; most of them down from 1, some up.
NUMBERS: Final[Mapping[str, Mapping[int, Severity]]] = {
    "datadog": dict(enumerate(SCALE, start=1)),
    "cloudwatch": dict(enumerate(SCALE, start=1)),
    "graylog": {1: "low", 2: "warning", 3: "high", 4: "critical"},
    "wazuh": {
        **dict.fromkeys(range(4), "info"),
        **dict.fromkeys(range(4, 7), "low"),
        **dict.fromkeys(range(7, 12), "warning"),
        **dict.fromkeys(range(12, 15), "high"),
        15: "critical",
        16: "critical",
    },
}

#: Words that a product uses in a way of its own.
OWN_WORDS: Final[Mapping[str, Mapping[str, Severity]]] = {
    "axiom": {"open": "warning", "closed": "info"},  # a monitor of Axiom has no severity: open is a warning
    "checkly": {
        "alert_failure": "high",
        "alert_degraded": "warning",
        "alert_recovery": "info",
        "alert_degraded_recovery": "info",
        "alert_degraded_failure": "high",
        "alert_ssl": "warning",
    },
    "dash0": {"failed": "critical", "degraded": "warning", "resolved": "info"},
    "netbox": {"created": "info", "updated": "info", "deleted": "warning"},
    "signalfx": {"minor": "low"},
    "thousandeyes": {"minor": "low"},
}


def on_scale(provider: str, value: object) -> Severity | None:
    """What a product's word or number means; None if nobody has written that down."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return NUMBERS.get(provider, {}).get(value)
    if not isinstance(value, str):
        return None
    word = value.strip().lower()
    if own := OWN_WORDS.get(provider, {}).get(word):
        return own
    if word.isascii() and word.isdigit() and len(word) < 4:
        return NUMBERS.get(provider, {}).get(int(word))
    return WORDS.get(word)


def worse(first: Severity, second: Severity) -> Severity:
    return min(first, second, key=SCALE.index)
