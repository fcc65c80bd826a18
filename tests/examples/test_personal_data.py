"""Names of people: found where words announce them, and only there."""

from __future__ import annotations

import pytest

from examples.common.personal_data import find_personal_data


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is Jane Roe.", ["Jane Roe"]),
        ("hello my name is jane and i write", ["jane"]),
        ("My name is not on the list.", []),
        ("My name is misspelled on the card.", []),
        ("“We liked it,” says Jane Roe of the shop.", ["Jane Roe"]),
        ('Jane Roe: "It boils."', ["Jane Roe"]),
        ("A customer called Jane Roe wrote to us.", ["Jane Roe"]),
        ("Ask Dr. Roe, or mr. doe.", ["Roe", "doe"]),
        ("The kettle is called Fernbrook.", []),
        ("The Kettle K2 lives on.", []),
        ("It says Insufficient Funds.", []),
    ],
)
def test_a_name_is_found_where_words_announce_it(text, names):
    assert [text[one.start : one.end] for one in find_personal_data(text) if one.kind == "name"] == names
