"""The id of a person, read from standard input."""

import sys

import typer


def typed_id() -> str:
    """The one line of standard input.

    Raises:
        Exit: there is none, more than one, or one that is not UTF-8.

    """
    if sys.stdin is None:
        raise _refused("standard input is closed: pipe the id in, or type it")
    if sys.stdin.isatty():
        typer.echo("The id, in one line: ", nl=False, err=True)
        given = sys.stdin.buffer.readline()
    else:
        given = sys.stdin.buffer.read()
    try:
        lines = given.decode().splitlines()
    except UnicodeDecodeError as error:
        raise _refused("the id is not UTF-8") from error
    if len(lines) > 1:
        raise _refused("standard input gave more than one line: one id at a time")
    if not lines or not lines[0].strip():
        raise _refused("standard input gave no id: pipe it in, or type it")
    return lines[0].strip()


def _refused(why: str) -> typer.Exit:
    typer.echo(f"sceau: {why}", err=True)
    return typer.Exit(2)
