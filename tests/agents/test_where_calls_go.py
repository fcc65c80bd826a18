"""No connection is ever made to an address that was not judged (HAZARDS S07), proved by sockets that listen there."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from orchestration.agents import addresses, dialing, exchange, idle
from orchestration.agents.protocol import CallFailed, Done
from tests.agents.asking import SECRET_NAME, SECRET_TEXT, ScriptedAgent, ask, serving, version
from tests.agents.test_addresses import DENIED_URLS


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_NAME, SECRET_TEXT)
    monkeypatch.setattr(idle, "_kept", idle._Idle())


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address this process tries to connect to, from any thread."""
    made: list[Any] = []

    class Watched(socket.socket):
        def connect(self, address: Any) -> None:
            made.append(address)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Watched)
    return made


@contextmanager
def trap(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    """A socket that listens where nobody may connect."""
    with socket.create_server((host, port)) as listening:
        listening.setblocking(False)
        yield listening


def was_touched(listening: socket.socket) -> bool:
    try:
        listening.accept()
    except BlockingIOError:
        return False
    return True


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A resolver under the attacker's control: each question gets the next answer, the last one from then on."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        texts = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        families = [socket.AF_INET6 if ip_address(text).version == 6 else socket.AF_INET for text in texts]
        return [
            (family, socket.SOCK_STREAM, 6, "", (text, port, 0, 0) if family == socket.AF_INET6 else (text, port))
            for family, text in zip(families, texts, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_nothing_in_the_corpus_leads_to_a_connection(attempts: list[Any], monkeypatch: pytest.MonkeyPatch):
    asked = resolving(monkeypatch, ["127.0.0.1"])

    for url in DENIED_URLS:
        reply = ask(version(url), seconds=2)
        assert isinstance(reply, CallFailed), url
        assert "may not be used" in reply.detail

    assert (attempts, asked) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["fe80::1"], ["fd00::1"], ["0.0.0.0"],
        ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["100.64.0.1"], ["192.0.2.1"], ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],        ["2606:4700::1111", "::1"], ["8.8.8.8"] * 3 + ["10.0.0.1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_name_with_one_address_that_is_denied_is_not_connected_to_at_all(
    answer: list[str], attempts: list[Any], monkeypatch: pytest.MonkeyPatch
):
    resolving(monkeypatch, answer)
    reply = ask(version("https://agent.example/"), seconds=2)

    assert isinstance(reply, CallFailed)
    assert "may not be used" in reply.detail
    assert attempts == []


def test_a_resolver_that_changes_its_mind_after_the_judgement_changes_nothing(
    attempts: list[Any], monkeypatch: pytest.MonkeyPatch
):
    """Rebinding: the first answer may be connected to, every later one is loopback, where a socket listens on the same port."""
    with serving(ScriptedAgent()) as agent, trap("127.0.0.2", agent.port) as denied:
        origin = f"http://agent.example:{agent.port}"
        allowed = version(f"{origin}/ask", (origin, "127.0.0.1/32"))
        asked = resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

        assert isinstance(ask(allowed), Done)
        assert asked == ["agent.example"], "resolved once, connected to what was judged"
        assert agent.asked[0].headers["host"] == f"agent.example:{agent.port}"

        idle._kept = idle._Idle()  # the next call needs a new connection, so a new answer, which is judged again
        for _ in range(20):
            assert isinstance(ask(allowed), CallFailed)
        assert not was_touched(denied)
        assert {address[0] for address in attempts} == {"127.0.0.1"}


def test_a_redirect_is_not_followed_anywhere(attempts: list[Any]):
    with trap() as denied, serving(ScriptedAgent()) as agent:
        port = denied.getsockname()[1]
        for status in (301, 302, 303, 307, 308):
            for target in (f"http://127.0.0.1:{port}/", "http://169.254.169.254/", "file:///etc/passwd", "/ask", "gopher://x"):
                agent.says(b"", status=status, location=target)
                reply = ask(version(f"http://127.0.0.1:{agent.port}/", (f"http://127.0.0.1:{agent.port}",)))
                assert isinstance(reply, CallFailed)
                assert "redirects" in reply.detail
        assert not was_touched(denied)
        assert {address[1] for address in attempts} == {agent.port}


def test_addresses_after_a_dead_one_are_tried(monkeypatch: pytest.MonkeyPatch):
    with serving(ScriptedAgent()) as agent:
        origin = f"http://agent.example:{agent.port}"
        resolving(monkeypatch, ["127.0.0.9", "127.0.0.1"])

        assert isinstance(ask(version(origin, (origin, "127.0.0.0/24"))), Done)


def test_a_name_server_that_never_answers_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch):
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [] if never.wait(20) else None)
    started = time.monotonic()
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda: replies.append(ask(version("https://agent.example/"), seconds=0.3))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    resolvers = [thread for thread in threading.enumerate() if thread.name == "resolve"]
    never.set()

    assert {reply.code for reply in replies} == {"timeout"}
    assert time.monotonic() - started < 2
    assert len(resolvers) == 1, "one question, whoever waits for the answer"


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_nobody_knows_is_unavailable(error: Exception, monkeypatch: pytest.MonkeyPatch):
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    reply = ask(version("https://agent.example/"), seconds=2)

    assert isinstance(reply, CallFailed)
    assert (reply.code, "cannot be resolved" in reply.detail) == ("unavailable", True)


