"""The integrity badge: what the last verification of the journal said."""

from __future__ import annotations

from dataclasses import dataclass

from aegis.core.visibility import Viewer


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge never turns green by itself: "never verified" is amber, a failed verification red."""

    tone: str
    icon: str
    short: str
    sentence: str
    url: str


def badge(user: Viewer) -> Badge | None:
    """The badge for a reader; None where there is nothing to show."""
    return None
