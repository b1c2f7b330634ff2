"""The commands of `sceau`, by who uses them, and the present name of each former one."""

import os
import re
import select
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

BY_USER: Final = {
    "Who runs a deployment": ("serve", "migrate", "doctor", "keys", "recovery"),
    "Who answers for the processing": ("register", "people", "consents", "report"),
    "Who checks it": ("log", "proof", "test"),
}
"""The commands at top level, in the order of the help."""

FORMER: Final = {
    "worker": "serve --jobs-only",
    "openapi": "serve --openapi",
    "status": "doctor status",
    "config": "doctor settings",
    "config check": "doctor settings",
    "probe": "doctor probe",
    "identities": "keys identities",
    "signing-keys": "keys signing",
    "export": "recovery export",
    "restore": "recovery restore",
    "restore-check": "recovery check",
    "replay-journal": "recovery replay",
    "accept-restore": "recovery accept",
    "apply": "register apply",
    "links": "people",
    "links create": "people link",
    "subject": "people",
    "import": "consents import",
    "evaluate": "consents evaluate",
    "rebuild-projection": "consents rebuild",
    "retention": "consents retention",
    "limits": "log limits",
    "watch": "log watch",
}
"""The former names of commands, with the command that each runs. Scripts of deployments use them, so they stay."""


def present(words: Sequence[str]) -> list[str]:
    """What was typed, with a former name at its beginning replaced by the present one."""
    for length in (2, 1):
        now = FORMER.get(" ".join(words[:length]))
        if now is not None and len(words) >= length:
            return [*now.split(), *words[length:]]
    return [*words]


def group(about: str) -> typer.Typer:
    """A group of commands, which says its help when it is called without one."""
    return typer.Typer(cls=WordGroup, no_args_is_help=True, help=about)


class WordGroup(TyperGroup):
    """A group whose help shows the whole first sentence of each command's help."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands into the help."""
        self._write(formatter, "Commands", self.list_commands(ctx))

    def _write(self, formatter: "HelpFormatter", title: str, words: Sequence[str]) -> None:
        width = max(map(len, self.commands))
        with formatter.section(title):
            formatter.write_dl([(f"{word:{width}}", _first_sentence(self.commands[word].help)) for word in words])


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0]


class RootGroup(WordGroup):
    """The command itself: it knows former names, sorts its help by user, and ends quietly when its reader leaves."""

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """Find the command that some words name, by their present or their former name."""
        return super().resolve_command(ctx, present(args))

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:  # noqa: ARG002 - as click has it
        """Write the words into the help, by who uses them."""
        for user, words in BY_USER.items():
            self._write(formatter, user, words)

    def invoke(self, ctx: "Context") -> Any:  # noqa: ANN401 - as click has it
        """Run the command; a reader of its output that has seen enough (`| head`) is no error.

        Raises:
            Exit: the reader left.

        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not reader_left():
                raise
            raise typer.Exit(0) from None


def reader_left() -> bool:
    """Whether standard output has lost its reader; then nothing more is written to it."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return False  # standard output is no file, as in tests
    watched = select.poll()
    watched.register(output, 0)
    if not any(events & select.POLLERR for _, events in watched.poll(0)):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return True
