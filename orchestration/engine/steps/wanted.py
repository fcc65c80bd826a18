"""An effect that somebody wants now, and the key it has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis.core.canonical import Json
from orchestration.authority.verdicts import Principal, Verdict
from orchestration.engine.scene import Scene
from orchestration.engine.steps.proposals import Proposal, bound_digest
from orchestration.engine.world_port import RecordSnapshot
from orchestration.workflows.definition import ActStep, AgentVersion


@dataclass(frozen=True, slots=True)
class Wanted:
    """An effect that somebody wants now.

    Attributes:
        step: the `act` step; of what undoes an effect, the step of that effect: its time limit and patience hold for both.
        facts: what conditions of a policy's fast path see.
        author: the person who wrote the proposal in the agent's stead; recorded, so that the verdict can be computed again.
        undoes: key of the effect that this one undoes; "" for an effect of a step.
    """

    step: ActStep
    agent: AgentVersion
    proposal: Proposal
    record: RecordSnapshot
    facts: Mapping[str, Json]
    verdict: Verdict
    undoes: str = ""
    author: Principal | None = None

    @property
    def digest(self) -> str:
        return bound_digest(self.verdict.capability_digest, self.proposal, self.record.version)


def effect_key(scene: Scene) -> str:
    """run / step / visit / ordinal, of the effect at the cursor: stable over attempts and re-drive. Undoing it has a key of
    its own."""
    undoes = scene.state.undoes
    return f"{undoes}/undo" if undoes else f"{scene.run.id}/{scene.state.step}/{scene.state.visit}/0"


def marks(scene: Scene) -> dict[str, Json]:
    """On every event of an effect that undoes another: the key of that one."""
    return {"undoes": scene.state.undoes} if scene.state.undoes else {}
