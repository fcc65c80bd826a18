"""Judges the log of an effect sink outside the product: was each effect permitted, agreed to, unchanged, and carried out once.

Shapes are plain dicts, as the harness logs them; moments are seconds as float, on the harness's own clock; `?` may be left out.

attempt: one per proposal that the harness made an agent (or person) bring up; a step passed twice is two attempts.
    {"id", "principal": {"kind": "agent" | "person", "name"}, "requester": name or None, "workflow": name or None,
    "run": id or None, "above"?: [workflows that led to the run], "capability", "resource": {"type", "id"}, "parameters",
    "proposed_at", "record"? (else the time line's), "provenance"?: {pointer of each leaf: [requester, record, outside, agent]},
    "facts"?: {"principal" | "requester" | "capability": {further fields that conditions see}}}
approval: one per request that opened, also if nobody decided it; only votes that the product answered as counted.
    {"id", "policy": name, "run": id or None, "opened_at", "ended_at"? (expired, withdrawn, cancelled), "bound": [people],
    "shown": {"capability", "resource", "parameters"},
    "votes": [{"person", "verdict": "approve" | "reject" | "changes", "at", "since"?, "for"?: delegator,
               "shown"?: what this voter saw}]}
sink entry: one per call that arrived; `carried_out` (true) is false where the sink knew the key and did nothing.
    {"at", "key", "capability", "resource", "parameters", "run"?, "attempt"?, "carried_out"?,
    "answer"?: "done" (if left out) | "refused" | "unavailable" | "none"}
time line: {"at", "since"?, "kind", ...} with
    apply {"document"}; remove {"of": kind, "name"}; person {"name", "groups", "active"?}; agent {"name", "enabled"};
    halt, resume {"what": "agent" | "workflow" | "everything", "name"?}; record {"resource", "value"};
    statement {"key"}: a person said that it did not happen.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracles.authority_rules import Outcome, covers, permitted
from tests.oracles.cel import CannotJudge
from tests.oracles.contract_subset import same
from tests.oracles.settlement import settle
from tests.oracles.worlds import TimeLine, World, beginning

Log = Mapping[str, Any]
CONTENT = ("capability", "resource", "parameters")


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that no promise permits.

    code: no_attempt, not_as_proposed, not_permitted, right_withdrawn, halted, without_approval, not_as_approved,
        weaker_approval, quorum_missing, before_approval, moved_since, approval_reused, gate_widened, twice, diverged,
        blind_repeat; and unjudged, which is a hole of the oracle and must fail a harness as the others do.
    """

    code: str
    key: str
    at: float
    detail: str = ""
    attempt: str | None = None
    approval: str | None = None


def judge_log(
    manifests: Iterable[Log],
    attempts: Sequence[Log],
    approvals: Sequence[Log],
    sink_entries: Sequence[Log],
    *,
    people: Mapping[str, Iterable[str]] | None = None,
    timeline: Sequence[Log] = (),
    grace: float = 0.0,
) -> list[Violation]:
    """Return every violation in the log, by time; an empty list says that this log breaks no promise.

    Args:
        manifests: documents in force at the beginning, in any order.
        people: active people -> their groups, at the beginning.
        grace: seconds that an effect may be under way between the commit of its intent and the sink. A right withdrawn, or a
            halt, cannot recall what was committed before; whatever arrives later than this is a violation.
    """
    judge = _Judge(TimeLine(beginning(manifests, people or {}), timeline), timeline, attempts, approvals, grace)
    return sorted(judge.all(sink_entries), key=lambda found: (found.at, found.key, found.code))


def legitimate(attempts: Iterable[Log], start: World, timeline: Sequence[Log] = ()) -> dict[str, str]:
    """Return attempt id -> "free" or "gated" for all that is permitted at `proposed_at`; what cannot be judged is left out."""
    line, found = TimeLine(start, timeline), {}
    for attempt in attempts:
        world = line.at(attempt["proposed_at"])
        try:
            kind = permitted(world, attempt).kind
        except CannotJudge:
            continue
        if kind != "never" and not world.halted(attempt):
            found[attempt["id"]] = kind
    return found


def gated_share(legitimate: Mapping[str, str], observed: Mapping[str, str]) -> float:
    """Return which share (0 to 1) of the attempts that need nobody a person was asked about all the same.

    Args:
        observed: attempt id -> what the build did first: "done", "asked", "denied" or "lost". One left out counts as lost.
    """
    free = [attempt for attempt, kind in legitimate.items() if kind == "free"]
    return sum(observed.get(attempt) == "asked" for attempt in free) / len(free) if free else 0.0


def denied_legitimate(legitimate: Mapping[str, str], observed: Mapping[str, str]) -> list[str]:
    """Return the attempts that may happen, by themselves or after a vote, and that the build denied or lost."""
    return sorted(attempt for attempt in legitimate if observed.get(attempt, "lost") not in ("done", "asked"))


