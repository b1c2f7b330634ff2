"""What the command says about itself, without a database or settings."""

from typing import Annotated

import typer


def _print_version(asked: bool) -> None:  # noqa: FBT001
    from importlib.metadata import version

    if asked:
        typer.echo(version("sceau"))
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and nothing else.")
]
"""`sceau --version`: the version of the installed package."""
