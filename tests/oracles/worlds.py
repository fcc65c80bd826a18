"""What stands at a moment: configuration, people, halts and records, folded from a time line that the harness kept itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = Any
Document = Mapping[str, Json]
SUBJECTS = ("Role", "Capability", "ApprovalPolicy", "FloorLock", "Agent")


@dataclass(frozen=True, slots=True)
class World:
    """One moment.

    documents: (kind, name) -> spec.
    people: name -> groups; who is not in it, or was deactivated, is nobody.
    floors: lock -> the specs that its policy had on the days it was set. A lock that ended is not in it.
    lock_policies: lock -> (capability, policy name) of every lock that stands.
    halts: (what, name); `("everything", "")`.
    records: (type, id) -> (number of its version, value); None as value: there is none.
    """

    documents: Mapping[tuple[str, str], Document] = field(default_factory=dict)
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    floors: Mapping[str, tuple[Document, ...]] = field(default_factory=dict)
    lock_policies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    halts: frozenset[tuple[str, str]] = frozenset()
    records: Mapping[tuple[str, str], tuple[int, Json]] = field(default_factory=dict)

    def spec(self, kind: str, name: str) -> Document | None:
        return self.documents.get((kind, name))

    def halted(self, attempt: Mapping[str, Json]) -> bool:
        """Whether a halt covers the attempt: everything, its agent, its workflow, or one that led to its run."""
        principal = attempt["principal"]
        workflows = [attempt.get("workflow"), *attempt.get("above", ())]
        return (
            ("everything", "") in self.halts
            or (principal["kind"] == "agent" and ("agent", principal["name"]) in self.halts)
            or any(("workflow", name) in self.halts for name in workflows)
        )

    def after(self, event: Mapping[str, Json]) -> "World":
        """Return the world that one event of the time line leads to.

        Raises:
            ValueError: a kind of event that does not exist; a misspelt one must not pass as nothing.
        """
        name = event.get("name", "")
        match event["kind"]:
            case "apply":
                return self._applied(event["document"])
            case "remove":
                if event["of"] == "FloorLock":  # rows of locks are append-only: removing a document removes no floor
                    return self
                return replace(
                    self, documents={key: spec for key, spec in self.documents.items() if key != (event["of"], name)}
                )
            case "person":
                others = {person: groups for person, groups in self.people.items() if person != name}
                return replace(
                    self, people={**others, name: frozenset(event["groups"])} if event.get("active", True) else others
                )
            case "agent":
                return replace(self, disabled=self.disabled - {name} if event["enabled"] else self.disabled | {name})
            case "halt":
                return replace(self, halts=self.halts | {(event["what"], name)})
            case "resume":
                return replace(self, halts=self.halts - {(event["what"], name)})
            case "record":
                place = (event["resource"]["type"], event["resource"]["id"])
                version = self.records.get(place, (0, None))[0] + 1
                return replace(self, records={**self.records, place: (version, event["value"])})
            case "statement":
                return self
        raise ValueError(f"the time line knows no event {event['kind']!r}")

    def _applied(self, document: Document) -> "World":
        kind, name, spec = document["kind"], document["metadata"]["name"], document["spec"]
        if kind not in SUBJECTS:
            return self
        # Applying a manifest does not enable an agent again: `enabled` counts for a new one alone.
        begins_disabled = kind == "Agent" and (kind, name) not in self.documents and not spec.get("enabled", True)
        applied = replace(
            self,
            documents={**self.documents, (kind, name): spec},
            disabled=self.disabled | {name} if begins_disabled else self.disabled,
        )
        return applied._locked(name, spec) if kind == "FloorLock" else applied

    def _locked(self, name: str, spec: Document) -> "World":
        floors = {lock: specs for lock, specs in self.floors.items() if lock != spec.get("ends")}
        policies = {lock: place for lock, place in self.lock_policies.items() if lock != spec.get("ends")}
        if "capability" in spec:
            floor = self.spec("ApprovalPolicy", spec["policy"])
            if floor is None:
                raise ValueError(f"lock {name} names the unknown policy {spec['policy']}")
            earlier = floors.get(name, ())
            floors[name] = earlier if floor in earlier else (*earlier, floor)
            policies[name] = (spec["capability"], spec["policy"])
        return replace(self, floors=floors, lock_policies=policies)


def beginning(manifests: Iterable[Document], people: Mapping[str, Iterable[str]]) -> World:
    """Return the world that the manifests of a fresh installation make; locks are set after the policies they name."""
    world = World(people={name: frozenset(groups) for name, groups in people.items()})
    for document in sorted(manifests, key=lambda document: document["kind"] == "FloorLock"):
        world = world.after({"kind": "apply", "document": document})
    return world


class TimeLine:
    """The worlds that may have stood between two moments.

    An event may say `since` (when the harness sent the request) beside `at` (when the answer was there). Between the two nobody
    outside knows whether it is committed: both worlds count.
    """

    def __init__(self, start: World, events: Sequence[Mapping[str, Json]]) -> None:
        self.start = start
        self.events = sorted(events, key=lambda event: event["at"])

    def worlds(self, low: float, high: float) -> Iterator[World]:
        """Yield each world that may have stood at a moment of [low, high], the earliest first."""
        world = self.start
        later: list[Mapping[str, Json]] = []
        for event in self.events:
            if event["at"] <= low and not later:
                world = world.after(event)
            else:
                later.append(event)
        yield world
        for event in later:
            if event.get("since", event["at"]) <= high:
                world = world.after(event)
                yield world

    def at(self, moment: float) -> World:
        return next(self.worlds(moment, moment))
