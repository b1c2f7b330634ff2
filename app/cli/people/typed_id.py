"""Ids of people, read from standard input: never an argument, which other processes see."""

import sys
from typing import Final

import typer

_LINES: Final = {1: "one line", 2: "two lines"}


def typed_id() -> str:
    """The one line of standard input.

    Raises:
        Exit: there is none, more than one, or one that is not UTF-8.

    """
    return typed_ids(1)[0]


def typed_ids(number: int) -> list[str]:
    """So many lines of standard input.

    Raises:
        Exit: there are fewer, more, or some that are not UTF-8.

    """
    if sys.stdin is None:
        raise _refused("standard input is closed: pipe the id in, or type it")
    if sys.stdin.isatty():
        typer.echo("The id, in one line: " if number == 1 else f"{number} ids, a line each: ", nl=False, err=True)
        given = b"".join(sys.stdin.buffer.readline() for _ in range(number))
    else:
        given = sys.stdin.buffer.read()
    try:
        lines = given.decode().splitlines()
    except UnicodeDecodeError as error:
        raise _refused("the id is not UTF-8") from error
    if len(lines) > number:
        raise _refused(f"standard input gave more than {_LINES[number]}: one id at a time")
    if not lines or not lines[0].strip():
        raise _refused("standard input gave no id: pipe it in, or type it")
    if len(lines) < number or not all(each.strip() for each in lines):
        raise _refused("standard input gave one id: the parent's is the second line")
    return [each.strip() for each in lines]


def _refused(why: str) -> typer.Exit:
    typer.echo(f"sceau: {why}", err=True)
    return typer.Exit(2)
