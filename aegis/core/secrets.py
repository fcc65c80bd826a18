"""The installation's own secret, made at first start when the environment names none."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def installation_secret(data_dir: Path) -> str:
    """Read `secret_key` from the data folder, creating it (mode 0600) when two processes race for the first start."""
    path = data_dir / "secret_key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _wait_for(path)
    with os.fdopen(handle, "w") as file:
        value = secrets.token_urlsafe(50)
        file.write(value)
    return value


def _wait_for(path: Path) -> str:
    for _ in range(100):
        if value := path.read_text(encoding="utf-8").strip():
            return value
        os.sched_yield()
    raise RuntimeError(f"{path} is empty; remove it and start again")
