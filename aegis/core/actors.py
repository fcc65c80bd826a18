"""Who acts. Every verb takes an `Actor`; nothing is read from the thread or the request behind its back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "agent", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """One principal in one act.

    Attributes:
        kind: a person, an agent or AEGIS itself.
        ref: opaque id (UUID text of the user or agent; "" for the system). Names live elsewhere and are erasable.
        auth: how they proved themselves ("session", "api_key:<prefix>", "cli", "engine", "password" after step-up).
    """

    kind: ActorKind
    ref: str = ""
    auth: str = ""

    @property
    def key(self) -> str:
        """`kind:ref`, the form stored in projections."""
        return f"{self.kind}:{self.ref}" if self.ref else self.kind


SYSTEM = Actor(kind="system", auth="engine")


def user_actor(user_id: object, *, auth: str) -> Actor:
    """The actor for a person; `auth` says how they proved themselves."""
    return Actor(kind="user", ref=str(user_id), auth=auth)


def agent_actor(agent_id: object) -> Actor:
    return Actor(kind="agent", ref=str(agent_id), auth="engine")
