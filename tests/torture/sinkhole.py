"""The effect sink: a process of its own with a SQLite file of its own, outside the product. It outlives every kill.

python -m tests.torture.sinkhole FILE        prints its port; serves until its standard input ends

Two receivers in one: `POST /keyed` carries out the first arrival under an `Idempotency-Key` and answers later ones with the
first receipt; `POST /naive` carries out every arrival. What was *done* is told by the order named in the body, not by the key:
a sender that changes its key has done the thing twice, and both receivers show it.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from tests.support.sink import Receiver

_SCHEMA = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
CREATE TABLE arrival (id INTEGER PRIMARY KEY, receiver TEXT, key TEXT, fence INTEGER, thing TEXT, body TEXT, at REAL);
CREATE INDEX arrival_key ON arrival (key);
CREATE TABLE applied (receiver TEXT, key TEXT, thing TEXT, receipt INTEGER);
CREATE UNIQUE INDEX applied_once ON applied (key) WHERE receiver = 'keyed';
"""


@dataclass(frozen=True, slots=True)
class Books:
    """What arrived and what was done of it, of those things that a test asks about.

    Attributes:
        arrivals: key -> arrivals.
        things: key -> what was to be done, as the sender's body names it.
        keyed, naive: thing -> how often a receiver that deduplicates (does not) carried it out.
        quarrels: keys that came with different bodies.
        fences: key -> fences in order of arrival.
    """

    arrivals: Counter[str]
    things: dict[str, str]
    keyed: Counter[str]
    naive: Counter[str]
    quarrels: list[str]
    fences: dict[str, list[int]]


class Sinkhole:
    """`with Sinkhole(folder) as sink:` runs the program until the end of the block."""

    def __init__(self, folder: Path, *, latency: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> None:
        """
        Args:
            latency: seconds an arrival takes, drawn evenly; half before it counts and half before it is answered, so that a
                kill finds both sides of the moment.
        """
        self.file = folder / "sink.sqlite3"
        self._arguments = [str(self.file), str(latency[0]), str(latency[1]), str(seed)]
        self._program: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.sinkhole", *self._arguments],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.url = f"http://127.0.0.1:{int(cast(IO[str], self._program.stdout).readline())}/"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._program is not None
        self._program.kill()
        self._program.wait()

    def books(self) -> Books:
        with sqlite3.connect(self.file, timeout=30) as rows:
            arrived = rows.execute("SELECT key, thing, body, fence FROM arrival ORDER BY id").fetchall()
            applied = rows.execute("SELECT receiver, thing FROM applied").fetchall()
        bodies: dict[str, set[str]] = {}
        fences: dict[str, list[int]] = {}
        for key, _, body, fence in arrived:
            bodies.setdefault(key, set()).add(body)
            fences.setdefault(key, []).append(fence)
        return Books(
            arrivals=Counter(row[0] for row in arrived),
            things={key: thing for key, thing, _, _ in arrived},
            keyed=Counter(thing for receiver, thing in applied if receiver == "keyed"),
            naive=Counter(thing for receiver, thing in applied if receiver == "naive"),
            quarrels=[key for key, found in bodies.items() if len(found) > 1],
            fences=fences,
        )

    def count(self) -> int:
        """Arrivals so far."""
        with sqlite3.connect(self.file, timeout=30) as rows:
            found: int = rows.execute("SELECT count(*) FROM arrival").fetchone()[0]
        return found


def serve(file: str, least: float, most: float, seed: int) -> None:
    rows = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    rows.executescript(_SCHEMA)
    lock, dice = threading.Lock(), random.Random(seed)

    def take(receiver: str, key: str, fence: int, raw: bytes) -> int:
        thing = json.loads(raw)["resource"]["id"]
        with lock:
            pause = dice.uniform(least, most) / 2
        time.sleep(pause)
        with lock:
            now = time.time()
            body = hashlib.sha256(raw).hexdigest()
            rows.execute(
                "INSERT INTO arrival (receiver, key, fence, thing, body, at) VALUES (?, ?, ?, ?, ?, ?)",
                (receiver, key, fence, thing, body, now),
            )
            number: int = rows.execute("SELECT last_insert_rowid()").fetchone()[0]
            rows.execute("INSERT OR IGNORE INTO applied VALUES (?, ?, ?, ?)", (receiver, key, thing, number))
            if receiver == "keyed":
                number = rows.execute("SELECT receipt FROM applied WHERE receiver = 'keyed' AND key = ?", (key,)).fetchone()[0]
        time.sleep(pause)
        return number

    class Handler(Receiver):
        def receipt_for(self, key: str, fence: int, raw: bytes) -> str:
            return str(take(self.path.strip("/"), key, fence, raw))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the tests are gone


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
