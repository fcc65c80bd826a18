"""A small world outside of AEGIS for the reference workflows: documents in one SQLite file, changed under idempotency keys.

It stands for the system that a real installation would call: a ledger, a platform. A change is made once per key, and the
answer is kept with it, so that a repeated call is answered as before and does nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Json = Any
State = dict[str, Any]
Change = Callable[[State], Json]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, content TEXT NOT NULL, body TEXT NOT NULL);
"""


class OtherContent(Exception):
    """The same key came before with something else; nothing was done."""


@dataclass(frozen=True, slots=True)
class World:
    """One named world. `seed` is the file it begins with."""

    name: str
    seed: Path

    def read(self) -> State:
        """Everything as it is now."""
        with self._open() as connection:
            return self._state(connection)

    def change(self, key: str, content: Mapping[str, Json], change: Change) -> Json:
        """Make a change once per key; what `change` does to the state and what it returns is kept, or neither.

        Args:
            content: what the key stands for.

        Raises:
            OtherContent: the key stands for something else. Whatever `change` raises; then nothing happened.
        """
        stands_for = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            known = connection.execute("SELECT content, body FROM answer WHERE key = ?", (key,)).fetchone()
            if known is not None:
                if known[0] != stands_for:
                    raise OtherContent(f"{key} came before with other content")
                return json.loads(known[1])
            state = self._state(connection)
            answer = change(state)
            connection.execute("REPLACE INTO state VALUES (?, ?)", (self.name, json.dumps(state)))
            connection.execute("INSERT INTO answer VALUES (?, ?, ?)", (key, stands_for, json.dumps(answer)))
            connection.execute("COMMIT")
            return answer

    def _state(self, connection: sqlite3.Connection) -> State:
        found = connection.execute("SELECT body FROM state WHERE name = ?", (self.name,)).fetchone()
        state: State = json.loads(found[0]) if found else json.loads(self.seed.read_text(encoding="utf-8"))
        return state

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of this call alone; a change that was not committed is gone when it closes."""
        path = folder() / f"{self.name}.sqlite3"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            connection.executescript(_TABLES)
            yield connection


def folder() -> Path:
    """Where these worlds lie: AEGIS_EXAMPLES_DIR, or `examples` in the data folder of the installation."""
    named = os.environ.get("AEGIS_EXAMPLES_DIR")
    if named:
        return Path(named)
    data = os.environ.get("AEGIS_DATA_DIR")
    return (Path(data) if data else Path(__file__).resolve().parent.parent / "var") / "examples"
