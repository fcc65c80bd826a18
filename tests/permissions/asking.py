"""Addresses of the matrix: every route of the resolver, its variables filled from the set that a relation stands for.

The walk over the resolver is that of masking (`tests.masking.addresses`). A variable that nobody fills here, and a route
without an entry in `permissions.yaml`, is an error that says where to add it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import get_resolver

from aegis.core import clock, clock_text
from tests.masking.addresses import FORM, walk, with_values
from tests.permissions.world import GONE, GOVERNED, SETS, Set, World, mark, named

UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
WHERE = "tests/permissions/asking.py (values, queries and bodies) and tests/oracles/permissions.yaml (what it asks)"
#: The catch-alls of site and API: they have no path of their own and answer 404 to everybody.
CATCH_ALL = {"None", "admin:None", "admin:app_list"}
#: What the query string names, with {mark} for the set and {run}, {ask}, {item} for short ids of it; of a list also what makes
#: all of it show.
QUERIES: Mapping[str, list[str]] = {
    "portal:open": ["name=clerk-{mark}"],
    "portal:search": ["q=zq", "q=cnry", "q=gate-zq", "q=RUN-{run}", "q=APR-{ask}", "q=REV-{item}"],
    "portal:matrix-why": ["capability=noteown.write&role=clerk-zqown"],
    "portal:matrix-cell": ["capability=noteown.write&role=clerk-zqown"],
    "portal:matrix-role-review": ["role=clerk-zqown"],
    "portal:matrix": ["", "by=agent", "by=person"],
    "portal:matrix-export": ["", "by=agent", "by=person"],
    "portal:matrix-print": ["", "by=agent", "by=person"],
    "portal:matrix-pair": [f"of={of}&one=noteown.write&other=noteother.write" for of in ("role", "agent", "person")],
    "portal:matrix-who": ["capability=noteown.write"],
    "portal:matrix-what": ["who=agent:clerk-zqown"],
    "api-access-may": ["who=agent:clerk-zqown&capability=noteown.write"],
    "api-access-who": ["capability=noteown.write"],
    "api-access-what": ["who=agent:clerk-zqown"],
    "approvals:inbox": ["tab=waiting", "tab=mine", "tab=requested", "tab=done"],
    "audit:list": ["span=all"],
    "audit:history": ["object=Run/RUN-{run}", "object=Workflow/notes-{mark}"],
    "portal:metrics": ["", "span=30d"],
    "audit:export": ["span=all&format=csv", "span=all&format=jsonl"],
    "api-events": ["span=all&limit=500"],
    "runs:list": ["", "status=review", "part=list"],
    "review:list": ["", "part=board"],
    "deadletters:list": ["", "part=list"],
    "admin:orchestration_workflow_compare": ["old={old}&new={new}"],
}


def paths() -> dict[str, str]:
    """Path as `permissions.yaml` spells it ("/runs/{run_id}/") -> name of its route. Two names of one path are one."""
    found: dict[str, str] = {}
    for name, pattern, _ in walk(get_resolver().url_patterns):
        if not (pattern == "" and name in CATCH_ALL):
            found.setdefault("/" + _spelt(pattern), name)
    return found


def _spelt(pattern: str) -> str:
    for part in pattern.split("<")[1:]:
        inner = part.split(">")[0]
        pattern = pattern.replace(f"<{inner}>", "{" + inner.split(":")[-1] + "}")
    return pattern


def patterns() -> dict[str, str]:
    return {name: pattern for name, pattern, _ in walk(get_resolver().url_patterns)}


def addresses(world: World, name: str, pattern: str, relation: str) -> list[str]:
    """The address under a relation, once for each query string."""
    parameters = [part.split(">")[0].split(":")[-1] for part in pattern.split("<")[1:]]
    of_set = world.sets.get(relation)
    path = with_values(pattern, {one: _value(world, name, one, relation, of_set) for one in parameters})
    old, new = of_set.releases if of_set else (UNKNOWN, UNKNOWN)
    filled = {"mark": mark(relation) if of_set else GONE, "old": old, "new": new, **_short_ids(of_set)}
    return [f"{path}?{query.format(**filled)}" if query else path for query in QUERIES.get(name, [""])]


def _short_ids(of_set: Set | None) -> dict[str, str]:
    found = (of_set.runs["gate"].pk, of_set.request, of_set.items["review"]) if of_set else (UNKNOWN,) * 3
    return {name: str(one)[:6] for name, one in zip(("run", "ask", "item"), found, strict=True)}


def is_about(world: World, name: str, pattern: str) -> bool:
    """Does the address, or what is posted to it, differ from set to set?"""
    own, other = (
        (addresses(world, name, pattern, one), body(world, name, one), form(world, name, one)) for one in ("own", "other")
    )
    return own != other


def _value(world: World, name: str, parameter: str, relation: str, of_set: Set | None) -> Any:
    fixed = {"verb": "claim", "number": 1, "page": "runs", "version": 1, "content_type_id": 1, "object_id": 1}
    if name == "alerts:act" and parameter == "verb":
        return "note"
    if parameter in fixed:
        return fixed[parameter]
    if parameter == "kind":
        return {"portal:open": "Agent", "schema": "Workflow"}.get(name, "agent")
    if parameter in ("delegation_id", "group_id", "person_id"):
        return {"delegation_id": world.delegation, "group_id": world.group, "person_id": world.stand_in.pk}[parameter]
    if parameter == "rule":
        return named("odd", relation if of_set else "deleted")
    if parameter == "name":
        return _name(name, relation if of_set else "deleted")
    if parameter == "taken_id":  # nobody here has taken a right: all ids are unknown
        return UNKNOWN
    gone: dict[str, Any] = {"stream": f"run:{UNKNOWN}", "seq": 1, "letter_id": str(UNKNOWN), "prefix": GONE}
    gone |= dict.fromkeys(("run_id", "item_id", "request_id", "halt_id", "view_id", "pk", "episode_id", "silence_id"), UNKNOWN)
    if of_set is None and parameter in gone:
        return gone[parameter]
    if of_set is None:
        raise AssertionError(f"{name}: say what fills <{parameter}> in {WHERE}")
    match parameter:
        case "run_id":
            return of_set.runs["dead" if name == "runs:retry" else "gate"].pk
        case "letter_id":
            return of_set.items["dead"]
        case "item_id":
            return of_set.items["review"]
        case "request_id":
            return of_set.request
        case "halt_id":
            return of_set.halt
        case "view_id":
            return of_set.view
        case "episode_id":
            return of_set.episode
        case "silence_id":
            return of_set.silence
        case "prefix":
            return of_set.credential
        case "stream":
            return of_set.event[0]
        case "seq":
            return of_set.event[1]
        case "pk":
            return of_set.rows[next(model for model in GOVERNED if f"_{model}_" in name)]
    raise AssertionError(f"{name}: say what fills <{parameter}> in {WHERE}")


def _name(name: str, relation: str) -> str:
    if name == "api-contract":
        return f"{named('answer', relation)}@1"
    for beginning, what in (("api-routing", "table"), ("workflow", "notes"), ("agents:", "clerk"), ("api-agent", "clerk"),
                            ("guards:", "clerk"), ("api-breaker", "clerk"), ("api-role-review", "clerk"),
                            ("api-policy", "gate")):  # fmt: skip
        if name.startswith(beginning):
            return named(what, relation)
    raise AssertionError(f"{name}: say what fills <name> in {WHERE}")


def body(world: World, name: str, relation: str) -> dict[str, Any]:
    """What the API's verbs take."""
    of_set = world.sets.get(relation)
    workflow = named("notes", relation)
    payload = {"id": f"new-{mark(relation)}"}
    begins = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    starts, ends = clock_text.render(begins), clock_text.render(begins + timedelta(days=1))
    known: dict[str, dict[str, Any]] = {
        "api-runs": {"workflow": workflow, "input": payload},
        "api-runs-batch": {"workflow": workflow, "items": [{"input": payload}], "mode": "each"},
        "api-messages": {"workflow": named("idle", relation), "name": "payment", "key": "k", "payload": {}},
        "api-decisions": {"verdict": "approve", "reason": "fine", "digest": of_set.digest if of_set else "0" * 64},
        "api-request-escalate": {"reason": "looks right"},
        "api-request-comments": {"text": "looks right"},
        "api-request-reassign": {"to": str(world.stand_in.pk), "reason": "because"},
        "api-dead-letters-redrive": {"ids": [str(of_set.items["dead"] if of_set else UNKNOWN)], "reason": "mended"},
        "api-review-item-statement": {"outcome": "happened", "reason": "I looked"},
        "api-halts": {"what": "workflow", "name": workflow, "reason": "stop"},
        "api-routing-replay": {"last": 10},
        "api-emergency": {"area": "access", "right": "edit", "minutes": 10, "reason": "fire"},
        "api-emergency-review": {"verdict": "justified", "reason": "it burnt"},
        "api-role-review": {"reason": "looked", "seen": "0" * 64, "confirm": ["noteown.write"]},
        "workflow-dry-run": {"input": payload, "answers": {"write": {"output": {}}}},
        "workflow-retire": {"version": 1, "reason": "old"},
        "api-alert-acknowledge": {"note": "I look"},
        "api-alert-notes": {"note": "I looked"},
        "api-alert-silence": {"until": ends, "reason": "works"},
        "api-alert-rule-silence": {"until": ends, "reason": "works"},
        "api-delegations": {"to": str(world.stand_in.pk), "starts_at": starts, "ends_at": ends, "reason": "away"},
    }
    return known.get(name, {"reason": "because"})


def form(world: World, name: str, relation: str) -> dict[str, Any]:
    """What forms take; each reads what it knows of it."""
    of_set = world.sets.get(relation)
    if name not in _NAMING:
        is_of_role = name in ("portal:matrix-cell", "portal:matrix-role-review")
        cell = {"role": "clerk-zqown", "capability": "noteown.write"} if is_of_role else {}
        return {**FORM, "text": "kind: x", "days": "7", "name": "x", **cell}
    digest = of_set.digest if of_set else "0" * 64
    request = of_set.request if of_set else UNKNOWN
    more: dict[str, Any] = {
        "name": named("notes", relation), "seen_digest": digest, "digest": digest,
        "id": [str(of_set.items["dead"] if of_set else UNKNOWN)],
    }  # fmt: skip
    if name == "approvals:together":
        more |= {"pick": [str(request)], f"digest-{request}": digest}
    return {**FORM, **more}


#: Forms that name in their body what they are about.
_NAMING = {"guards:halt", "approvals:together", "approvals:decide", "deadletters:review", "deadletters:redrive"}


def relations(world: World, name: str, pattern: str) -> Iterator[str]:
    """All of them where they differ, else one."""
    yield from (*SETS, "deleted") if is_about(world, name, pattern) else ("own",)
