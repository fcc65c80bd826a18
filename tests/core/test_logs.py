"""An error in a log says what kind it is and where it broke, never what it was about."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from django.db import IntegrityError

from aegis.core import logs
from aegis.core.errors import Invalid

SECRET = "DE44CANARY5001050"


def raised() -> BaseException:
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise Invalid(f"{SECRET} is no number") from error
    except Invalid as error:
        return error


def test_every_error_of_a_chain_is_told_by_kind_and_place_without_its_words():
    out = io.StringIO()

    logs.write_exception(out, (Invalid, raised(), None))

    assert SECRET not in out.getvalue()
    assert "test_logs.py" in out.getvalue()
    assert out.getvalue().index("ValueError") < out.getvalue().index("Invalid (invalid)")


def test_the_formatter_of_libraries_writes_it_the_same_way():
    try:
        raise raised()
    except Invalid:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "broke", None, sys.exc_info())

    told = logs.Formatter("%(message)s").format(record)

    assert told.startswith("broke\n")
    assert "Invalid (invalid)" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(SECRET), "ValueError"),
        (Invalid(SECRET), "Invalid (invalid)"),
        (IntegrityError(f"Key (iban)=({SECRET}) already exists"), "IntegrityError"),
        (SystemExit(SECRET), "SystemExit"),
    ],
)
def test_the_kind_of_an_error_is_its_type_and_its_code_where_the_code_is_ours_or_the_databases(error, told):
    assert logs.kind_of(error) == told
