"""The reference policy of what may be seen and done: HAZARDS 6, from DESIGN 6 ("Three questions"), promise 14 and ADR 0003.

11 kinds of principal x 5 relations x every method of every route in `permissions.yaml`, whose head describes the file.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

READING = ("GET", "HEAD", "OPTIONS")
METHODS = (*READING, "POST", "PUT", "PATCH", "DELETE")
RELATIONS = ("own", "other", "both", "none", "deleted")
FILE = Path(__file__).with_name("permissions.yaml")


@dataclass(frozen=True, slots=True)
class Principal:
    """What the harness gives the group of a principal on the objects of team A, and on areas (every object of an area).

    shares: in the group that the views of team A are shared with; what everybody may see everywhere gives nobody a view.
    eligible: in a group that decides about team A's requests. bound: promise 8 keeps him from deciding about this one, because
    he asked for it; so he may take it back (guide/approvals.md), and nobody else may.
    """

    verbs: frozenset[str] = frozenset()
    areas: Mapping[str, frozenset[str]] | None = None
    everywhere: frozenset[str] = frozenset()
    shares: bool = False
    eligible: bool = False
    bound: bool = False
    signed_in: bool = True
    has_session: bool = True


VIEW = frozenset({"view"})
PRINCIPALS: dict[str, Principal] = {
    "anonymous": Principal(signed_in=False, has_session=False),
    "not_staff": Principal(),
    "staff": Principal(),
    "viewer": Principal(VIEW, shares=True),
    "operator": Principal(VIEW | {"start", "operate"}),
    "approver": Principal(eligible=True),
    "requester_and_approver": Principal(VIEW | {"start"}, eligible=True, bound=True),
    "auditor": Principal(everywhere=VIEW),
    "security_admin": Principal(areas={"access": VIEW | {"edit"}}),
    "superuser": Principal(),
    "agent_key": Principal(signed_in=False, has_session=False),
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come back.

    statuses: any of these. canaries: whether text of the object may appear anywhere in the answer (lists: its row must).
    writes: whether a governed table may change; else only the log of audit, log-ins and sessions may.
    why: for the failure's message.
    """

    statuses: frozenset[int]
    canaries: bool
    writes: bool
    why: str


def load(path: Path = FILE) -> dict[str, Any]:
    """Return the file.

    Raises:
        ValueError: what the schema in its head does not know, so that a misspelt verb is not read as no verb.
    """
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    if set(found) != {"version", "objects", "routes"} or found["version"] != 1:
        raise ValueError("permissions.yaml has version, objects and routes")
    for kind in found["objects"]:
        _check_object(found["objects"], kind)
    seen: set[str] = set()
    for route in found["routes"]:
        _check_route(route, found["objects"])
        if route["path"] in seen:
            raise ValueError(f"{route['path']}: twice")
        seen.add(route["path"])
    return found


