"""The matrix: asks a case, and says everything that is wrong with the answer.

Text of the sets carries canaries; where a page shows no text of a thing, the link to it still carries its id.

Every case runs in a savepoint that is rolled back, so that all of them meet the same house. What a call wrote is found by
comparing the tables it touched with how they stood in that house; the log of audit, sign-ins and sessions may grow.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.test import Client

from audit import chain
from audit.models import Event
from tests.oracles.visibility_oracle import METHODS, PRINCIPALS, READING, Expectation, expected
from tests.permissions import asking
from tests.permissions.world import SETS, World, build, mark

#: Kind of a canary -> object of the oracle.
KINDS = {
    "workflow": "workflow", "agent": "agent", "queue": "queue", "policy": "policy", "contract": "contract",
    "capability": "capability", "role": "role", "lock": "lock", "table": "routing-table", "run": "run", "request": "request",
    "item": "review-item", "halt": "halt", "breaker": "breaker", "person": "person", "delegation": "journal",
    "view": "saved-view", "alert": "alert",
}  # fmt: skip
#: The log, sign-ins and sessions: what may grow when nothing else may.
LOG = re.compile(r"audit_|django_session|axes_|django_admin_log")
#: Columns that are the head of a stream kept on its row (DESIGN 5): an attempt on record moves them.
HEADS = {"approvals_approvalrequest": {"seq", "head"}}
#: A request shows the titles of what it hangs on: its row says subject, workflow and gate in words (SCREENS), and nobody can
#: judge what he may not name. DESIGN 6 keeps the run from whoever is merely eligible: its page, events, payloads, agents and
#: queues; no canary of those is let through. The home page shows requests, and a delegation names what it is for.
_TITLES, _HOME = ("capability", "policy", "workflow"), ("/", "/home/part/", "/approvals/delegations/")
#: Lists of what the reader may decide, and of the newest page.
_SHOWS_LESS = {"/approvals/together/", "/audit/"}
_WRITE = re.compile(r'^\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+"?(\w+)"?', re.IGNORECASE)
_CANARY = re.compile(r"cnry-([a-z]+)-([a-z]+)")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARK = re.compile("zq(" + "|".join(SETS) + ")")


@dataclass(frozen=True, slots=True)
class Case:
    """One cell: a route asked by a method, for a principal, about the set of a relation."""

    path: str
    method: str
    principal: str
    relation: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} as {self.principal}, {self.relation}"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    content: bytes
    written: frozenset[str]
    denials: tuple[Mapping[str, Any], ...]


class Matrix:
    """The house, its routes and their entries. Build it inside a transaction that is rolled back in the end."""

    def __init__(self, permissions: Mapping[str, Any]) -> None:
        self.world: World = build()
        self.objects = permissions["objects"]
        self.entries = {entry["path"]: entry for entry in permissions["routes"]}
        self.names = asking.paths()
        self.patterns = asking.patterns()
        # One stack of middleware for all cells: a client's own would list the static files again (3/4 of a cell's time).
        self.handler = Client(raise_request_exception=False).handler
        self.sessions = {name: _session(person) for name, person in self.world.people.items()}
        self.ids = self.world.ids()
        self.newest_event = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self.stood: dict[str, str] = {}
        self.readable = {name: self._readable(name) for name in PRINCIPALS}

    def cases(self, paths: Iterable[str] | None = None) -> Iterator[Case]:
        """Every cell of these routes, or of all."""
        for path in sorted(self.entries if paths is None else paths):
            name = self.names[path]
            for relation in asking.relations(self.world, name, self.patterns[name]):
                for principal in PRINCIPALS:
                    yield from (Case(path, method, principal, relation) for method in METHODS)

    def once_each(self) -> Iterator[Case]:
        """Each route once per principal by each method it has, and some it has not; relations and those methods in turn."""
        for index, path in enumerate(sorted(self.entries)):
            name, listed = self.names[path], self.entries[path]["methods"]
            turns = [*asking.relations(self.world, name, self.patterns[name])]
            foreign = [method for method in METHODS if method not in listed and method != "HEAD"]
            for place, principal in enumerate(PRINCIPALS):
                relation = turns[(index + place) % len(turns)]
                is_third = (index + place) % 3 == 0  # of methods that a route has not, one for every third principal
                for method in (*listed, *([foreign[(index + place) % len(foreign)]] if is_third else ())):
                    yield Case(path, method, principal, relation)

    def faults(self, case: Case) -> list[str]:
        """What is wrong with the answers; empty if nothing is."""
        name = self.names[case.path]
        entry = self.entries[case.path]
        wanted = expected(entry, self.objects, case.method, case.principal, case.relation)
        found: list[str] = []
        seen: set[tuple[str, str]] = set()
        addresses = asking.addresses(self.world, name, self.patterns[name], case.relation)
        for address in (
            addresses if case.method == "GET" else addresses[:1]
        ):  # what is shown depends on the query, rights do not
            answer = self.ask(case, name, address)
            found += (f"{case}: {what} [{address}]" for what in self._judged(case, entry, wanted, answer, address))
            seen |= set(_CANARY.findall(answer.text)) | {("", one) for one in _MARK.findall(answer.text)}
        if entry["shape"] == "list" and wanted.canaries and case.method == "GET" and case.relation in SETS:
            found += self._missing(case, entry, seen) if case.path not in _SHOWS_LESS else []
        return found

    def ask(self, case: Case, name: str, address: str) -> Answer:
        client = Client(raise_request_exception=False)
        client.handler = self.handler
        if case.principal in self.sessions:
            client.cookies["sessionid"] = self.sessions[case.principal]
        elif case.principal == "agent_key":
            client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.world.sets['own'].credential}"
        call = getattr(client, case.method.lower())
        touched: set[str] = set()

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if write := _WRITE.match(sql):
                touched.add(write[1])
            return execute(sql, params, many, context)

        place = transaction.savepoint()
        try:
            with connection.execute_wrapper(watch):
                if case.method in READING:
                    response = call(address)
                elif address.startswith("/api/"):
                    content = json.dumps(asking.body(self.world, name, case.relation))
                    response = call(address, content, content_type="application/json")
                elif case.method == "POST":
                    response = call(address, asking.form(self.world, name, case.relation))
                else:
                    response = call(address, b"reason=because", content_type="application/x-www-form-urlencoded")
            content, denials = _content(response), self._denials()
            written = self._moved({table for table in touched if not LOG.match(table)}, place)
            return Answer(response.status_code, _text(response, content), content, written, denials)
        finally:
            transaction.savepoint_rollback(place)

    def _judged(self, case: Case, entry: Mapping[str, Any], wanted: Expectation, answer: Answer, address: str) -> Iterator[str]:
        is_listed = case.method in entry["methods"] or (case.method == "HEAD" and "GET" in entry["methods"])
        if answer.status not in wanted.statuses:
            yield f"answered {answer.status}, wanted {sorted(wanted.statuses)} ({wanted.why})"
        if answer.written and not wanted.writes:
            yield f"wrote to {sorted(answer.written)} ({wanted.why})"
        said = f"{address} {asking.body(self.world, self.names[case.path], case.relation)}"
        said += str(asking.form(self.world, self.names[case.path], case.relation))
        typed = {case.relation} if mark(case.relation) in said else set()
        allowed = self.readable[case.principal]
        if entry["object"] == "request" or case.path in _HOME:
            allowed |= {(kind, about) for kind in _TITLES for asked, about in allowed if asked == "request"}
        for kind, relation in sorted(set(_CANARY.findall(answer.text))):
            if (kind, relation) not in allowed:
                yield f"shows cnry-{kind}-{relation}"
        for relation in sorted(set(_MARK.findall(answer.text)) - typed):
            if ("", relation) not in allowed:
                yield f"shows a name of the set {relation}"
        if entry["object"] == "request" and entry["door"] == "api":
            # The opaque id of its run stands in the first line of a request's own stream, and opens nothing. Pages do not link.
            allowed |= {("run", about) for asked, about in allowed if asked == "request"}
        for one in sorted(set(_ID.findall(answer.text)) & self.ids.keys()):
            if self.ids[one] not in allowed and one not in said:
                kind, relation = self.ids[one]
                yield f"shows the id of {kind}, {relation}"
        is_refused = case.method not in READING and case.principal in self.sessions and is_listed
        if is_refused and answer.status in (403, 404) and not answer.denials:
            yield "the refusal is not on record"
        if is_refused and answer.status == 403:
            yield from _unnamed(answer)
        if answer.status == 404 and case.relation in SETS and case.method == "GET" and entry["shape"] == "object":
            name = self.names[case.path]
            unknown = asking.addresses(self.world, name, self.patterns[name], "deleted")[0]
            if self.ask(Case(case.path, case.method, case.principal, "deleted"), name, unknown).content != answer.content:
                yield "what is hidden does not read like what is unknown"

    def _missing(self, case: Case, entry: Mapping[str, Any], seen: set[tuple[str, str]]) -> Iterator[str]:
        kinds = [kind for kind, about in KINDS.items() if about == entry["object"]]
        if not any((kind, case.relation) in seen for kind in kinds) and ("", case.relation) not in seen:
            yield f"{case}: does not show what is visible ({entry['object']})"

    def _readable(self, principal: str) -> frozenset[tuple[str, str]]:
        """(kind, relation) of every canary the oracle lets the principal read; ("", relation) for names."""
        found = set()
        for kind, about in KINDS.items():
            route = {
                "path": "-",
                "door": "page",
                "object": about,
                "shape": "object",
                "methods": {"GET": {"verb": None, "ok": [200]}},
            }
            for relation in SETS:
                if expected(route, self.objects, "GET", principal, relation).canaries:
                    found |= {(kind, relation), ("", relation)}
        return frozenset(found)

    def _denials(self) -> tuple[Mapping[str, Any], ...]:
        """Refusals on record. What somebody bound tried (a vote, an edit) is an event of the request's own stream, for there
        one looks for attempts on it; at the edge it is not written twice (docs/adr/0031)."""
        rows = Event.objects.filter(pk__gt=self.newest_event, type__in=["access.denied", "decision.refused", "edit.refused"])
        return tuple(chain.read_line(row.line)["data"] for row in rows)

    def _moved(self, touched: set[str], place: str) -> frozenset[str]:
        """The tables that differ from how they stood in the house. What the call did is undone afterwards."""
        now = {table: _digest(table) for table in touched}
        if now:
            transaction.savepoint_rollback(place)
        for table in touched - set(self.stood):
            self.stood[table] = _digest(table)
        return frozenset(table for table, digest in now.items() if digest != self.stood[table])


def _unnamed(answer: Answer) -> Iterator[str]:
    if not any(denial.get("right") or denial.get("code") == "bound" for denial in answer.denials):
        yield "the record does not name the missing right"
    if "missing right" not in answer.text and '"right": ""' in answer.text:
        yield "the 403 does not name the missing right"


def _session(person: Any) -> str:
    client = Client()
    client.force_login(person, backend="aegis.identity.backends.PersonBackend")
    return client.cookies["sessionid"].value


def _digest(table: str) -> str:
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        columns = [column[0] for column in cursor.description]
        kept = [index for index, column in enumerate(columns) if column not in HEADS.get(table, set())]
        for row in sorted(repr([row[index] for index in kept]) for row in cursor.fetchall()):
            digest.update(row.encode())
    return digest.hexdigest()


def _content(response: Any) -> bytes:
    if getattr(response, "streaming", False):
        return b"".join(response.streaming_content)
    content: bytes = response.content
    return content


def _text(response: Any, content: bytes) -> str:
    """Body and headers, entities and escapes read, in small letters."""
    body = content.decode("utf-8", "replace")
    if "json" in response.headers.get("Content-Type", "") and body:
        texts = body.splitlines() if "ndjson" in response.headers["Content-Type"] else [body]
        body = "\n".join(json.dumps(json.loads(text), ensure_ascii=False) for text in texts)
    return html.unescape(f"{dict(response.headers)} {body}").lower()
