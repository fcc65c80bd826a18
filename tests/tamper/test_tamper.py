"""The tamper drill in small: three forgeries of each of the sixteen kinds. The thousand: `make tamper`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.tamper import forger

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[2]


def test_every_forgery_is_detected_or_reported_as_not_covered() -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("AEGIS_DATA_DIR", "DJANGO_SETTINGS_MODULE")}
    command = [sys.executable, "-m", "tests.tamper.run", "--each", "3", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=900, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("48 forgeries: "), connection.vendor


def test_the_forger_imports_nothing_of_audit() -> None:
    source = Path(forger.__file__).read_text()

    assert len(forger.KINDS) == 16
    assert not re.search(r"^\s*(from|import) (audit|aegis|django)", source, re.MULTILINE)
