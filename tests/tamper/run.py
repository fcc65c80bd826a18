"""The tamper drill: forgeries on copies of a journal of 5,000 events; each must be found, or reported as not covered.

python -m tests.tamper.run [--part 1/20] [--count 1000 | --each 3] [--seed N]      (make tamper PART=k/n DATABASE=postgres)

The journal is made once: three checkpoints, each kept outside, and 50 events under none. Each case gets a copy (PostgreSQL:
template database; SQLite: the file), a forger who imports nothing of `audit` and has a superuser's rights, then two judges: the
product's `verify` and the standalone script, which gets nothing but every line and the last checkpoint kept outside.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import django

from tests.tamper import forger

BUILD = Path("build/tamper")
PARTS = (2_000, 2_000, 950, 50)


class House:
    """The template journal, and copies of it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.is_postgres, self.folder, self.url = url.startswith("postgres"), folder, url
        self.name = f"tamper_{os.getpid()}"

    def build(self) -> None:
        """The journal and, in `old`, a backup of it taken at the first checkpoint."""
        from django.core.management import call_command
        from django.db import connections

        from aegis.core import clock
        from audit import checkpoints, outside, sealer
        from bench import journal_rows

        if self.is_postgres:
            self._server(f"CREATE DATABASE {self.name}_new")
        self.point_at("new")
        call_command("migrate", verbosity=0)
        real, gone = clock.db_now, timedelta()
        for number, count in enumerate(PARTS):
            journal_rows.fill(count, seed=number + 1)
            sealer.seal()
            if number < len(PARTS) - 1:
                gone += timedelta(minutes=2)
                clock.db_now = lambda: real() + gone  # noqa: B023  (called before the next turn)
                assert checkpoints.keep() is not None
            if number == 0:
                connections.close_all()
                self._copy("new", "old")
        clock.db_now = real
        connections.close_all()
        (self.folder / "kept.note").write_text(outside.last() or "")

    @contextlib.contextmanager
    def copy(self, of: str) -> Iterator[Any]:
        """A connection with a superuser's rights to a copy, at which the product points too."""
        from django.db import connections

        self._copy(of, "case")
        connection: Any
        if self.is_postgres:
            import psycopg

            connection = psycopg.connect(self._address("case"), autocommit=True)
        else:
            connection = sqlite3.connect(self._path("case"), isolation_level=None)
        self.point_at("case")
        try:
            yield connection
        finally:
            connection.close()
            connections.close_all()
            self._drop("case")

    def close(self) -> None:
        for which in ("new", "old"):
            self._drop(which)

    def point_at(self, which: str) -> None:
        from django.db import connections

        connections.close_all()
        connections["default"].settings_dict["NAME"] = f"{self.name}_{which}" if self.is_postgres else str(self._path(which))

    def _path(self, which: str) -> Path:
        return self.folder / f"{which}.sqlite3"

    def _address(self, which: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{self.name}_{which}").geturl()

    def _copy(self, of: str, to: str) -> None:
        if self.is_postgres:
            self._server(f"CREATE DATABASE {self.name}_{to} TEMPLATE {self.name}_{of}")
        else:
            with sqlite3.connect(self._path(of)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copyfile(self._path(of), self._path(to))

    def _drop(self, which: str) -> None:
        if self.is_postgres:
            self._server(f"DROP DATABASE IF EXISTS {self.name}_{which} WITH (FORCE)")
        else:
            for path in self.folder.glob(f"{which}.sqlite3*"):
                path.unlink()

    def _server(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(urlsplit(self.url)._replace(path="/postgres").geturl(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


def case(house: House, kind: str, seed: int) -> dict[str, Any]:
    """One forgery and what both judges said of it. `wrong` is empty if they were right."""
    from audit import keys, outside, verify

    covered = sum(PARTS[:3])
    key = keys.signers()[0]
    with house.copy("old" if kind == "restore_backup" else "new") as connection:
        hands = forger.Hands(connection, house.is_postgres, covered, key.seed, key.name)
        hands.lift()
        forged = forger.KINDS[kind](hands, Random(seed))
        if kind != "lift_trigger":
            hands.lower()
        against = house.folder / "other.note" if forged.against else house.folder / "kept.note"
        if forged.against:
            against.write_text(forged.against)
        report = verify.verify(against=against)
        script = judged_by_script(house, hands.lines(), str(key.verifier), against)
    wrong = []
    if forged.is_covered and report.is_good:
        wrong.append("verify found nothing")
    if not forged.is_covered and report.is_good and forged.leaf is not None and report.trusted > forged.leaf:
        wrong.append("verify calls proved what no checkpoint covers")
    if not report.is_good and not is_named(report, forged):
        wrong.append(f"the first bad event is not named: {report.first_bad}, it is {forged.first or forged.note}")
    if script != forged.in_lines:
        wrong.append(f"the script {'found something' if script else 'found nothing'}")
    said = "detected" if not report.is_good else "not covered"
    outside.last()
    return {"kind": kind, "seed": seed, "said": said, "script": script, "wrong": wrong}


def is_named(report: Any, forged: forger.Forged) -> bool:
    """The report names the event itself, its leaf, or (all recomputed) the stretch behind the last good checkpoint."""
    if forged.first is None and forged.leaf is None:
        return True  # about no single event: a guard, a fork
    for problem in report.problems:
        if forged.first is not None and (problem.stream, problem.seq) == forged.first:
            return True
        if forged.leaf is None or problem.leaf is None or problem.check != "tree":
            continue
        if problem.leaf == forged.leaf or ("from here on" in problem.why and report.trusted <= forged.leaf):
            return True
    return bool(forged.note) and any(problem.stream == forged.note for problem in report.problems)


def judged_by_script(house: House, lines: list[str], key: str, checkpoint: Path) -> bool:
    """Did the standalone script find something?"""
    from audit import standalone

    path = house.folder / "lines.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with contextlib.redirect_stdout(io.StringIO()):
        return standalone.main(["--lines", str(path), "--key", key, "--checkpoint", str(checkpoint)]) != 0


def cases(count: int, seed: int) -> list[tuple[str, int]]:
    kinds = list(forger.KINDS)
    return [(kinds[number % len(kinds)], seed * 1_000_003 + number) for number in range(count)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--each", type=int, help="so many of each kind instead of --count")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    part, _, of = options.part.partition("/")
    mine = cases(options.each * len(forger.KINDS) if options.each else options.count, options.seed)[
        int(part) - 1 :: int(of or 1)
    ]
    url = os.environ.get("AEGIS_DATABASE_URL", "")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AEGIS_DATA_DIR"] = folder
        if not url:
            os.environ["AEGIS_DATABASE_URL"] = f"sqlite:///{folder}/new.sqlite3"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
        django.setup()
        house = House(url, Path(folder))
        try:
            house.build()
            results = [case(house, kind, seed) for kind, seed in mine]
        finally:
            house.close()
    bad = [result for result in results if result["wrong"]]
    said = Counter(result["said"] for result in results)
    for result in bad:
        sys.stdout.write(f"WRONG {result['kind']} seed {result['seed']}: {'; '.join(result['wrong'])}\n")
    found = f"{said['detected']} detected, {said['not covered']} reported as not covered, {len(bad)} wrong"
    sys.stdout.write(f"{len(results)} forgeries: {found}\n")
    vendor = "postgresql" if url else "sqlite"
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / f"{vendor}-{options.seed}-{options.part.replace('/', 'of')}.json").write_text(json.dumps(results))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
