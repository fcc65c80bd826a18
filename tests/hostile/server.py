"""An HTTP agent that misbehaves in every way we could think of (HAZARDS F18, F19): `python -m tests.hostile.server`.

One process, on loopback; prints its port. What it does is chosen by the path: `/the-kind-of-misbehaviour`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import sys
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

Writer = asyncio.StreamWriter
Behave = Callable[[Writer], Awaitable[None]]

#: What a browser would run if a page printed it as it is.
PAYLOAD = "<script>document.title='owned'</script><img src=x onerror=alert(1)>{{7*7}}</pre>"
DONE = b'{"reply":"done","output":{"ok":true}}'
LARGE = 100_000_000
DRIP_SECONDS = 0.25

#: Kind of misbehaviour -> what is done once the request is read.
KINDS: dict[str, Behave] = {}
#: These act before the request is read.
AT_ONCE: set[str] = set()


def answering(name: str, data: bytes) -> None:
    async def behave(writer: Writer) -> None:
        writer.write(data)
        await writer.drain()

    KINDS[name] = behave


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An answer in proper form around a body that may be anything."""
    named = {line.partition(":")[0].lower() for line in headers}
    lines = [f"HTTP/1.1 {status}", *headers]
    if "content-type" not in named:
        lines.append("Content-Type: application/json")
    if not {"content-length", "transfer-encoding"} & named:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def reply(**fields: Any) -> bytes:
    return json.dumps({"reply": "done", **fields}).encode()


def kind(name: str) -> Callable[[Behave], Behave]:
    def register(behave: Behave) -> Behave:
        KINDS[name] = behave
        return behave

    return register


