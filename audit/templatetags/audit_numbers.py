"""`{{ 184220|thousands }}` -> 184,220."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
