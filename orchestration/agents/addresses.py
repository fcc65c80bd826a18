"""Where an agent's address may lead (HAZARDS S07). Pure: a URL is read strictly, an IP address is judged by lists of networks.

A URL is `https://name[:443]/path` in plain ASCII. What goes further, an entry of an allow list says: an *origin*
(`http://10.1.2.3:8080`) opens its scheme, its port and, for a literal, its address; a *network* (`10.1.0.0/16`) opens
addresses. Nothing opens what no agent can be at: this machine's unspecified address, multicast, metadata services of clouds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_CHARS: Final = 2_000
_PORTS: Final = {"https": 443, "http": 80}
# Wider than these is no network somebody named, it is a way round the rule.
_WIDEST: Final = {4: 8, 6: 7}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?)"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")

#: What is not the public Internet (IANA's special-purpose registries), and why.
_SPECIAL_V4: Final = [
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this machine"), ("10.0.0.0/8", "private"), ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"), ("169.254.0.0/16", "link-local"), ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"), ("192.0.2.0/24", "documentation"), ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"), ("192.88.99.0/24", "a 6to4 relay"), ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"), ("198.18.0.0/15", "benchmarking"), ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"), ("224.0.0.0/4", "multicast"), ("240.0.0.0/4", "reserved"),
    )
]  # fmt: skip
#: Of IPv6 only this is handed out; mapped, NAT64, unique local, link-local and multicast addresses lie outside it.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = [
    (IPv6Network(network), why)
    for network, why in (
        ("2001::/23", "a protocol assignment"), ("2001:db8::/32", "documentation"), ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved"), ("3fff::/20", "documentation"),
    )
]  # fmt: skip
#: No allow list opens these: they are no agent's, and what they answer is worth stealing.
_NEVER: Final = [
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this machine"), ("224.0.0.0/4", "multicast"), ("255.255.255.255/32", "broadcast"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata service"),
        ("100.100.100.200/32", "a cloud's metadata service"), ("168.63.129.16/32", "a cloud's metadata service"),
        ("fd00:ec2::/32", "a cloud's metadata service"), ("::/128", "this machine"), ("ff00::/8", "multicast"),
        ("::ffff:0:0/96", "an IPv4 address in disguise"), ("64:ff9b::/96", "an IPv4 address in disguise"),
        ("64:ff9b:1::/48", "an IPv4 address in disguise"), ("2002::/16", "an IPv4 address in disguise"),
        ("fe80::/10", "link-local"),
    )
]  # fmt: skip


class Denied(Exception):
    """An address that may not be used. `str()` says which and why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL, taken apart. `host` is lower case, an IPv6 literal without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """For the Host header: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an allow list opens."""

    origins: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()


@lru_cache(maxsize=1024)
def allowance(entries: tuple[str, ...]) -> Allowance:
    """Read an allow list.

    Raises:
        Denied: naming the entry that is neither an origin nor a network, or is too wide.
    """
    origins: set[str] = set()
    networks: list[Network] = []
    for entry in entries:
        if "://" not in entry:
            networks.append(_network(entry))
            continue
        read = _read(entry)
        if read.target != "/" or entry.endswith("/"):
            raise Denied(f"{entry!r}: an origin ends after its host or port")
        origins.add(read.origin)
        if (literal := _literal(read.host)) is not None:
            networks.append(ip_network(literal))
    return Allowance(frozenset(origins), tuple(networks))


@lru_cache(maxsize=1024)
def endpoint(url: str, allowed: Allowance) -> Endpoint:
    """Read the URL of an agent.

    Raises:
        Denied: it is not plainly spelled, or its scheme or port is not allowed, or it names an address that is not.
    """
    read = _read(url)
    if read.origin not in allowed.origins:
        if read.scheme != "https":
            raise Denied(f"{read.origin} is not encrypted; only its allow list could permit that")
        if read.port != _PORTS["https"]:
            raise Denied(f"port {read.port} is not the usual one; only the allow list could permit {read.origin}")
    if _literal(read.host) is not None:
        judge(read.host, allowed)
    return read


def judge(text: str, allowed: Allowance) -> Address:
    """The address a connection may be made to.

    Args:
        text: an IP address as a resolver or a URL gives it.

    Raises:
        Denied: saying what is there.
    """
    try:
        address = ip_address(text)
    except ValueError:
        raise Denied(f"{text[:80]!r} is no IP address") from None
    never = _first(address, _NEVER)
    if never:
        raise Denied(f"{address} is {never}")
    if any(address.version == network.version and address in network for network in allowed.networks):
        return address
    if isinstance(address, IPv4Address):
        why = _first(address, _SPECIAL_V4)
    else:
        why = _first(address, _SPECIAL_V6) if address in _GLOBAL_V6 else _outside(address)
    if why:
        raise Denied(f"{address} is {why}")
    return address


def faults_of(entries: Iterable[str]) -> list[tuple[int, str]]:
    """(place, what is wrong) of each entry that cannot be read."""
    faults = []
    for index, entry in enumerate(entries):
        try:
            allowance((entry,))
        except Denied as error:
            faults.append((index, str(error)))
    return faults


def _read(url: str) -> Endpoint:
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
    if found is None:
        raise Denied(
            "write the address as https://host/path: plain ASCII (international names in their xn-- form), no user or "
            "password, no spaces, no fragment"
        )
    scheme, host = found["scheme"], found["host"].lower()
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise Denied(f"there is no port {port}")
    target = found["target"]
    return Endpoint(scheme, _host(host), port, target if target.startswith("/") else f"/{target}")


def _host(host: str) -> str:
    """A name or a literal in its one spelling. Other spellings of addresses (decimal, octal, hex, short) are refused."""
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except ValueError:
            raise Denied(f"{host} is no IPv6 address") from None
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise Denied(f"{host} is no IPv4 address in its usual spelling") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Denied(f"{host[:80]!r} is no host name in its usual spelling")
    return host


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry)
    except ValueError:
        raise Denied(f"{entry[:80]!r} is neither an origin (https://host:8443) nor a network (10.1.0.0/16)") from None
    if network.prefixlen < _WIDEST[network.version]:
        raise Denied(f"{entry} is too wide; name the network the agent is in")
    return network


def _first(address: Address, networks: Iterable[tuple[Network, str]]) -> str:
    return next((why for network, why in networks if address.version == network.version and address in network), "")


def _outside(address: IPv6Address) -> str:
    if address.is_loopback:
        return "loopback"
    return "private" if address.is_private else "outside the public Internet"
