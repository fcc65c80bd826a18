"""`manage.py aegis plan|apply|export`: configuration as files, through the one door.

Exit codes: 0 nothing speaks against it (or it was applied, or nothing changes); 1 refused: faults, rights, a moved base;
2 wrong use, or a manifest that cannot be read; 3 a guarded change: a request was opened and waits for two people. Nothing but
0 from `apply` has changed configuration.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aegis.core import commands, manifests
from aegis.core.canonical import Json
from aegis.core.commands import Terminal
from aegis.core.errors import AegisError, Invalid, NotFound
from aegis.core.kinds import Key, all_kinds, get_kind
from aegis.core.manifests import Manifest
from aegis.identity import cli
from aegis.identity.models import User
from approvals import changes, schemas
from approvals.changes import Preview
from approvals.errors import ChangeInvalid, NothingToChange
from approvals.models import ChangeSet

GOOD, REFUSED, WRONG_USE, WAITING = 0, 1, 2, 3

_SIGNS = {"add": "+", "change": "~", "remove": "-"}
Documents = list[tuple[Key, Json | None]]


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("plan", "Say what manifests would change, and what speaks against it.", _plan_arguments, plan)
    commands.register("apply", "Apply manifests, or ask for their approval.", _apply_arguments, apply)
    commands.register("schema", "Write the JSON Schema of a kind, for editors.", _schema_arguments, schema)
    commands.register("export", "Write configuration as manifests.", _export_arguments, export)


def plan(options: dict[str, Any], terminal: Terminal) -> int:
    """Change nothing; 1 if something speaks against the change."""
    found, documents = _documents(options)
    user = cli.person_named(options["as"]) if options["as"] else None
    judged = changes.preview(documents, user)
    return _show(judged, found, terminal)


def apply(options: dict[str, Any], terminal: Terminal) -> int:
    """Apply, all or nothing."""
    found, documents = _documents(options)
    if options["bootstrap"]:
        if options["as"]:
            raise Invalid("--bootstrap acts as the system itself; leave --as out")
        user = None
    elif not options["as"] or not options["reason"]:
        raise Invalid("Say who and why: --as USERNAME --reason TEXT (or --bootstrap for the first configuration)")
    else:
        user = cli.person_named(options["as"])
    judged = changes.preview(documents, user)
    code = _show(judged, found, terminal)
    if code or judged.is_empty:
        return code
    try:
        change_set = _apply(documents, user, options["reason"])
    except NothingToChange:
        return GOOD  # somebody applied the same between looking and acting
    except ChangeInvalid as error:
        _faults(error.faults, terminal)
        return REFUSED
    except AegisError as error:
        terminal.note(f"{error.code}: {error.detail}")
        return REFUSED
    if change_set.status == ChangeSet.Status.PROPOSED:
        terminal.line(f"Waits for approval: request {change_set.pk}")
        return WAITING
    terminal.line(f"Applied: change set {change_set.pk}, {_count(judged)}")
    return GOOD


def export(options: dict[str, Any], terminal: Terminal) -> int:
    """All documents that mean the same elsewhere, those of a kind, or one, in the order in which they are applied."""
    wanted = str(options["what"] or "")
    kind_name, _, name = wanted.partition("/")
    kinds = [get_kind(kind_name)] if kind_name else [kind for kind in all_kinds() if kind.is_portable]
    names = {kind.name: [name] if name else kind.names() for kind in kinds}
    documents = [kind.dump(one) for kind in kinds for one in names[kind.name]]
    if name and documents == [None]:
        raise NotFound(f"There is no {wanted}")
    terminal.out.write(manifests.dump(document for document in documents if document is not None))
    return GOOD


def _apply(documents: Documents, user: User | None, reason: str) -> ChangeSet:
    if user is None:
        return changes.bootstrap(documents, reason=reason) if reason else changes.bootstrap(documents)
    return changes.propose(documents, author=user, actor=cli.actor_for(user), reason=reason)


def schema(options: dict[str, Any], terminal: Terminal) -> int:
    """The schema of one kind, of all kinds into a folder, or of any document."""
    if options["out"]:
        folder = Path(options["out"])
        folder.mkdir(parents=True, exist_ok=True)
        for kind in all_kinds():
            (folder / f"{kind.name}.schema.json").write_text(schemas.as_text(kind.schema), encoding="utf-8")
        terminal.note(f"{len(all_kinds())} schemas written to {folder}.")
    elif options["kind"]:
        terminal.out.write(schemas.as_text(get_kind(options["kind"]).schema))
    else:
        terminal.out.write(schemas.as_text(schemas.of_any_document()))
    return GOOD


def _show(judged: Preview, found: dict[Key, Manifest], terminal: Terminal) -> int:
    """The change in words, then everything against it with its place in the files."""
    if judged.is_empty:
        terminal.line("Nothing to change.")
        return GOOD
    for item in judged.items:
        terminal.line(f"{_SIGNS[item.action]} {item.key}")
        for sentence in item.sentences:
            terminal.line(f"    {sentence}")
    for guard in judged.guards:
        terminal.line(f"! {guard} Two others must approve.")
    own = [found[item.key].locate(fault) if item.key in found else fault for item in judged.items for fault in item.faults]
    faults = [*own, *judged.elsewhere]
    _faults(faults, terminal)
    for missing in judged.missing:
        terminal.note(f"forbidden: {missing}")
    spoken = f", {len(faults)} {'fault' if len(faults) == 1 else 'faults'}" if faults else ""
    terminal.line(f"{_count(judged)}{spoken}.")
    return REFUSED if faults or judged.missing else GOOD


def _faults(faults: Iterable[object], terminal: Terminal) -> None:
    for fault in faults:
        terminal.note(f"fault: {fault}")


def _count(judged: Preview) -> str:
    counts = {action: sum(item.action == action for item in judged.items) for action in _SIGNS}
    return f"{counts['add']} to add, {counts['change']} to change, {counts['remove']} to remove"


def _documents(options: dict[str, Any]) -> tuple[dict[Key, Manifest], Documents]:
    found = {manifest.key: manifest for manifest in manifests.read_paths(options["paths"])}
    for key in found:
        try:
            get_kind(key.kind)
        except NotFound as error:
            raise Invalid(f"{found[key].at('/kind')}: {error.detail}") from None
    removed = [_key(text) for text in options["remove"]]
    if not found and not removed:
        raise Invalid("These files hold no document" if options["paths"] else "Name at least one file or folder")
    return found, [*((key, manifest.document) for key, manifest in found.items()), *((key, None) for key in removed)]


def _key(text: str) -> Key:
    kind, _, name = text.partition("/")
    if not name:
        raise Invalid(f"{text!r} is not of the form Kind/name")
    get_kind(kind)
    return Key(kind, name)


def _plan_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="FILE|DIR")
    parser.add_argument("--remove", action="append", default=[], metavar="KIND/NAME", help="remove a document")
    parser.add_argument("--as", default="", metavar="USERNAME", help="also ask what this person may change")


def _apply_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="FILE|DIR")
    parser.add_argument("--remove", action="append", default=[], metavar="KIND/NAME", help="remove a document")
    parser.add_argument("--as", default="", metavar="USERNAME", help="the person who proposes")
    parser.add_argument("--reason", default="", help="why; recorded")
    parser.add_argument("--bootstrap", action="store_true", help="the first configuration of an installation, by the system")


def _schema_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", default="", metavar="KIND", help="such as Workflow; left out: of any document")
    parser.add_argument("--out", default="", metavar="DIR", help="write one file for every kind instead")


def _export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default="", metavar="KIND[/NAME]")
