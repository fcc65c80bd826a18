"""What others say and raise, in a form that can be told and kept. Pure."""

from __future__ import annotations


def kept(text: str, max_chars: int) -> str:
    """Text that every database keeps: no NUL, no half characters, `max_chars` long at most ("…" where it was cut)."""
    clean = text[: 2 * max_chars].replace("\x00", "").encode("utf-8", "replace").decode()
    return clean if len(clean) <= max_chars else f"{clean[: max_chars - 1]}…"


def described(error: BaseException) -> str:
    """An exception by its type and its text, or by its type alone where asking for the text raises."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
