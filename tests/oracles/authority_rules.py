"""What authority permits at a moment, from DESIGN sections 2 and 6, the guide to capabilities and ADR 0009 alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.oracles.cel import Absent, CannotJudge, ConditionError, Partial, evaluate
from tests.oracles.contract_subset import faults
from tests.oracles.worlds import Document, World

RISKS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of the documents.

    free: the effect may happen without a person (a fast path counts as that).
    gated: only after an approval under a policy that meets it: at least as strict as one of `policies`, and as every floor.
    never: not at all, whoever agrees.
    """

    kind: Literal["free", "gated", "never"]
    policies: tuple[tuple[str, Document], ...] = ()
    floors: tuple[Document, ...] = ()
    reasons: tuple[str, ...] = ()

    def met_by(self, name: str, spec: Document) -> bool:
        """Whether an approval under the policy (its spec when the request was settled) is enough."""
        suits = any(name == one or covers(spec, floor) for one, floor in self.policies) if self.policies else True
        return self.kind == "free" or (self.kind == "gated" and suits and all(covers(spec, floor) for floor in self.floors))


def covers(policy: Document, floor: Document) -> bool:
    """Whether a policy is at least as strict as a floor (ADR 0009).

    Every stage of the floor has a stage of its own in the policy, in order, with no group that the floor does not name and at
    least its quorum; and reasons are asked for wherever the floor asks for them.
    """
    if floor.get("reason", "on_reject") == "always" and policy.get("reason", "on_reject") != "always":
        return False
    stages = iter(policy["stages"])
    return all(any(_stage_covers(stage, wanted) for stage in stages) for wanted in floor["stages"])


def _stage_covers(stage: Document, wanted: Document) -> bool:
    return set(stage["groups"]) <= set(wanted["groups"]) and stage.get("quorum", 1) >= wanted.get("quorum", 1)


def permitted(world: World, attempt: Mapping[str, Any]) -> Outcome:
    """Return what may become of an attempt in this world. Halts are not judged here: they hold back, they do not decide.

    Args:
        attempt: as `authority_oracle.judge_log` describes it. `record` stands for the record in the world where it is given.

    Raises:
        CannotJudge: the documents, or the subset of CEL and JSON Schema here, do not tell.
    """
    capability = world.spec("Capability", attempt["capability"])
    if capability is None:
        return _never("unknown capability")
    if attempt["resource"].get("type") != capability["resource"]:
        return _never("another type of resource")
    if broken := faults(capability["parameters"], attempt["parameters"]):
        return _never("the parameters break their contract: " + ", ".join(broken))
    askers = [(attempt["principal"], "principal")]
    if capability.get("requester_too", False):
        askers.append(({"kind": "person", "name": attempt.get("requester") or ""}, "requester"))
    gates: set[str] = set()
    for asker, word in askers:
        answer = _matrix(world, asker, attempt, capability)
        if isinstance(answer, str):
            return _never(f"{word} {asker['name']}: {answer}")
        gates |= answer
    if any(world.spec("ApprovalPolicy", name) is None for name in gates):
        return _never("a gate names a policy that does not exist")
    return _under_locks(world, attempt, capability, gates)


def _never(*reasons: str) -> Outcome:
    return Outcome("never", reasons=reasons)


def _matrix(world: World, asker: Mapping[str, str], attempt: Mapping[str, Any], capability: Document) -> set[str] | str:
    """Return the policies of all gates that match (none: allowed), or why it is denied."""
    roles = _roles(world, asker)
    if isinstance(roles, str):
        return roles
    grants = [
        (name, grant)
        for name in roles
        for grant in (world.spec("Role", name) or {"grants": ()})["grants"]
        if grant["capability"] == attempt["capability"]
    ]
    facts = _facts(world, asker, attempt, capability)
    matching = [(name, grant) for name, grant in grants if _matches(grant, facts)]
    if denying := [name for name, grant in matching if grant["effect"] == "deny"]:
        return f"denied by {denying[0]}"
    if gates := {grant.get("policy", "") for _, grant in matching if grant["effect"] == "gate"}:
        return gates
    return set() if matching else "no grant"