# --- TLS: the name stays what is certified and asked for, whatever address was pinned ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for agent.example that is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agent.example")])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("agent.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "agent.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture
def tls(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """(agent behind TLS, the names it was asked for by SNI)"""
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    context.sni_callback = lambda _, name, __: names.append(name)
    trusting = ssl.create_default_context(cafile=str(authority))
    monkeypatch.setattr(dialing, "tls_context", lambda: trusting)
    wrap = lambda sock: context.wrap_socket(sock, server_side=True)  # noqa: E731
    with serving(ScriptedAgent(), wrap) as agent:
        yield agent, names


def test_over_tls_the_name_is_certified_and_the_address_is_pinned(tls: Any, monkeypatch: pytest.MonkeyPatch):
    agent, names = tls
    origin = f"https://agent.example:{agent.port}"
    resolving(monkeypatch, ["127.0.0.1"])
    called = version(origin, (origin, "127.0.0.1"))

    assert [isinstance(ask(called), Done) for _ in range(2)] == [True, True]
    assert (names, agent.connections) == (["agent.example"], 1)


def test_a_certificate_for_another_name_or_from_nobody_is_refused(tls: Any, monkeypatch: pytest.MonkeyPatch):
    agent, _ = tls
    resolving(monkeypatch, ["127.0.0.1"])
    other = f"https://other.example:{agent.port}"
    wrong_name = ask(version(other, (other, "127.0.0.1")))
    monkeypatch.setattr(dialing, "tls_context", ssl.create_default_context)
    unknown = f"https://agent.example:{agent.port}"
    wrong_authority = ask(version(unknown, (unknown, "127.0.0.1")))

    for reply in (wrong_name, wrong_authority):
        assert isinstance(reply, CallFailed)
        assert (reply.code, "certificate" in reply.detail) == ("unavailable", True)
    assert agent.asked == []


def test_certificates_are_loaded_once_and_checked():
    context = dialing.tls_context()

    assert context is dialing.tls_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_a_reader_of_a_record_now_and_then_does_not_make_the_call_last_longer(authority: Path):
    """Over TLS a large body leaves record by record: the deadline is that of all of them together."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    serving_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving_side.load_cert_chain(authority)
    is_over = threading.Event()

    def read_slowly() -> None:
        with suppress(OSError), serving_side.wrap_socket(theirs, server_side=True) as sock:
            while not is_over.wait(0.4) and sock.recv(16 * 1024):
                pass

    reader = threading.Thread(target=read_slowly)
    reader.start()
    asking = ssl.create_default_context(cafile=str(authority)).wrap_socket(ours, server_hostname="agent.example")
    connection = exchange.Connection(asking)
    endpoint = addresses.endpoint("https://agent.example/", addresses.Allowance())
    started = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            connection.post(endpoint, {}, b"x" * 400_000, max_bytes=1, kept_bytes=1, deadline=started + 1)
        assert time.monotonic() - started < 2
    finally:
        is_over.set()
        connection.close()
        reader.join()
