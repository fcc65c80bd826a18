"""The part of an agent's document that says how it is asked: its schema, what speaks against it, what needs two people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.agents import addresses, signing
from orchestration.agents.addresses import Denied
from orchestration.agents.protocol import registered, registered_names

DEFAULT_MEMORY_MB: Final = 512

SCHEMA: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "oneOf": [{"required": ["python"]}, {"required": ["http"]}],
    "dependentRequired": {"mode": ["python"], "memory_mb": ["mode"]},
    "properties": {
        "python": {
            "type": "string", "minLength": 1, "maxLength": 120,
            "description": "The name a callable was registered under; never a path.",
        },
        "mode": {
            "enum": ["inline", "isolated"], "default": "inline",
            "description": "inline: in the worker, for trusted code. isolated: in a process of its own that can be ended.",
        },
        "memory_mb": {
            "type": "integer", "minimum": 16, "maximum": 65536, "default": DEFAULT_MEMORY_MB,
            "description": "What an isolated call may take beside what its modules take when loaded.",
        },
        "http": {
            "type": "object",
            "additionalProperties": False,
            "required": ["url"],
            "properties": {
                "url": {
                    "type": "string", "minLength": 1, "maxLength": addresses.MAX_URL_CHARS,
                    "description": "Where requests are posted to. https and port 443 unless `allow` opens more.",
                },
                "secret": {
                    "type": "string", "pattern": f"^{signing.NAME.pattern}$",
                    "description": "Name of an environment variable that holds a signing secret; never the secret. Left out: "
                    "calls are signed with the secrets issued on the agent's page.",
                },
                "allow": {
                    "type": "array", "uniqueItems": True, "maxItems": 20,
                    "items": {"type": "string", "minLength": 1, "maxLength": 300},
                    "description": "Origins (http://10.1.2.3:8080) and networks (10.1.0.0/16) opened to it.",
                },
            },
        },
    },
}  # fmt: skip


def faults(connector: Mapping[str, Json], where: str) -> list[Fault]:
    """Everything that speaks against a connector, judged by what this process knows.

    Args:
        where: JSON pointer to the connector.
    """
    if "http" in connector:
        return _http_faults(connector["http"], f"{where}/http")
    name = connector["python"]
    if registered(name) is None:
        known = ", ".join(registered_names()) or "none"
        return [Fault(f"{where}/python", f"no python agent is registered as {name!r}", f"known: {known}")]
    return []


def guards(name: str, old: Mapping[str, Json] | None, new: Mapping[str, Json]) -> list[str]:
    """Why one person alone must not make this change: what an agent may reach, and who answers for it, only grows by two."""
    said = []
    if (old or {}).get("mode") == "isolated" and "python" in new and new.get("mode") != "isolated":
        said.append(f"{name} would run inside the worker; an agent leaves its own process by two people.")
    before, after = (old or {}).get("http", {}), new.get("http", {})
    if after and _origin(after) != _origin(before):
        said.append(f"{name} is answered for by {_origin(after)}, which is sent what runs know; that needs two people.")
    if gained := sorted(set(after.get("allow", ())) - set(before.get("allow", ()))):
        said.append(f"{name} may be at {', '.join(gained)}; no one person alone opens networks to an agent.")
    return said


def _http_faults(spec: Mapping[str, Json], where: str) -> list[Fault]:
    entries = spec.get("allow", ())
    found = [Fault(f"{where}/allow/{index}", what) for index, what in addresses.faults_of(entries)]
    if not found:
        try:
            addresses.endpoint(spec["url"], addresses.allowance((*settings.AGENT_HOSTS, *entries)))
        except Denied as error:
            found.append(Fault(f"{where}/url", str(error)))
    try:
        if "secret" in spec:
            signing.secrets_of(spec["secret"])
    except signing.SecretUnusable as error:
        found.append(Fault(f"{where}/secret", str(error), "it is read from the environment of AEGIS"))
    return found


def _origin(spec: Mapping[str, Json]) -> str:
    """Scheme, host and port of a URL as written, "" for none; lint says what is wrong with it."""
    return "/".join(spec.get("url", "").split("/")[:3]).lower()
