"""Completion of the command in a shell: typer's own, asked for by flags.

Typer's own options for it have no default, and so import pydantic at each start: a fifth of a second for every command.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.completion import get_completion_inspect_parameters, install_callback, show_callback

_ASKED: Final = "_SCEAU_COMPLETE"
"""What a shell sets when it asks for completions."""


def prepare_completion() -> None:
    """Make typer know the shells, when one asks."""
    if _ASKED in os.environ:
        get_completion_inspect_parameters()


def _prepared(callback: Callable[..., Any]) -> Callable[[typer.Context, typer.CallbackParam, bool], None]:
    def act(context: typer.Context, parameter: typer.CallbackParam, asked: bool) -> None:  # noqa: FBT001
        if asked:
            get_completion_inspect_parameters()
            callback(context, parameter, asked)

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
