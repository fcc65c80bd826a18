"""An agent whose owner has left gets no new grants: nobody would answer for what it may do. Refused when a role is changed.

Its own document cannot gain a role either: it needs an owner who is active (`agents.kind`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from aegis.identity.models import User
from orchestration.authority.lookups import documents, is_seen
from orchestration.authority.widening import widened

#: That something stands against it has to be said (promise 1); whom it is about, and how many they are, has not.
UNTOLD: Final = Fault(
    "/spec/grants", "nothing may be let through more as things are", "ask somebody who sees all agents what stands against it"
)


def faults(role: str, old: Mapping[str, Json], new: Mapping[str, Json], overlay: Overlay) -> list[Fault]:
    """One fault for each agent that would gain and that the reader may see; of the others one fault together, which names and
    counts none. Nothing is asked where no cell lets more through.

    Args:
        old, new: capability -> cell, of a role of agents; `old` is empty for a new one.
    """
    gains = [capability for capability, _ in widened(old, new, overlay)]
    if not gains:
        return []
    agents = [(name, document["spec"]) for name, document in documents(overlay, "Agent")]
    owners = {name: spec["owner"] for name, spec in agents if role in spec["roles"]}
    there = set(User.objects.filter(username__in=set(owners.values()), is_active=True).values_list("username", flat=True))
    what = f"it would gain {', '.join(gains[:3])}{' and more' if len(gains) > 3 else ''}, and its owner has left"
    left = sorted(agent for agent, owner in owners.items() if owner not in there)
    is_told = is_seen(overlay, "Agent")
    told = [agent for agent in left if is_told(agent)]
    found = [
        Fault("/spec/grants", f"the agent {agent} has this role: {what}", "name another owner of it first") for agent in told
    ]
    return found if len(told) == len(left) else [*found, UNTOLD]
