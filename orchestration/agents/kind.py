"""The kind `Agent`: a worker's owner, roles and connector. Its versions are pinned by digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from aegis.identity.models import User
from aegis.identity.seen import may_name
from approvals.governed import DocumentKind
from orchestration.agents import connectors
from orchestration.agents.models import Agent
from orchestration.authority import exclusions, limits, shedding

MAX_SETTINGS_BYTES: Final = 32 * 1024


class AgentKind(DocumentKind):
    name = "Agent"
    title = "Agents"
    area = "agents"
    order = 60
    model = Agent
    schema = envelope(
        "Agent",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["owner", "roles", "connector"],
            "properties": {
                "owner": {
                    "type": "string", "minLength": 1, "maxLength": 150,
                    "description": "User name of the person who answers for it.",
                },
                "roles": {
                    "type": "array", "uniqueItems": True, "maxItems": 20,
                    "items": {"type": "string", "minLength": 1, "maxLength": 80},
                },
                "connector": connectors.SCHEMA,
                "settings": {"type": "object", "description": "Given to every call, frozen with the version. No secrets."},
                "enabled": {
                    "type": "boolean", "default": True,
                    "description": "Whether a new agent starts enabled. Afterwards only disable and enable change it.",
                },
                **limits.SCHEMA,
            },
        },
    )  # fmt: skip

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        spec = change.new["spec"]
        faults: list[Fault] = []
        stood = change.old["spec"]["owner"] if change.old else ""
        if not may_name(spec["owner"], overlay.reader, stood):
            faults.append(Fault("/spec/owner", f"there is no active person {spec['owner']!r} that you may name"))
        for index, role in enumerate(spec["roles"]):
            document = overlay.get("Role", role)
            if document is None:
                faults.append(Fault(f"/spec/roles/{index}", f"there is no role {role!r}"))
            elif document["spec"].get("people", False):
                faults.append(Fault(f"/spec/roles/{index}", f"{role!r} is a role of people"))
        if not faults:
            faults += exclusions.of_agent(spec["roles"], overlay)
        faults.extend(connectors.faults(spec["connector"], "/spec/connector"))
        if len(canonical.dump(spec.get("settings", {}))) > MAX_SETTINGS_BYTES:
            faults.append(Fault("/spec/settings", f"larger than {MAX_SETTINGS_BYTES:,} bytes"))
        return [*faults, *limits.faults(spec)]

    def diff(self, change: Change) -> list[str]:
        old, new = (document["spec"] if document else None for document in (change.old, change.new))
        return limits.worded(super().diff(change), old, new, change.key.name)

    def guards(self, change: Change, overlay: Overlay) -> list[str]:
        """The owner is bound by separation of duties, so a new one would unbind the old; a role is more that it may do, also
        one handed to a new agent and one that kept it from something; and a connector is who answers in its name.
        """
        if change.new is None:
            return []
        new, old = change.new["spec"], change.old["spec"] if change.old else None
        said = connectors.guards(change.key.name, old["connector"] if old else None, new["connector"])
        if old is None:
            if new["roles"]:
                named = ", ".join(sorted(new["roles"]))
                said.append(f"{change.key.name} is new and gets {named}; an agent gains no role by one person alone.")
            return said
        if old["owner"] != new["owner"]:
            said.append(f"The owner of {change.key.name} may not decide what it proposes; another owner needs two people.")
        if gained := sorted(set(new["roles"]) - set(old["roles"])):
            said.append(f"{change.key.name} gains {', '.join(gained)}; an agent gains no role by one person alone.")
        lost = [f"{change.key.name} would shed {what}." for what in shedding.shed(old["roles"], new["roles"], overlay)]
        return [*said, *lost, *limits.widened(old, new, change.key.name)]

    def fields(self, document: Json) -> Mapping[str, Any]:
        spec = document["spec"]
        columns: dict[str, Any] = {"owner": User.objects.get(username=spec["owner"])}
        if not Agent.objects.filter(name=document["metadata"]["name"]).exists():
            columns["is_enabled"] = spec.get("enabled", True)
        return columns
