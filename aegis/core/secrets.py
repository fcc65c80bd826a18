"""The installation's own secret, made at first start when the environment names none."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

FILE = "secret_key"


def installation_secret(data_dir: Path) -> str:
    """The content of `secret_key` in the data folder (mode 0600), made if it is missing.

    When two processes make it at the first start, one wins and both return the winner's: the file appears whole or not at all.
    """
    return kept_secret(data_dir / FILE, lambda: secrets.token_urlsafe(50))


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The content of a file (mode 0600), made if it is missing."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first: its secret counts
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
