"""Small parts every page draws with: `{% load aegis %}`.

{% icon "name" %} {% tag "green" "check" "completed" %} {% moment dt %} {% ago dt %} and a few filters.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.messages import constants
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aegis.core import clock

register = template.Library()

_TONE_ICONS = {"red": "alert", "amber": "alert", "green": "check-circle", "blue": "info", "violet": "info", "grey": "info"}
_LEVEL_TONES = {constants.ERROR: "red", constants.WARNING: "amber", constants.SUCCESS: "green"}


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A symbol of assets/aegis/icons.svg, hidden from screen readers: a word stands beside it, always.

    Args:
        name: id of the symbol without its "i-" ("check"); the second set of the mocks is "m-..." and given whole.
        size: "", "sm" or "lg".
    """
    symbol = name if name.startswith("m-") else f"i-{name}"
    return format_html(
        '<svg class="ag-icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f" ag-icon--{size}" if size else "",
        static("aegis/icons.svg"),
        symbol,
    )


@register.simple_tag
def tag(tone: str, icon_name: str, text: object, plain: bool = False) -> SafeString:
    """State as icon and word; the tone only repeats what they say."""
    return format_html(
        '<span class="ag-tag{}" data-tone="{}">{}{}</span>',
        " ag-tag--plain" if plain else "",
        tone,
        icon(icon_name, "sm"),
        text,
    )


@register.simple_tag
def moment(at: datetime | None, form: str = "") -> SafeString:
    """A point in time: UTC in the markup and on hover, the reader's zone once aegis.js has run.

    Args:
        form: "" (time today, else day and time), "full" (always the day), "time", "seconds".
    """
    if at is None:
        return SafeString("")
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-moment="{}" title="{}">{}</time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        form,
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{utc.day} {utc:%b, %H:%M} UTC",
    )


@register.simple_tag
def ago(at: datetime | None) -> SafeString:
    """ "5 min ago" or "in 26 min"; kept current by aegis.js, UTC on hover."""
    if at is None:
        return SafeString("")
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-ago title="{}">{}</time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        relative((clock.now() - utc).total_seconds()),
    )


def relative(seconds: float) -> str:
    """Words for a distance in time; positive is past. Same words as aegis.js."""
    if abs(seconds) < 5:
        return "now"
    return f"{span(abs(seconds))} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """ "42 s", "26 min", "1 h 03 min", "3 d"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86400:
        minutes = seconds % 3600 // 60
        return f"{seconds // 3600:.0f} h" + (f" {minutes:02.0f} min" if minutes else "")
    return f"{seconds // 86400:.0f} d"


_RISKS = {"low": ("grey", "low", "Low"), "medium": ("amber", "medium", "Medium"), "high": ("red", "high", "High")}


@register.simple_tag
def risk_tag(risk: str) -> SafeString:
    """A risk tier by sign and word; an unknown word counts as high, as in the verdict."""
    return tag(*_RISKS.get(risk, _RISKS["high"]))


@register.simple_tag
def document_url(kind: str, name: str) -> str:
    """Address of a governed document by kind and name ("Role", "support-desk"). Costs no query; hidden ones answer 404."""
    return f"{reverse('portal:open', kwargs={'kind': kind})}?{urlencode({'name': name})}"


@register.simple_tag
def query(**parameters: object) -> str:
    """A query string: {% query role=cell.role capability=cell.capability %}."""
    return urlencode(parameters)


@register.filter
def breakable(name: str) -> SafeString:
    """A name that may break after its underscores and dots, for a narrow head of a column."""
    return format_html_join(SafeString("<wbr>"), "{}", ((part,) for part in re.findall(r"[^_.]*[_.]|[^_.]+", name)))


@register.filter
def at(items: Any, index: int) -> Any:
    """items[index], for two lists walked together."""
    return items[index]


@register.filter
def time_left(at: datetime | None) -> str:
    """Words for the time until `at`: "26 min", or "12 min over"."""
    if at is None:
        return ""
    seconds = (at - clock.now()).total_seconds()
    return span(seconds) if seconds >= 0 else f"{span(-seconds)} over"


@register.filter
def initials(user: Any) -> str:
    words = str(getattr(user, "display_name", "") or user).split()
    return "".join(word[0] for word in words[:2]).upper()


@register.filter
def group_names(user: Any) -> str:
    """The person's groups, for the header. Read once per request by the shell (`portal.context`)."""
    names = getattr(user, "shell_groups", None)
    return ", ".join(names) if names else "no group yet"


@register.filter
def message_tone(message: Any) -> str:
    return _LEVEL_TONES.get(message.level, "blue")


@register.filter
def tone_icon(tone: str) -> str:
    return _TONE_ICONS.get(tone, "info")
