"""An HTTP agent that thinks for a second, for `bench.calls`: `python -m bench.slow_agent SECONDS`; prints its port.

It answers as many calls at once as are made. On a line of input it tells when the first call arrived and when the last answer
left since it was asked before (seconds of the system's monotonic clock), and how many were answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

BODY = b'{"reply":"done","output":{"verdict":"fine"},"rationale":"thought about it","confidence":0.9}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


class Agent:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.forget()

    def forget(self) -> None:
        self.arrived: float | None = None
        self.left, self.answered = 0.0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.arrived = self.arrived or time.monotonic()
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(length)
                await asyncio.sleep(self.seconds)
                writer.write(ANSWER)
                self.left, self.answered = time.monotonic(), self.answered + 1
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    async def report(self) -> None:
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps({"arrived": self.arrived, "left": self.left, "answered": self.answered}), flush=True)
            self.forget()


async def main() -> None:
    agent = Agent(float(sys.argv[1]))
    server = await asyncio.start_server(agent.serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await agent.report()


if __name__ == "__main__":
    asyncio.run(main())
