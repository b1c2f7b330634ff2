"""What the command says of itself: its version, its help at once, completion, and how it is used."""

import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer
from typer.completion import get_completion_inspect_parameters, install_callback, show_callback
from typer.main import get_command

from app.cli.output import GivenFileError
from app.cli.words import present


def _print_version(wanted: bool) -> None:  # noqa: FBT001
    from importlib.metadata import version

    if wanted:
        typer.echo(version("sceau"))
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and nothing else.")
]
"""`sceau --version`: the version of the installed package."""


# The help of a command is printed without parsing the groups before it.
# Typer imports pydantic as soon as a group parses the words before a command's name, which doubles the time that a help
# takes. So the command is looked up by the words, and asked for its help.

_HELP = "--help"


def say_help(app: typer.Typer, words: Sequence[str]) -> bool:
    """Print the help that is asked for; return False if none is, or a word names no command, which parsing reports.

    Args:
        app: the command.
        words: the words that were typed after its name.

    """
    if _HELP not in words:
        return False
    words = present(words)
    command = get_command(app)
    context = typer.Context(command, info_name="sceau")
    for word in words[: words.index(_HELP)]:
        inner = getattr(command, "commands", None)
        if inner is None:
            break  # the words after a command are its arguments
        if word not in inner:
            return False
        command = inner[word]
        context = typer.Context(command, parent=context, info_name=word)
    typer.echo(command.get_help(context))
    return True


# Completion in a shell is typer's, but asked for by flags: typer's options for it have no default, and so import
# pydantic at each start, which takes every command a fifth of a second.

_ASKED: Final = "_SCEAU_COMPLETE"
"""The environment variable that a shell sets when it asks for completions."""


def prepare_completion() -> None:
    """Register the shells with typer, if a shell asks for completions."""
    if _ASKED in os.environ:
        get_completion_inspect_parameters()


def _prepared(callback: Callable[..., Any]) -> Callable[[typer.Context, typer.CallbackParam, bool], None]:
    def act(context: typer.Context, parameter: typer.CallbackParam, wanted: bool) -> None:  # noqa: FBT001
        if wanted:
            get_completion_inspect_parameters()
            callback(context, parameter, wanted)

    return act


InstallOption = Annotated[
    bool,
    typer.Option(
        "--install-completion",
        is_eager=True,
        callback=_prepared(install_callback),
        help="Install completion for this shell.",
    ),
]
ShowOption = Annotated[
    bool,
    typer.Option(
        "--show-completion",
        is_eager=True,
        callback=_prepared(show_callback),
        help="Print the completion of this shell, to install it yourself.",
    ),
]


def usage(error: typer.TyperException) -> str | None:
    """The line to print for wrong usage, which names the help to read; None if the help was printed already."""
    if isinstance(error, GivenFileError):
        return error.message
    text = " ".join(error.format_message().replace("Value error, ", "").split())
    if not text or "Usage:" in text:
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", "sceau")
    return f"{text[:1].lower()}{text[1:].rstrip('.')} ({path} --help)"
