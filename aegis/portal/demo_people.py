"""The demo's people, with passwords made for this installation alone.

The passwords lie in `demo_logins.json` of the data folder (mode 0600), so that a second start can print them again. A deploy
check refuses such people, and `serve` binds to loopback while there are any.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import Group

from aegis.core.actors import Actor
from aegis.identity import grants, people
from aegis.identity.areas import AREAS, area
from aegis.identity.models import User

FILE = "demo_logins.json"
BY_COMMAND = Actor(kind="system", auth="cli")
REASON = "demo"


@dataclass(frozen=True, slots=True)
class Persona:
    username: str
    name: str
    group: str
    does: str


@dataclass(frozen=True, slots=True)
class Login:
    persona: Persona
    password: str


PERSONAS = (
    Persona("olivia", "Olivia Okafor", "Support operators", "operates: submits requests, decides what operators may"),
    Persona("sam", "Sam Lindqvist", "Support leads", "second approver: decides what needs a lead"),
    Persona("ada", "Ada Moreau", "Admins", "administers: agents, matrix, tables, policies, workflows"),
    Persona("viktor", "Viktor Halasz", "Admins", "security: with sam, the two others who sign what ada widens of high risk"),
    Persona("quinn", "Quinn Tanaka", "Auditors", "audits: sees everything that happened, changes nothing"),
    Persona("mina", "Mina Castell", "Content editors", "edits: revises articles and signs them off (content-pipeline)"),
    Persona("ines", "Ines Novak", "Content editors", "edits as well: nobody signs off what she revised herself"),
    Persona("hugo", "Hugo Baptiste", "Health reviewers", "second approver of articles with health claims (content-pipeline)"),
    Persona("rosa", "Rosa Demir", "Release managers", "releases: decides about builds that carry a risk (qa-release)"),
    Persona("nils", "Nils Aalto", "Site reliability", "on call: decides about fixes of services in production (ops-incident)"),
    Persona("paul", "Paul Iversen", "Operations desk", "answers what agents could not: builds, incidents, invoices"),
    Persona("felix", "Felix Brandt", "Finance controllers", "first approver of changed invoices (invoice-change)"),
    Persona("tara", "Tara Owusu", "Treasury", "second approver of large changes (invoice-change)"),
)


def ensure(data_dir: Path) -> list[Login]:
    """Make the groups, rights and people that are missing; returns the log-ins. Safe to call at every start."""
    path = data_dir / FILE
    known = _read(path)
    passwords = {persona.username: known.get(persona.username) or secrets.token_urlsafe(12) for persona in PERSONAS}
    if passwords != known:
        _write(path, passwords)
    for persona in PERSONAS:
        people.create_group(persona.group, actor=BY_COMMAND, reason=REASON)
    _grant_areas()
    for persona in PERSONAS:
        _ensure_person(persona, passwords[persona.username], is_new_password=persona.username not in known)
    return [Login(persona, passwords[persona.username]) for persona in PERSONAS]


def exist() -> bool:
    """Are there demo people who could sign in?"""
    return User.objects.filter(is_demo=True, is_active=True).exists()


def _grant_areas() -> None:
    rights = [("Auditors", name, "view") for name in AREAS]
    rights += [("Admins", name, "view") for name in AREAS]
    rights += [("Admins", name, "edit") for name in AREAS if name != "audit"]
    rights += [("Site reliability", "workflows", "break")]  # on call: may stop everything at night, in the open
    rights += [("Site reliability", "alerts", verb) for verb in ("view", "operate")]  # and takes on what fires
    groups = {group.name: group for group in Group.objects.filter(name__in={group for group, _, _ in rights})}
    for group, name, verb in rights:
        grants.grant(groups[group], area(name), verb, actor=BY_COMMAND, reason=REASON)


def _ensure_person(persona: Persona, password: str, *, is_new_password: bool) -> None:
    person = User.objects.filter(username=persona.username).first()
    if person is None:
        people.create_person(
            persona.username,
            name=persona.name,
            email=f"{persona.username}@example.org",
            password=password,
            groups=[persona.group],
            is_demo=True,
            actor=BY_COMMAND,
            reason=REASON,
        )
    elif person.is_demo and is_new_password:  # the file was lost; a real person of that name is left alone
        people.set_password(person.pk, password, actor=BY_COMMAND)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: text for name, text in content.items() if isinstance(text, str)} if isinstance(content, dict) else {}


def _write(path: Path, passwords: dict[str, str]) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(passwords, file, indent=1)
    draft.replace(path)
