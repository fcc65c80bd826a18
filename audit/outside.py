"""Checkpoints kept outside the database: one file of notes a day, only ever appended to.

This is what makes a rolled-back database visible: it cannot take these files back with it. Put the folder where the database's
keeper cannot write (`AEGIS_CHECKPOINT_DIR`), or copy it there: what counts is a copy that he does not control.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings

from audit.notes import BadNote

_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.notes")
_TAIL = 8_192  # bytes; a note has some 200
_NOTE = re.compile(r"(?:(?!\n\n).)+\n\n(?:— [^\n]*\n)+", re.DOTALL)


def folder() -> Path:
    return Path(settings.CHECKPOINT_DIR or Path(settings.DATA_DIR) / "checkpoints")


def append(note: str, at: datetime) -> None:
    """Keep a note, on disk when this returns."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder() / f"{at:%Y-%m-%d}.notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{note}\n\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last() -> str | None:
    """The note that was kept last, unchecked; None if there is none at all.

    Raises:
        BadNote: the newest file holds something else.
    """
    for path in reversed(_files()):
        with path.open("rb") as file:  # asked for each second: a day's file is not read whole
            file.seek(max(0, path.stat().st_size - _TAIL))
            tail = file.read().decode("utf-8", "replace")
        start = tail.rstrip("\n").rfind("\n\n\n")  # not there: the first note of its file
        notes = _NOTE.findall(tail[max(start, 0) :].lstrip("\n"))
        if len(notes) != 1:
            raise BadNote(f"{path.name} does not end with a checkpoint")
        return str(notes[0])
    return None


def all_notes() -> Iterator[str]:
    """Every note, oldest file first."""
    for path in _files():
        yield from read(path)


def read(path: Path) -> Iterator[str]:
    """The notes of a file: one of ours, or a single checkpoint somebody kept.

    Raises:
        BadNote: there is none in it, or something between them.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    notes = _NOTE.findall(text.lstrip("\n"))
    if not notes or "".join(notes).replace("\n", "") != text.replace("\n", ""):
        raise BadNote(f"{path.name} holds something that is no checkpoint")
    yield from (note.lstrip("\n") for note in notes)


def _files() -> list[Path]:
    """Ours, oldest first."""
    if not folder().is_dir():
        return []
    return sorted(path for path in folder().iterdir() if _FILE.fullmatch(path.name))