def unlisted(paths: Collection[str], permissions: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the paths of the resolver that have no entry, and the entries that no path has. Both must be empty."""
    listed = {route["path"] for route in permissions["routes"]}
    return sorted(set(paths) - listed), sorted(listed - set(paths))


def expected(
    route: Mapping[str, Any], objects: Mapping[str, Any], method: str, principal: str, relation: str, *, is_masked: bool = False
) -> Expectation:
    """Return what the route must answer.

    Args:
        relation: of the object to the principal's team A: own (team A's), other (team B's), both (given to A and B), none
            (given to no team), deleted (its id is unknown now).
        is_masked: the canary stands in a masked field; nobody here holds the capability that reveals it.

    Raises:
        ValueError: an unknown method, principal or relation.
    """
    if method not in METHODS or principal not in PRINCIPALS or relation not in RELATIONS:
        raise ValueError(f"unknown: {method} {principal} {relation}")
    who = PRINCIPALS[principal]
    rule = route["methods"].get("GET" if method == "HEAD" else method)
    if not who.signed_in and route["door"] != "public":
        return _closed(route, method, listed=rule is not None)
    hidden = route.get("hidden", 404)
    rights = _rights(who, route["object"], objects, relation)
    may_see = route["object"] == "none" or "view" in rights
    if rule is None:
        return _unlisted_method(method, hidden, may_see)
    ok = frozenset(rule["ok"])
    canaries = may_see and not is_masked and route["object"] != "none"
    if route["shape"] == "list" and method in ("GET", "HEAD"):
        return Expectation(ok, canaries, False, "a list shows what is visible, and nothing else")
    if not may_see:
        return Expectation(frozenset({hidden}), False, False, "not visible: as for an unknown id")
    if rule["verb"] is not None and not _verbs(rule["verb"]) & rights:
        return Expectation(frozenset({route.get("lacking", 403)}), canaries, False, f"visible, lacking {rule['verb']}")
    return Expectation(ok, canaries, rule.get("writes", method not in READING), "allowed")


def matrix(permissions: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str, str, Expectation]]:
    """Yield (route, method, principal, relation, expectation) for everything; relations of what has no object are one."""
    for route in permissions["routes"]:
        relations = RELATIONS if route["object"] != "none" else ("own",)
        for method in METHODS:
            for principal in PRINCIPALS:
                for relation in relations:
                    yield (
                        route,
                        method,
                        principal,
                        relation,
                        expected(route, permissions["objects"], method, principal, relation),
                    )


def _rights(who: Principal, kind: str, objects: Mapping[str, Any], relation: str) -> frozenset[str]:
    """Return the verbs on the object. Nothing here asks who is a superuser or a member of staff: they have what groups give."""
    if kind == "none" or relation == "deleted":
        return frozenset()
    rule = objects[kind]
    if rule.get("shared"):  # no right of any object opens it: its owner has it, and the one group he shares it with sees it
        return VIEW if who.shares and relation in ("own", "both") else frozenset()
    if "area" in rule:
        return who.everywhere | (who.areas or {}).get(rule["area"], frozenset())
    rights = who.everywhere | (who.verbs if relation in ("own", "both") else frozenset())
    if rule.get("eligible") and who.eligible and relation in ("own", "both"):
        rights |= VIEW | {"withdraw"} if who.bound else VIEW | {"decide"}
    return rights


def _closed(route: Mapping[str, Any], method: str, *, listed: bool) -> Expectation:
    """Nobody signed in: pages lead to the log-in, the API refuses; which of them does not depend on what is behind."""
    statuses = {302, 403} if route["door"] == "page" else {401, 403}
    if method == "OPTIONS":
        statuses |= {200, 204, 405}
    return Expectation(frozenset(statuses if listed else statuses | {404, 405}), False, False, "not signed in")


def _unlisted_method(method: str, hidden: int, may_see: bool) -> Expectation:
    """A method that the route does not have is refused, and tells nothing of what is hidden."""
    statuses = {403, 405, hidden}
    if method == "OPTIONS":
        statuses |= {200, 204}
    return Expectation(frozenset(statuses), may_see and method == "OPTIONS", False, "no such method here")


def _verbs(verb: str | list[str]) -> frozenset[str]:
    return frozenset([verb] if isinstance(verb, str) else verb)


def _check_object(objects: Mapping[str, Any], kind: str) -> None:
    rule = objects[kind]
    ways = set(rule) & {"verbs", "follows", "area", "shared"}
    if len(ways) != 1 or set(rule) - {"verbs", "follows", "area", "shared", "eligible"}:
        raise ValueError(f"{kind}: exactly one of verbs, follows, area, shared")
    if "follows" in rule and "verbs" not in objects.get(rule["follows"], {}):
        raise ValueError(f"{kind}: follows a kind that has verbs of its own")


def _check_route(route: Mapping[str, Any], objects: Mapping[str, Any]) -> None:
    path = route.get("path", "?")
    if {"path", "door", "object", "shape", "methods"} - set(route):
        raise ValueError(f"{path}: path, door, object, shape and methods are needed")
    if unknown := set(route) - {"path", "door", "object", "shape", "methods", "hidden", "lacking"}:
        raise ValueError(f"{path}: unknown {sorted(unknown)}")
    if route["door"] not in ("page", "api", "public") or route["shape"] not in ("object", "list", "create", "static"):
        raise ValueError(f"{path}: unknown door or shape")
    if route["object"] != "none" and route["object"] not in objects:
        raise ValueError(f"{path}: unknown object {route['object']}")
    for method, rule in route["methods"].items():
        if method not in METHODS or set(rule) - {"writes"} != {"verb", "ok"} or (method in READING and rule.get("writes")):
            raise ValueError(f"{path}: {method} needs verb and ok, and reading does not write")
        wrong = _verbs(rule["verb"] or []) - _known_verbs(route["object"], objects)
        if wrong:
            raise ValueError(f"{path}: {method}: unknown verb {sorted(wrong)}")


def _known_verbs(kind: str, objects: Mapping[str, Any]) -> frozenset[str]:
    if kind == "none":
        return frozenset()
    rule = objects[kind]
    if "area" in rule or "shared" in rule:
        own = {"view", "edit"} | ({"operate"} if "area" in rule else set())
    else:
        own = set(rule.get("verbs") or objects[rule["follows"]]["verbs"])
    return frozenset(own | ({"decide", "withdraw"} if rule.get("eligible") else set()))