@dataclass(frozen=True, slots=True)
class _Need:
    """What an entry that was not free needed, in each world in which it may have been committed."""

    gates: tuple[tuple[World, Outcome], ...]


class _Judge:
    def __init__(
        self, line: TimeLine, events: Sequence[Log], attempts: Sequence[Log], approvals: Sequence[Log], grace: float
    ) -> None:
        self.line, self.events, self.attempts, self.approvals, self.grace = line, events, attempts, approvals, grace

    def all(self, entries: Sequence[Log]) -> Iterator[Violation]:
        keys: dict[str, list[Log]] = {}
        for entry in sorted(entries, key=lambda entry: entry["at"]):
            keys.setdefault(entry["key"], []).append(entry)
        for key, sent in keys.items():
            yield from self.repeated(key, sent)
        candidates = {key: [one for one in self.attempts if _fits(one, sent[0])] for key, sent in keys.items()}
        permitted_ones = {
            key: [one["id"] for one in found if self.is_open(one, keys[key])] for key, found in candidates.items()
        }
        chosen = _matching(permitted_ones)
        waiting: dict[str, tuple[Log, list[_Need]]] = {}
        for key, sent in keys.items():
            attempt = next((one for one in candidates[key] if one["id"] == chosen.get(key)), None)
            if attempt is None:
                yield self.unattempted(sent[0], candidates[key], bool(permitted_ones[key]))
                continue
            needs = [self.need(attempt, entry) for entry in sent]
            yield from (need for need in needs if isinstance(need, Violation))
            if gated := [need for need in needs if isinstance(need, _Need)]:
                waiting[key] = (attempt, gated)
            elif needs[0] is None and (request := self.open_request(attempt, sent[0])):
                yield Violation("gate_widened", key, sent[0]["at"], "its gate stood open", attempt["id"], request["id"])
        yield from self.agreed(keys, waiting)

    def repeated(self, key: str, sent: list[Log]) -> Iterator[Violation]:
        first = sent[0]
        for place, entry in enumerate(sent[1:], start=1):
            if not _same_content(first, entry):
                yield Violation("diverged", key, entry["at"], "the same key stands for another content")
            capability = self.line.at(entry["at"]).spec("Capability", entry["capability"]) or {}
            before = sent[place - 1]
            is_open = before.get("answer", "done") in ("done", "none") and not self.stated(key, before["at"], entry["at"])
            if capability.get("safety") == "unsafe" and is_open:
                yield Violation("blind_repeat", key, entry["at"], "unsafe, sent again though it may have happened")
        done = [entry for entry in sent if entry.get("carried_out", True) and entry.get("answer", "done") in ("done", "none")]
        if len(done) > 1:
            yield Violation("twice", key, done[1]["at"], f"carried out {len(done)} times")

    def stated(self, key: str, low: float, high: float) -> bool:
        return any(event["kind"] == "statement" and event["key"] == key and low <= event["at"] <= high for event in self.events)

    def unattempted(self, entry: Log, candidates: list[Log], is_spent: bool) -> Violation:
        if is_spent:
            return Violation("twice", entry["key"], entry["at"], "more keys than attempts of this content")
        for attempt in candidates:
            found = self.need(attempt, entry)
            if isinstance(found, Violation):
                return found
        near = [one for one in self.attempts if _is_near(one, entry)]
        if near:
            return Violation("not_as_proposed", entry["key"], entry["at"], "another resource or parameters", near[0]["id"])
        return Violation("no_attempt", entry["key"], entry["at"], "nobody proposed this")

    def is_open(self, attempt: Log, sent: list[Log]) -> bool:
        """Whether the first sending may be this attempt's; what cannot be judged stays open, to be reported."""
        found = self.need(attempt, sent[0])
        return not isinstance(found, Violation) or found.code == "unjudged"

    def need(self, attempt: Log, entry: Log) -> _Need | Violation | None:
        """Return nothing if the entry needed nobody, what it needed, or why it may not be."""
        gates: list[tuple[World, Outcome]] = []
        refused, unjudged, halted = "", "", False
        for world in self.line.worlds(entry["at"] - self.grace, entry["at"]):
            if world.halted(attempt):
                halted = True
                continue
            try:
                outcome = permitted(world, attempt)
            except CannotJudge as error:
                unjudged = str(error)
                continue
            if outcome.kind == "free":
                return None
            if outcome.kind == "gated":
                gates.append((world, outcome))
            else:
                refused = "; ".join(outcome.reasons)
        if gates:
            return _Need(tuple(gates))
        if unjudged:
            return Violation("unjudged", entry["key"], entry["at"], unjudged, attempt["id"])
        if refused:
            code = "right_withdrawn" if self.was_permitted(attempt, entry) else "not_permitted"
            return Violation(code, entry["key"], entry["at"], refused, attempt["id"])
        return Violation("halted", entry["key"], entry["at"], f"a halt stood: {halted}", attempt["id"])

    def open_request(self, attempt: Log, entry: Log) -> Log | None:
        """Return a request of this run and content that was open: a wider grant does not widen a gate already open."""
        for one in self.approvals:
            is_its = (
                None not in (one.get("run"), attempt.get("run"))
                and _is_about(one, attempt)
                and _same_content(one["shown"], entry)
            )
            if is_its and one["opened_at"] < entry["at"] - self.grace and one.get("ended_at", entry["at"]) >= entry["at"]:
                settled = settle(self.line, one, attempt)
                if settled is None or settled.at > entry["at"]:
                    return one
        return None

    def was_permitted(self, attempt: Log, entry: Log) -> bool:
        """Whether it was permitted at some moment since it was proposed; only to name the violation."""
        for world in self.line.worlds(attempt.get("proposed_at", 0.0), entry["at"]):
            try:
                if permitted(world, attempt).kind != "never":
                    return True
            except CannotJudge:
                continue
        return False

    def agreed(self, keys: Mapping[str, list[Log]], waiting: Mapping[str, tuple[Log, list[_Need]]]) -> Iterator[Violation]:
        """Match each gated key with an approval of its own, and say what is wrong where there is none."""
        verdicts = {
            key: {
                one["id"]: self.objection(one, keys[key][0], attempt, needs)
                for one in self.approvals
                if _is_about(one, attempt)
            }
            for key, (attempt, needs) in waiting.items()
        }
        chosen = _matching({key: [one for one, wrong in found.items() if not wrong] for key, found in verdicts.items()})
        for key, (attempt, _) in waiting.items():
            if key in chosen:
                continue
            entry, found = keys[key][0], verdicts[key]
            if any(not wrong for wrong in found.values()):
                yield Violation(
                    "approval_reused", key, entry["at"], "its approval was consumed by another effect", attempt["id"]
                )
                continue
            approval, code = max(found.items(), key=lambda one: NEARNESS.index(one[1]), default=(None, "without_approval"))
            yield Violation(code, key, entry["at"], "nobody agreed to it as it is", attempt["id"], approval)

    def objection(self, approval: Log, entry: Log, attempt: Log, needs: list[_Need]) -> str:
        """Return why the approval does not carry the effect, or an empty text."""
        if not _same_content(approval["shown"], entry):
            return "not_as_approved"
        settled = settle(self.line, approval, attempt)
        if settled is None:
            return "quorum_missing"
        if settled.at > entry["at"]:
            return "before_approval"
        worlds = [(world, outcome) for world, outcome in needs[0].gates if settled.still_fits(world, attempt)]
        if not worlds:
            return "moved_since"
        later = [list(need.gates) for need in needs[1:]]
        enough = all(
            any(outcome.met_by(approval["policy"], settled.policy) for _, outcome in gates) for gates in (worlds, *later)
        )
        return "" if enough else "weaker_approval"