def bomb(begin: bytes) -> bytes:
    """100 MB in 100 KB, made without ever holding them."""
    packer = zlib.compressobj(9, wbits=31)
    return (
        packer.compress(begin) + b"".join(packer.compress(b"a" * 1_000_000) for _ in range(LARGE // 1_000_000)) + packer.flush()
    )


# --- bodies that are no reply ---
BODIES: dict[str, bytes] = {
    "garbage": random.Random(7).randbytes(2_000), "empty body": b"", "white space": b" \n" * 1_000, "text": b'"done"',
    "list": b"[]",    "null": b"null", "number": b"1", "html": b"<html><body>Welcome</body></html>", "no kind": b'{"output":1}',
    "unknown kind": b'{"reply":"maybe","output":1}', "call": b'{"reply":"call","proposals":[],"continuation":"x"}',
    "unknown field": b'{"reply":"done","output":1,"confidense":1}', "no output": b'{"reply":"done"}',
    "nan": b'{"reply":"done","output":NaN}', "infinity": b'{"reply":"done","output":-Infinity}',
    "1e400": b'{"reply":"done","output":1e400}', "big integer": b'{"reply":"done","output":123456789012345678901234567890}',
    "5000 digits": b'{"reply":"done","output":' + b"9" * 5_000 + b"}",
    "duplicate keys": b'{"reply":"done","output":{"amount":1,"amount":1000000}}',
    "duplicate reply": b'{"reply":"abstain","reply":"done","output":1}', "depth 10000": reply(output=1)[:-2] + b"[" * 10_000,
    "deep and closed": b'{"reply":"done","output":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "lone surrogate": b'{"reply":"done","output":"\\ud800"}', "raw surrogate": b'{"reply":"done","output":"\xed\xa0\x80"}',
    "nul": b'{"reply":"done","output":"a\\u0000b"}', "raw nul": b'{"reply":"done","output":"a\x00b"}',
    "nul in a key": b'{"reply":"done","output":{"\\u0000":1}}', "cut off": b'{"reply":"done","output":{"a"', "two": DONE + DONE,
    "bom": b"\xef\xbb\xbf" + DONE, "utf-16": DONE.decode().encode("utf-16"), "latin-1": b'{"reply":"done","output":"\xe4"}',
    "comment": b"/* hello */" + DONE, "trailing comma": b'{"reply":"done","output":{},}',
    "confidence 2": reply(output={}, confidence=2), "confidence text": reply(output={}, confidence="high"),
    "rationale number": reply(output={}, rationale=5), "rationale 1 MB": reply(output={}, rationale="x" * 1_000_000),
    "sources text": reply(output={}, sources="http://x"), "usage negative": reply(output={}, usage={"tokens": -1}),
    "abstain number": b'{"reply":"abstain","reason":1}',
    "many empty objects": b'{"reply":"done","output":[' + b"{}," * 80_000 + b"{}]}",
    "contract broken": b'{"reply":"done","output":["not an object"]}',
    "payload in the output": reply(output={"text": PAYLOAD, PAYLOAD: 1}),
    "payload beside it": reply(output={}, rationale=PAYLOAD, sources=[PAYLOAD], model=PAYLOAD[:100], usage={PAYLOAD[:100]: 1}),
    "payload as reason": json.dumps({"reply": "abstain", "reason": PAYLOAD}).encode(),
    "right to left": reply(output={"text": "\u202egpj.exe\u2066"}, rationale="\u202e" * 100),
}  # fmt: skip
for _name, _body in BODIES.items():
    answering(_name, http(_body))

# --- statuses and headers ---
for _status in (
    "201 Created",
    "204 No Content",
    "206 Partial Content",
    "400 Bad",
    "401 No",
    "404 Where",
    "500 Oops",
    "503 Busy",
):
    answering(f"status {_status[:3]}", http(b"" if _status[:3] == "204" else PAYLOAD.encode(), status=_status))
for _wait in ("1000000000", "-1", "soon", "Fri, 31 Dec 9999 23:59:59 GMT", "99999999999999999999", "1e9"):
    answering(f"429 {_wait[:12]}", http(b"slow down", f"Retry-After: {_wait}", status="429 Too Many Requests"))
for _target in (
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "/redirect-to-itself",
    "gopher://127.0.0.1:6379/_",
):
    answering(
        f"redirect to {'itself' if _target[0] == '/' else _target[:10]}", http(b"", f"Location: {_target}", status="302 Found")
    )
answering("wrong content type", http(DONE, "Content-Type: text/html"))
answering("no content type", http(DONE, "Content-Type: "))
answering("two content types", http(DONE, "Content-Type: application/json", "Content-Type: text/html"))
answering("charset lies", http(DONE, "Content-Type: application/json; charset=utf-16"))
answering("http 1.0", b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + DONE)
answering("http 0.9", DONE)
answering("http 3", b"HTTP/3 200 OK\r\nContent-Length: 2\r\n\r\n{}")
answering("status line alone", b"HTTP/1.1 200 OK\r\n")
answering("status 999999", b"HTTP/1.1 999999 OK\r\nContent-Length: 2\r\n\r\n{}")
answering("not http", b"220 mail.example ESMTP\r\n" * 10)
answering("tls", b"\x15\x03\x03\x00\x02\x02\x28")
answering("bare newlines", b"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 37\n\n" + DONE)
answering("nul in a header", http(DONE, "X-A: a\x00b"))
answering("header flood", b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n")
answering("header of 1 MB", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n")
answering("folded headers", http(DONE, "X-A: a\r\n b\r\n c"))
answering("length too long", http(DONE, length=1_000))
answering("length too short", http(DONE, length=10))
answering("length negative", http(DONE, "Content-Length: -1"))
answering("two lengths", http(DONE, "Content-Length: 37", "Content-Length: 5"))
answering("length and chunks", http(b"25\r\n" + DONE + b"\r\n0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"))
answering("chunked garbage", http(b"zz\r\n" + DONE, "Transfer-Encoding: chunked"))
answering("chunk of 16 EB", http(b"ffffffffffffffff\r\n" + DONE, "Transfer-Encoding: chunked"))
answering("chunk extension flood", http(b"1;" + b"a" * 1_000_000, "Transfer-Encoding: chunked"))
answering("trailers", http(b"25\r\n" + DONE + b"\r\n0\r\nX-Evil: 1\r\n\r\n", "Transfer-Encoding: chunked"))
answering("trailer flood", http(b"0\r\n" + b"X: y\r\n" * 20_000, "Transfer-Encoding: chunked"))
answering("unknown coding", http(DONE, "Transfer-Encoding: gzip"))
answering("continue flood", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000 + http(DONE))
answering("switching protocols", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
answering("two answers", http(DONE) + http(reply(output={"forged": True})))

# --- packing ---
answering("gzip bomb", http(bomb(b'{"reply":"done","output":"'), "Content-Encoding: gzip"))
answering("gzip lie", http(DONE, "Content-Encoding: gzip"))
answering("gzip cut", http(gzip.compress(DONE)[:-6], "Content-Encoding: gzip"))
answering("gzip twice", http(gzip.compress(gzip.compress(DONE)), "Content-Encoding: gzip, gzip"))
answering("deflate", http(zlib.compress(DONE), "Content-Encoding: deflate"))
answering("br lie", http(DONE, "Content-Encoding: br"))


# --- time and connections ---
async def forever(writer: Writer, data: bytes, pause: float = 0.0) -> None:
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(pause)


@kind("100 MB")
async def _(writer: Writer) -> None:
    writer.write(http(b"", f"Content-Length: {LARGE}"))
    for _ in range(LARGE // 100_000):
        writer.write(b" " * 100_000)
        await writer.drain()


@kind("endless body")
async def _(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    await forever(writer, b"[" * 10_000)


@kind("chunks of one byte")
async def _(writer: Writer) -> None:
    writer.write(http(b"", "Transfer-Encoding: chunked"))
    await forever(writer, b"1\r\n \r\n" * 1_000)


@kind("endless error")
async def _(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 500 Oops\r\n\r\n")
    await forever(writer, b"x" * 10_000)


@kind("drip of the body")
async def _(writer: Writer) -> None:
    writer.write(http(b"", "Content-Length: 1000"))
    await forever(writer, b" ", DRIP_SECONDS)


@kind("drip of the head")
async def _(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    await forever(writer, b"a", DRIP_SECONDS)


@kind("drip of 100s")
async def _(writer: Writer) -> None:
    await forever(writer, b"HTTP/1.1 100 Continue\r\n\r\n", DRIP_SECONDS)


@kind("1xx forever")
async def _(writer: Writer) -> None:
    await forever(writer, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")


@kind("never answers")
async def _(writer: Writer) -> None:
    await asyncio.sleep(60)


@kind("head and no body")
async def _(writer: Writer) -> None:
    writer.write(http(b"", "Content-Length: 10"))
    await asyncio.sleep(60)


@kind("half closed")
async def _(writer: Writer) -> None:
    writer.write_eof()
    await asyncio.sleep(60)


@kind("half an answer and half closed")
async def _(writer: Writer) -> None:
    writer.write(http(DONE[:10], "Content-Length: 37"))
    writer.write_eof()
    await asyncio.sleep(60)


@kind("closes")
async def _(writer: Writer) -> None:
    writer.close()


@kind("resets")
async def _(writer: Writer) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


@kind("accepts only")
async def _(writer: Writer) -> None:
    await asyncio.sleep(60)


@kind("answers before it is asked")
async def _(writer: Writer) -> None:
    writer.write(http(b"too large", status="413 Too Large"))
    await writer.drain()


AT_ONCE |= {"accepts only", "answers before it is asked"}


def path_of(name: str) -> str:
    return "/" + "".join(char if char.isalnum() else "-" for char in name)


_BY_PATH = {path_of(name): name for name in KINDS}
assert len(_BY_PATH) == len(KINDS), "two kinds share a path"


async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
    with suppress(OSError, asyncio.IncompleteReadError, ValueError):
        head = await reader.readuntil(b"\r\n\r\n")
        name = _BY_PATH[head.split(b" ", 2)[1].decode()]
        if name not in AT_ONCE:
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
        await KINDS[name](writer)
    with suppress(OSError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1_000_000, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
