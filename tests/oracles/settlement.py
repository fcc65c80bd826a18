"""When a request was settled with yes, counted from the votes again: stages in order, quorum, each person once, one content."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracles.contract_subset import same
from tests.oracles.worlds import Document, TimeLine, World


@dataclass(frozen=True, slots=True)
class Settled:
    """at: the moment of the vote that settled it. policy, capability: their specs then. record: its version then."""

    at: float
    policy: Document
    capability: Document | None
    record: int

    def still_fits(self, world: World, attempt: Mapping[str, Any]) -> bool:
        """Whether capability and record are what they were: a change of either asks anew."""
        return self.capability == world.spec("Capability", attempt["capability"]) and self.record == _record(world, attempt)


def settle(line: TimeLine, approval: Mapping[str, Any], attempt: Mapping[str, Any]) -> Settled | None:
    """Return what the votes come to: nothing unless every stage has its quorum of people who count.

    A vote counts if its person is active, not bound, in a group of the stage that is asked (or votes for somebody who is, and
    not bound either), not counted before, and if no halt stood. What moves the content voids the votes before it; a vote
    that is no yes ends the request. Deadlines are not judged.
    """
    counted, spent = 0, set[str]()
    signed: tuple[Any, ...] | None = None
    for vote in sorted(approval["votes"], key=lambda vote: vote["at"]):
        found = next(_countable(line, approval, attempt, vote), None)
        if found is None:
            continue
        policy, capability, record, shown = found
        now = (policy, capability, record)
        if signed is not None and now != signed:
            counted, spent = 0, set()
        signed = now
        stage = _stage(policy, counted)
        voters = {vote["person"], vote.get("for", vote["person"])}
        if voters & spent or not same(shown, approval["shown"]) or not _in_stage(line, vote, stage):
            continue
        if vote["verdict"] != "approve":
            return None
        counted, spent = counted + 1, spent | voters
        if counted == sum(one.get("quorum", 1) for one in policy["stages"]):
            return Settled(vote["at"], policy, capability, record)
    return None


def _countable(
    line: TimeLine, approval: Mapping[str, Any], attempt: Mapping[str, Any], vote: Mapping[str, Any]
) -> Iterator[tuple[Document, Document | None, int, Any]]:
    """Yield, for each world in which the vote may have been committed and counts, what it signed."""
    voters = {vote["person"], vote.get("for", vote["person"])}
    if voters & set(approval.get("bound", ())):
        return
    for world in line.worlds(vote.get("since", vote["at"]), vote["at"]):
        policy = world.spec("ApprovalPolicy", approval["policy"])
        if policy is None or world.halted(attempt) or not voters <= world.people.keys():
            continue
        capability = world.spec("Capability", attempt["capability"])
        yield policy, capability, _record(world, attempt), vote.get("shown", approval["shown"])


def _in_stage(line: TimeLine, vote: Mapping[str, Any], stage: Document) -> bool:
    """The right comes from the groups of whoever is voted for: a delegation adds nothing."""
    person = vote.get("for", vote["person"])
    worlds = line.worlds(vote.get("since", vote["at"]), vote["at"])
    return any(world.people.get(person, frozenset()) & set(stage["groups"]) for world in worlds)


def _stage(policy: Document, counted: int) -> Document:
    """Return the stage that is asked when so many people have counted."""
    for stage in policy["stages"]:
        counted -= stage.get("quorum", 1)
        if counted < 0:
            return stage
    return policy["stages"][-1]  # type: ignore[no-any-return]


def _record(world: World, attempt: Mapping[str, Any]) -> int:
    resource = attempt["resource"]
    return world.records.get((resource["type"], resource.get("id", "")), (0, None))[0]
