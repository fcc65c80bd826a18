"""The evidence bundle of a run of which something was erased: it says so, and must say by what."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from audit import bundles, keeping
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(person: Any, ada: Any, sam: Any, tmp_path: Path) -> Path:
    people = {**house.furnished(person, effect="allow"), "sam": sam}
    run = house.lived(people["zoe"], people["sam"])
    house.erased(people, run=run)
    keeping.keep()
    bundle = bundles.of_run(run.pk, run.stream, run.label, viewer=people["pia"], actor=house.actor(people["pia"]))
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def verified(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py")], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def test_it_holds_and_tells_by_which_decision(folder: Path) -> None:
    code, said = verified(folder)

    assert code == 0, said
    assert "erased" in said
    assert "1 erasures by a decision, whose votes are not in here" in said
    assert "payloads were emptied by" in (folder / "README.html").read_text()
    assert "decision APR-" in (folder / "README.html").read_text()
    assert not any(house.CANARY in path.read_text(errors="replace") for path in folder.iterdir())


def test_an_erased_payload_without_the_line_that_says_so_is_found(folder: Path) -> None:
    bundle = json.loads((folder / "bundle.json").read_text())
    bundle["events"] = [event for event in bundle["events"] if json.loads(event["line"])["type"] != "payload.erased"]
    (folder / "bundle.json").write_text(json.dumps(bundle))

    code, said = verified(folder)

    assert code == 1
    assert "no event says who did" in said


def test_a_retention_of_a_few_days_is_found(folder: Path) -> None:
    bundle = json.loads((folder / "bundle.json").read_text())
    for event in bundle["events"]:
        line = json.loads(event["line"])
        if line["type"] == "payload.erased":
            line["data"] |= {"basis": "retention", "days": 3}
            event["line"] = json.dumps(line)
    (folder / "bundle.json").write_text(json.dumps(bundle))

    code, said = verified(folder)

    assert code == 1
    assert "a retention of less than 180 days" in said
