"""An error in a log says what kind it is and where it broke, never what it was about."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from typing import Any

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError

from aegis.core import env, logs
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


def lines_of(form: str) -> tuple[Any, io.StringIO]:
    out = io.StringIO()
    return structlog.wrap_logger(structlog.PrintLogger(out), processors=logs.processors(form)), out


def test_as_json_a_line_is_one_object_that_names_the_run_and_tells_of_an_error_without_its_words():
    log, out = lines_of("json")

    with logs.of_run("run-1", "check", "t" * 32):
        log.error("call\nbroke", runs=2, exc_info=raised())
    log.warning("later")

    first, second = map(json.loads, out.getvalue().splitlines())
    assert first | {"timestamp": "", "exception": ""} == {
        "event": "call\nbroke", "level": "error", "run": "run-1", "step": "check", "trace": "t" * 32,
        "runs": 2, "process": os.getpid(),
        "timestamp": "", "exception": "",
    }  # fmt: skip
    assert "Invalid (invalid)" in first["exception"]
    assert "test_logs.py" in first["exception"]
    assert SECRET not in out.getvalue()
    assert second.keys() == {"event", "level", "process", "timestamp"}


def test_as_json_libraries_write_the_same_keys():
    record = logging.LogRecord("some.library", logging.WARNING, "x", 1, "slow %s", ("answer",), None)
    try:
        raise raised()
    except Invalid:
        broken = logging.LogRecord("some.library", logging.ERROR, "x", 1, "broke", None, sys.exc_info())

    with logs.of_run("run-1", "check", "t" * 32):
        first, second = (json.loads(logs.JsonFormatter().format(one)) for one in (record, broken))

    assert first == {
        "event": "slow answer", "level": "warning", "logger": "some.library", "run": "run-1", "step": "check",
        "trace": "t" * 32,
        "timestamp": first["timestamp"], "process": os.getpid(),
    }  # fmt: skip
    assert "Invalid (invalid)" in second["exception"]
    assert SECRET not in second["exception"]


def test_as_text_the_run_is_named_too():
    log, out = lines_of("text")

    with logs.of_run("run-1", "check", "t" * 32):
        log.error("call_broke")

    assert "run-1" in out.getvalue()


def test_a_form_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv("AEGIS_LOG_FORMAT", "xml")

    with pytest.raises(ImproperlyConfigured, match="is none of text, json"):
        env.choice("AEGIS_LOG_FORMAT", "text", logs.FORMS)
