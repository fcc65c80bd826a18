"""Scope tests: what a role must and must not let through, stored with it and asked at every change of the matrix.

A test of a Role document is

    {name: support-bot must not refund above 500, capability: ticket.refund, expect: deny, parameters: {amount_cents: 50001}}

asked of the role alone, or of an agent with all its roles; limits of grants are not asked. `run` judges documents through an
`Overlay`, by the function that judges every effect, so a change set is tested before it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.kinds import Overlay
from orchestration.authority.lookups import documents, ended_locks, is_seen
from orchestration.authority.matrix import Matrix, load
from orchestration.authority.overlays import capability_entry, role_entry
from orchestration.authority.rules import rules_of
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide

_OBJECT: Final[Json] = {"type": "object"}
_NAME: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 80}
_REF: Final = "scope-test"

#: The property `tests` of a Role's spec.
SCHEMA: Final[Json] = {
    "type": "array",
    "maxItems": 200,
    "description": "Asked at every change of the matrix; a change that breaks one is refused.",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "capability", "expect"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200, "description": "A sentence people know it by."},
            "capability": _NAME,
            "expect": {"enum": ["allow", "gate", "deny", "gate or deny"]},
            "policy": {**_NAME, "description": "The policy of an expected gate; none = any."},
            "agent": {
                **_NAME,
                "description": "Asked with all its roles, this one among them; none = this role alone.",
            },
            "on": {"type": "string", "maxLength": 200, "description": "Id of the resource."},
            "parameters": _OBJECT,
            "record": _OBJECT,
            "requester": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"id": _NAME, "roles": {"type": "array", "items": _NAME, "maxItems": 50}},
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one test. `verdict` is None where it could not be asked; `why` says so then.

    Attributes:
        is_told: may the reader know what came of it? Not of a test about an agent that he may not see, or that is not
            there: one answer for both. `is_met` is what came of it all the same; pages leave it out.
    """

    role: str
    index: int
    name: str
    expected: str
    verdict: Verdict | None
    is_met: bool
    why: str
    is_told: bool = True

    def __str__(self) -> str:
        return f"“{self.name}”: expected {self.expected}; {self.why}"


def run(document: Json, overlay: Overlay) -> list[Result]:
    """Every test of a role.

    Args:
        document: of the role, as it stands in the overlay.
    """
    tests = document["spec"].get("tests", [])
    is_told = is_seen(overlay, "Agent")
    return [
        found if "agent" not in test or is_told(test["agent"]) else _untold(found, test["agent"])
        for index, test in enumerate(tests)
        for found in [_result(document, index, test, overlay)]
    ]


def run_all(overlay: Overlay) -> list[Result]:
    """Every test of every role that would stand, by role."""
    return [result for _, document in documents(overlay, "Role") for result in run(document, overlay)]


def faults(document: Json, overlay: Overlay, old: Json | None = None) -> list[Fault]:
    """Tests that are not met, or make no sense; and new ones about an agent that their author may not see, as about one that is
    not there, whatever would come of them. Call it on a role whose cells have no fault.

    Args:
        old: the role as it stands; its tests name what they name, and are asked as ever.
    """
    tests = document["spec"].get("tests", [])
    stood = old["spec"].get("tests", []) if old else []
    found = [*_doubles(tests)]
    for result in run(document, overlay):
        is_new = tests[result.index] not in stood
        if not result.is_met or (is_new and not result.is_told):
            remedy = "change the cell back, or the test if it is what was wrong"
            found.append(Fault(f"/spec/tests/{result.index}", f"scope test {result}", remedy))
    return found


def changed(role: str, old: Json | None, new: Json | None) -> tuple[list[str], list[str]]:
    """Sentences for tests that come, go or change, and of these the ones that take away from what was held."""
    before, after = ({test["name"]: test for test in (spec or {}).get("tests", [])} for spec in (old, new))
    held = [
        f"Scope test “{name}” of {role} is {'changed' if name in after else 'dropped'}."
        for name, test in before.items()
        if after.get(name) != test
    ]
    return [*(f"Scope test “{name}” of {role} is added." for name in after if name not in before), *held], held


def _untold(found: Result, agent: str) -> Result:
    return replace(found, verdict=None, why=f"there is no agent {agent!r} that you may ask about", is_told=False)


