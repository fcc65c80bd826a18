"""`manage.py aegis halt|resume|breaker`: the stop within reach of whoever has the command line.

Exit codes: 0 done, or it was so already; 2 wrong use, or refused.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid, NotFound
from aegis.identity import cli
from orchestration.engine.guards import verbs
from orchestration.engine.guards.models import Breaker, Halt, HeldRun


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("halt", "Stop an agent, a workflow or everything; alone: list what is halted.", _halt_arguments, halt)
    commands.register("resume", "Let what is halted go on.", _resume_arguments, resume)
    commands.register("breaker", "Open or close a circuit breaker; alone: list them.", _breaker_arguments, breaker)


def halt(options: dict[str, Any], terminal: Terminal) -> int:
    """Without a target: say what is halted."""
    target = _target(options)
    if target is None:
        return _list_halts(terminal)
    placed = verbs.halt(*target, actor=cli.actor_or_system(options), reason=options["reason"])
    word = "Halted" if placed.is_new else "It is halted already"
    terminal.line(f"{word}: {_called(placed.halt)}")
    return 0


def resume(options: dict[str, Any], terminal: Terminal) -> int:
    target = _target(options)
    if target is None:
        raise Invalid("Say what: --agent NAME, --workflow NAME or --everything")
    what, name = target
    row = Halt.objects.filter(scope=what, name=name).exclude(status=Halt.Status.LIFTED).first()
    if row is None:
        raise NotFound("That is not halted")
    placed = verbs.resume(row.pk, actor=cli.actor_or_system(options), reason=options["reason"], pace=options["pace"])
    terminal.line(f"{'Resumed' if placed.is_new else 'It is being resumed already'}: {_called(placed.halt)}")
    return 0


def breaker(options: dict[str, Any], terminal: Terminal) -> int:
    """Without a verb: say which breakers are not closed."""
    if not options["verb"]:
        rows = Breaker.objects.filter(is_stirred=True).order_by("key")
        for row in rows:
            until = f", until {row.until:%H:%M:%S} UTC" if row.until else ""
            held = HeldRun.objects.filter(guard=f"breaker:{row.key}").count()
            terminal.line(f"{row.key}: {row.get_phase_display()}{until}, {held} runs held")
        if not rows:
            terminal.line("Every breaker is closed.")
        return 0
    kind, _, name = options["key"].partition(":")
    switch = verbs.open_breaker if options["verb"] == "open" else verbs.close_breaker
    switched = switch(kind, name, actor=cli.actor_or_system(options), reason=options["reason"])
    terminal.line(f"{switched.breaker.key} is {switched.breaker.get_phase_display()}.")
    return 0


def _list_halts(terminal: Terminal) -> int:
    rows = Halt.objects.exclude(status=Halt.Status.LIFTED).order_by("placed_at")
    for row in rows:
        held = HeldRun.objects.filter(guard=f"halt:{row.pk}").count()
        terminal.line(f"{_called(row)}: {row.get_status_display()} since {row.placed_at:%d %B %H:%M:%S} UTC, {held} runs held")
    if not rows:
        terminal.line("Nothing is halted.")
    return 0


def _called(row: Halt) -> str:
    return f"{row.scope} {row.name}".strip()


def _target(options: dict[str, Any]) -> tuple[str, str] | None:
    chosen = [("agent", options["agent"]), ("workflow", options["workflow"]), ("everything", options["everything"])]
    found = [(what, value if isinstance(value, str) else "") for what, value in chosen if value]
    if len(found) > 1:
        raise Invalid("One thing at a time")
    return found[0] if found else None


def _halt_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--agent", default="", metavar="NAME")
    parser.add_argument("--workflow", default="", metavar="NAME")
    parser.add_argument("--everything", action="store_true")
    cli.add_who_and_why(parser)


def _resume_arguments(parser: ArgumentParser) -> None:
    _halt_arguments(parser)
    parser.add_argument("--pace", type=int, default=verbs.DEFAULT_PACE, metavar="N", help="held runs that go on per second")


def _breaker_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", default="", choices=["open", "close", ""])
    parser.add_argument("key", nargs="?", default="", metavar="agent:NAME|capability:NAME")
    cli.add_who_and_why(parser)
