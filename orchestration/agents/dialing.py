"""Connections to agents: a name is resolved once, every address judged, and the connection made to one of those.

The name stays in SNI, certificate check and Host header; it is never resolved a second time between judgement and connection,
so a resolver that changes its mind (DNS rebinding) changes nothing. No proxy and no netrc of the environment is used: nothing
here reads them.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

import certifi

from aegis.core import clock
from orchestration.agents.addresses import Address, Allowance, Denied, Endpoint, judge

MAX_ADDRESSES: Final = 16  # of one name; more is no agent


class Unreachable(Exception):
    """No connection: the name is unknown, nobody listens, or TLS failed."""


def connect(endpoint: Endpoint, allowed: Allowance, *, deadline: float) -> socket.socket:
    """A connected socket, TLS done, to an address that was judged. Its timeout is what is left until the deadline.

    Args:
        deadline: on the monotonic clock.

    Raises:
        Denied: one of the addresses of the name may not be connected to; then none is tried.
        Unreachable: saying why.
        TimeoutError: the deadline passed.
    """
    judged = [judge(text, allowed) for text in _addresses(endpoint, deadline)]
    failure: OSError | None = None
    for index, address in enumerate(judged):
        share = remaining(deadline) / (len(judged) - index)  # an address that swallows packets must not take all the time
        try:
            return _open(endpoint, address, share, deadline)
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"the certificate of {endpoint.host} is not valid: {error.verify_message}") from None
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        raise TimeoutError
    raise Unreachable(f"no connection to {endpoint.origin} ({_said(failure)})")


def remaining(deadline: float) -> float:
    """Seconds left, more than 0.

    Raises:
        TimeoutError: there are none.
    """
    left = deadline - clock.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _open(endpoint: Endpoint, address: Address, share: float, deadline: float) -> socket.socket:
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(share)
        sock.connect((str(address), endpoint.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.scheme == "https":
            sock.settimeout(remaining(deadline))
            sock = tls_context().wrap_socket(sock, server_hostname=endpoint.host, suppress_ragged_eofs=False)
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """One for the process: making it reads the certificates of all authorities, some 20 ms each time."""
    paths = ssl.get_default_verify_paths()
    has_system_store = bool(paths.cafile or paths.capath)
    context = ssl.create_default_context(cafile=None if has_system_store else certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _addresses(endpoint: Endpoint, deadline: float) -> list[str]:
    try:
        return [str(ip_address(endpoint.host))]
    except ValueError:
        return _resolver.resolve(endpoint.host, endpoint.port, deadline)


@dataclass(slots=True)
class _Lookup:
    """One question to the resolver, and who waits for the answer."""

    done: threading.Event = field(default_factory=threading.Event)
    addresses: list[str] = field(default_factory=list)
    error: str = ""


class _Resolver:
    """getaddrinfo with a deadline. One thread per name in question at most: a name server that never answers holds no other
    name up, and a thousand calls to one agent ask once. Nothing is kept afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], _Lookup] = {}

    def resolve(self, host: str, port: int, deadline: float) -> list[str]:
        with self._lock:
            lookup = self._open.get((host, port))
            if lookup is None:
                lookup = self._open[host, port] = _Lookup()
                threading.Thread(target=self._ask, args=(host, port, lookup), name="resolve", daemon=True).start()
        if not lookup.done.wait(remaining(deadline)):
            raise TimeoutError
        if lookup.error:
            raise Unreachable(f"{host} cannot be resolved ({lookup.error})")
        return lookup.addresses

    def _ask(self, host: str, port: int, lookup: _Lookup) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            lookup.addresses = list(dict.fromkeys(_text(sockaddr) for *_, sockaddr in found))
            if not 1 <= len(lookup.addresses) <= MAX_ADDRESSES:
                lookup.error = f"{len(lookup.addresses)} addresses"
        except (OSError, UnicodeError) as error:
            lookup.error = _said(error)
        except BaseException as error:
            lookup.error = type(error).__name__
            raise
        finally:
            with self._lock:
                self._open.pop((host, port), None)
            lookup.done.set()


def _text(sockaddr: tuple[object, ...]) -> str:
    """The address of a resolver's answer; one with a zone (link-local) keeps it and is refused for it."""
    text = str(sockaddr[0])
    return f"{text}%{sockaddr[3]}" if len(sockaddr) == 4 and sockaddr[3] and "%" not in text else text


def _said(error: BaseException | None) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


_resolver = _Resolver()


def _forget_lookups() -> None:
    """In a forked child: the threads that would answer are not there."""
    global _resolver
    _resolver = _Resolver()


os.register_at_fork(after_in_child=_forget_lookups)

__all__ = ["Denied", "Unreachable", "connect", "remaining", "tls_context"]
