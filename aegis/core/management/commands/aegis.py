"""`manage.py aegis <word> ...`: one front for the commands of every app. An edge of the error tree."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from aegis.core import commands
from aegis.core.errors import AegisError


class Command(BaseCommand):
    help = "Govern AEGIS from the command line."

    def add_arguments(self, parser: CommandParser) -> None:
        # Plain parsers below: Django's own asks for arguments that only the outer one is given.
        words = parser.add_subparsers(dest="word", metavar="word", required=True, parser_class=ArgumentParser)
        for subcommand in commands.all_subcommands():
            subcommand.add_arguments(words.add_parser(subcommand.name, help=subcommand.help, description=subcommand.help))

    def handle(self, *args: Any, **options: Any) -> None:
        subcommand = next(known for known in commands.all_subcommands() if known.name == options["word"])
        # Django's wrappers end every write with a new line, which would break a progress bar.
        self.stdout.ending = self.stderr.ending = ""
        terminal = commands.Terminal(out=self.stdout, err=self.stderr)  # type: ignore[arg-type]  # OutputWrapper writes like one
        try:
            code = subcommand.handle(options, terminal)
        except AegisError as error:
            terminal.note(f"{error.code}: {error.detail}")
            for fault in error.faults:
                terminal.note(f"  {fault}")
            code = 2
        if code:
            sys.exit(code)
