"""`sceau config check`: every wrong setting at once."""

import os

import typer

from app.cli.output import JsonOption, echo_json

config = typer.Typer(no_args_is_help=True, help="The settings of this environment.")


@config.callback()
def _group() -> None:
    """Keep `check` a command of its own."""


@config.command("check")
def config_check(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say of every wrong or missing setting what is wrong and how to mend it. Exit 1 if there is one.

    It reads SCEAU_… and the files that SCEAU_…_FILE name, connects to nothing, and prints no value.
    """
    from app.wiring.all_errors import settings_errors

    found = settings_errors(os.environ)
    if as_json:
        echo_json({"errors": found})
    else:
        for each in found:
            typer.echo(each)
        typer.echo(f"{_counted(len(found))} wrong." if found else "Every setting is as it should be.", err=True)
    if found:
        raise typer.Exit(1)


def _counted(number: int) -> str:
    return "1 setting is" if number == 1 else f"{number} settings are"
