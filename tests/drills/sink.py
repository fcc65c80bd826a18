"""Where effects of the hijack drill land: a process of its own, which writes each call to a file before it answers.

python -m tests.drills.sink FILE    prints its port; every POST becomes a line {"at", "key", "resource", "parameters"}
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support.stack import ROOT


class OutsideSink:
    """`with OutsideSink(file) as sink:` serves on `sink.url` until the end of the block."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = ""

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "tests.drills.sink", str(self.file)]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []


def main() -> None:
    log, lock = open(sys.argv[1], "a", encoding="utf-8"), threading.Lock()  # noqa: SIM115  (until the process ends)

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            entry = {"at": time.time(), "key": self.headers["Idempotency-Key"], **body}
            with lock:
                log.write(json.dumps(entry) + "\n")
                log.flush()
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the file is the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