NEARNESS = ("without_approval", "not_as_approved", "quorum_missing", "before_approval", "moved_since", "weaker_approval")


def _same_content(left: Log, right: Log) -> bool:
    return all(same(left[name], right[name]) for name in CONTENT)


def _fits(attempt: Log, entry: Log) -> bool:
    if "attempt" in entry and entry["attempt"] != attempt["id"]:
        return False
    return _same_content(attempt, entry) and _same_run(attempt, entry)


def _is_near(attempt: Log, entry: Log) -> bool:
    if "attempt" in entry:
        return bool(entry["attempt"] == attempt["id"])
    return bool(attempt["capability"] == entry["capability"] and _same_run(attempt, entry))


def _same_run(left: Log, right: Log) -> bool:
    return left.get("run") is None or right.get("run") is None or left["run"] == right["run"]


def _is_about(approval: Log, attempt: Log) -> bool:
    """Whether the approval is of this run, or, where runs are not logged, of this capability."""
    return _same_run(approval, attempt) and approval["shown"]["capability"] == attempt["capability"]


def _matching(edges: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a largest matching, each side used once (augmenting paths)."""
    taken: dict[str, str] = {}

    def place(left: str, seen: set[str]) -> bool:
        for right in edges[left]:
            if right in seen:
                continue
            seen.add(right)
            if right not in taken or place(taken[right], seen):
                taken[right] = left
                return True
        return False

    for left in edges:
        place(left, set())
    return {left: right for right, left in taken.items()}


__all__ = ["Violation", "covers", "denied_legitimate", "gated_share", "judge_log", "legitimate", "permitted"]
