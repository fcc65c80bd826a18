"""The integrity badge: what the last verification of the journal said. It never turns green by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.urls import reverse

from aegis.core import clock
from aegis.portal.templatetags.aegis import relative
from audit import checkpoints, verifications

FRESH = timedelta(hours=24)  # older than this is amber: a good result says nothing about what was written since


@dataclass(frozen=True, slots=True)
class Badge:
    """Amber until somebody has verified, and again when that is long ago; red on the first contradiction."""

    tone: str
    icon: str
    short: str
    sentence: str
    url: str
    at: datetime | None = None
    checked: int = 0
    first_bad: str = ""
    trusted: int = 0  # events under the last trustworthy checkpoint
    refusal: str = ""  # why no checkpoint is signed


def badge() -> Badge:
    """One query, two before the first verification. Everybody may see it: it tells a number and a place, never content."""
    latest = verifications.latest()
    url = reverse("audit:list")
    if latest is None:
        unknown = Badge("amber", "shield", "Not verified yet", "the journal has not been verified yet", url)
        return _signing(unknown, checkpoints.refusal())
    when = relative((clock.now() - latest.at).total_seconds())
    if not latest.is_good:
        place = f", first at {latest.first_bad}" if latest.first_bad else ""
        sentence = f"verification failed {when}{place}"
        return Badge("red", "alert", "Verification failed", sentence, url, latest.at, latest.checked, latest.first_bad)
    trusted = latest.report.get("trusted", 0)
    through = f"verified through #{trusted:,}" if trusted else f"{latest.checked:,} events verified"
    sentence = f"{through} {when}; what came later is not covered"
    tone, icon = ("amber", "shield") if clock.now() - latest.at > FRESH else ("green", "shield-check")
    verified = Badge(tone, icon, f"Verified {when}", sentence, url, latest.at, latest.checked, trusted=trusted)
    return _signing(verified, latest.refusal or "")  # type: ignore[attr-defined]  # annotated by latest


def _signing(shown: Badge, why: str) -> Badge:
    """The same, unless no checkpoint is signed: nothing that happens now could be proved later."""
    if not why:
        return shown
    return replace(
        shown,
        tone="red",
        icon="alert",
        short="No checkpoint is signed",
        sentence=f"no checkpoint is signed: {why}",
        refusal=why,
    )
