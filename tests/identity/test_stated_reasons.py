"""A reason that the journal could not hold is refused where it is given, whoever takes it."""

from __future__ import annotations

import pytest

from aegis.core.errors import Invalid
from aegis.identity.principals import MAX_REASON_CHARS, stated


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        ("  \n ", "is empty"),
        ("x" * (MAX_REASON_CHARS + 1), f"longer than {MAX_REASON_CHARS} characters"),
        ("a\x00b", "text holds a NUL character"),
        ("half \ud83d of it", "text holds half a surrogate pair"),
    ],
)
def test_a_reason_that_cannot_be_stored_is_refused(reason: str, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        stated(reason)
    assert [(fault.where, fault.what) for fault in caught.value.faults] == [("/reason", what)]


def test_any_other_text_is_kept_trimmed() -> None:
    assert stated("  Zoë said so 👍\n") == "Zoë said so 👍"
