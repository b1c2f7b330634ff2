"""Say the help of a command without parsing the others before it.

Typer imports pydantic as soon as a group parses what comes before the name of a command, which doubles the time that a
help takes. So the command is looked up by the words, and asked for its help.
"""

from collections.abc import Sequence

import typer
from typer.main import get_command

_HELP = "--help"


def say_help(app: typer.Typer, words: Sequence[str]) -> bool:
    """Print the help that is asked for; False when none is, or when a word names no command: that is told by parsing.

    Args:
        app: the command.
        words: what was typed behind its name.

    """
    if _HELP not in words:
        return False
    command = get_command(app)
    context = typer.Context(command, info_name="sceau")
    for word in words[: words.index(_HELP)]:
        inner = getattr(command, "commands", None)
        if inner is None:
            break  # what comes behind a command is its own
        if word not in inner:
            return False
        command = inner[word]
        context = typer.Context(command, parent=context, info_name=word)
    typer.echo(command.get_help(context))
    return True