def _roles(world: World, asker: Mapping[str, str]) -> Iterable[str] | str:
    if asker["kind"] == "person":
        if asker["name"] not in world.people:
            return "is nobody, or was deactivated"
        groups = world.people[asker["name"]]
        return sorted(name for name in groups if (world.spec("Role", name) or {}).get("people", False))
    agent = world.spec("Agent", asker["name"])
    if agent is None:
        return "is no registered agent"
    return "is disabled" if asker["name"] in world.disabled else agent["roles"]


def _matches(grant: Document, facts: Mapping[str, Any]) -> bool:
    """An error never widens: it is no grant under allow, and a match under gate and deny."""
    if "when" not in grant:
        return True
    try:
        return evaluate(grant["when"], facts)
    except ConditionError:
        return bool(grant["effect"] != "allow")


def _facts(world: World, asker: Mapping[str, str], attempt: Mapping[str, Any], capability: Document) -> dict[str, Any]:
    resource = attempt["resource"]
    record = (
        attempt["record"]
        if "record" in attempt
        else world.records.get((resource["type"], resource.get("id", "")), (0, None))[1]
    )
    given = attempt.get("facts", {})
    return {
        "capability": Partial({"name": attempt["capability"], **given.get("capability", {})}),
        "resource": dict(resource),
        "parameters": attempt["parameters"],
        "record": Absent() if record is None else record,
        "requester": Partial({"name": attempt.get("requester") or "", **given.get("requester", {})}),
        "principal": Partial({"name": asker["name"], **(given.get("principal", {}) if asker == attempt["principal"] else {})}),
        "provenance": attempt.get("provenance", {}),
    }


def _under_locks(world: World, attempt: Mapping[str, Any], capability: Document, gates: set[str]) -> Outcome:
    locks = sorted(lock for lock, (name, _) in world.lock_policies.items() if name == attempt["capability"])
    if not locks:
        waiting = {name for name in gates if not _is_fast(world, name, attempt, capability)}
        return Outcome("gated", _strictest(world, waiting)) if waiting else Outcome("free")
    floors = tuple(floor for lock in locks for floor in world.floors[lock])
    strict = tuple(found for found in _strictest(world, gates) if all(covers(found[1], floor) for floor in floors))
    if strict:
        return Outcome("gated", strict, floors)
    for lock in locks:
        spec = world.spec("ApprovalPolicy", world.lock_policies[lock][1])
        if spec is not None and all(covers(spec, floor) for floor in floors):
            return Outcome("gated", (), floors, (f"raised by the lock {lock}",))
    return _never("no policy of its locks meets every floor")


def _is_fast(world: World, policy: str, attempt: Mapping[str, Any], capability: Document) -> bool:
    spec = world.spec("ApprovalPolicy", policy)
    if spec is None or not spec.get("fast_path"):
        return False
    known = _facts(world, attempt["principal"], attempt, capability)
    facts = {name: known[name] for name in ("capability", "parameters", "record", "requester")}
    facts["risk"] = max(capability["risk"], spec.get("risk", "low"), key=RISKS.index)
    try:
        return evaluate(spec["fast_path"], facts)
    except ConditionError:
        return False


def _strictest(world: World, names: set[str]) -> tuple[tuple[str, Document], ...]:
    """Return the gates that cover all others; where none does, the heaviest by people, then stages. Ties are all returned."""
    found = sorted((name, world.documents["ApprovalPolicy", name]) for name in names)
    best = [one for one in found if all(covers(one[1], other[1]) for other in found)]
    if not best:
        weights = {name: (sum(stage.get("quorum", 1) for stage in spec["stages"]), len(spec["stages"])) for name, spec in found}
        heaviest = max(weights.values(), default=(0, 0))
        best = [one for one in found if weights[one[0]] == heaviest]
    return tuple(best)


__all__ = ["CannotJudge", "Outcome", "covers", "permitted"]