def _doubles(tests: Iterable[Json]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, test in enumerate(tests):
        if test["name"] in seen:
            yield Fault(f"/spec/tests/{index}/name", "is the name of another test of this role")
        if "policy" in test and test["expect"] != "gate":
            yield Fault(f"/spec/tests/{index}/policy", "only an expected gate has a policy")
        seen.add(test["name"])


def _result(document: Json, index: int, test: Json, overlay: Overlay) -> Result:
    role = str(document["metadata"]["name"])
    expected = f"gate under {test['policy']}" if "policy" in test else str(test["expect"])

    def said(verdict: Verdict | None, is_met: bool, why: str) -> Result:
        return Result(role, index, test["name"], expected, verdict, is_met, why)

    try:
        principal, matrix = _stage(role, document, test, overlay)
    except Invalid as error:
        return said(None, False, error.detail)
    known = matrix.capabilities.get(test["capability"])
    if known is None:
        return said(None, False, f"there is no capability {test['capability']!r}")
    facts = {"parameters": test.get("parameters", {}), "record": test.get("record", {}), "requester": _requester(test)}
    verdict = decide(matrix, principal, known.name, Resource(known.resource, test.get("on", "")), facts, bounds="none")
    if verdict.code == "parameters":  # a deny for the wrong reason would hide what the test is for
        told = "; ".join(str(fault) for fault in verdict.faults)
        return said(verdict, False, f"its parameters break the contract of {known.name}: {told}")
    under = f" under {verdict.policy}" if verdict.policy else ""
    return said(verdict, _meets(verdict, test), f"the matrix answers {verdict.answer}{under}. {verdict.reason}")


def _meets(verdict: Verdict, test: Json) -> bool:
    answers = str(test["expect"]).split(" or ")
    return verdict.answer in answers and test.get("policy", verdict.policy) == verdict.policy


def _requester(test: Json) -> Json:
    given = test.get("requester")
    return {"id": given.get("id", _REF), "roles": given.get("roles", [])} if given else {}


def _stage(role: str, document: Json, test: Json, overlay: Overlay) -> tuple[Principal, Matrix]:
    """Who is asked, and as much of the matrix as the answer depends on.

    Raises:
        Invalid: the test names an agent that is not there, or does not have the role; a document is unusable.
    """
    is_for_people = bool(document["spec"].get("people", False))
    worn = {role}
    if agent := test.get("agent"):
        entry = overlay.get("Agent", agent)
        if entry is None:
            raise Invalid(f"there is no agent {agent!r}")
        worn = set(entry["spec"].get("roles", []))
        if role not in worn:
            raise Invalid(f"agent {agent} does not have the role {role}")
    asked = {*worn, *test.get("requester", {}).get("roles", [])}
    roles = {name: found for name in sorted(asked) if (found := document if name == role else overlay.get("Role", name))}
    is_person = is_for_people and not agent
    principal = Principal("user", _REF, (role,)) if is_person else Principal("agent", _REF)
    agents = {} if is_person else {_REF: {"name": agent or role, "roles": sorted(worn), "enabled": True}}
    return principal, load({**_rest(test["capability"], roles, overlay), "agents": agents})


def _rest(capability: str, roles: Mapping[str, Json], overlay: Overlay) -> dict[str, Any]:
    known = overlay.get("Capability", capability)
    every = dict(documents(overlay, "FloorLock"))
    ended = ended_locks(every)
    specs = {name: lock["spec"] for name, lock in every.items() if name not in ended}
    locks = {name: spec for name, spec in specs.items() if spec.get("capability") == capability}
    entries = {name: role_entry(document) for name, document in roles.items()}
    for entry in entries.values():
        entry["grants"] = [grant for grant in entry["grants"] if grant["capability"] == capability]
    named = {grant.get("policy") for entry in entries.values() for grant in entry["grants"]}
    named |= {spec["policy"] for spec in locks.values()}
    stated = {name: overlay.get("ApprovalPolicy", name) for name in sorted(name for name in named if name)}
    policies = {name: rules_of(document) for name, document in stated.items() if document is not None}
    return {
        "v": 1,
        "capabilities": {capability: capability_entry(known)} if known is not None else {},
        "roles": entries,
        "locks": {
            name: {
                "capability": capability,
                "policy": spec["policy"],
                "kind": spec["kind"],
                "floor": policies.get(spec["policy"]),
            }
            for name, spec in locks.items()
        },
        "policies": policies,
    }
