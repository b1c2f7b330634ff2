"""`sceau probe`: whether a service keeps its promise, as callers see it over HTTP."""

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer

_NAME: Final = "SCEAU_KEY"


def probe(  # noqa: PLR0917 - a command's options
    url: Annotated[str, typer.Option(help="The service's address, such as https://sceau.example.fr.")],
    processing: Annotated[str, typer.Option(help="A processing of IV, registered for the probe alone.")],
    exempt: Annotated[str | None, typer.Option(help="An exempt processing (III) to ask about as well.")] = None,
    subject: Annotated[str, typer.Option(help="An id that nobody has.")] = "probe@sceau.invalid",
    kind: Annotated[str, typer.Option("--type", help="The type of that id.")] = "user",
    times: Annotated[int, typer.Option(min=1, max=10_000, help="How often to ask after the withdrawal.")] = 64,
    key_file: Annotated[Path | None, typer.Option(help=f"A file with the key; else {_NAME} holds it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,  # noqa: FBT002
) -> None:
    """Grant, ask, withdraw, and ask again over many connections, so that every worker is met.

    The key needs the scopes register:read, consents:write and decisions:evaluate. The processing needs the party mode
    user_only. Exits with 0 if the promise held, 1 if anything was permitted after the withdrawal, and 2 if it could not
    be checked or a question was not answered.
    """
    from app.cli.watching.asking import ProbedService, ProbeFailedError
    from app.cli.watching.promise import Probe, check_promise

    target = ProbedService(url.rstrip("/"), _key(key_file))
    try:
        found = check_promise(target, Probe(processing, {"type": kind, "id": subject}, times, exempt))
    except ProbeFailedError as error:
        if as_json:
            typer.echo(json.dumps({"held": None, "why": str(error)}))
        else:
            typer.echo(f"sceau: not checked: {error}", err=True)
        raise typer.Exit(2) from None
    told = {
        "held": found.held,
        "asked": times,
        "denied": found.denied,
        "permitted": found.permitted,
        "unanswered": found.unanswered,
        "withdrawal_seconds": found.withdrawal_seconds,
        "exempt_permitted": found.exempt,
    }
    words = "held" if found.held else "BROKEN"
    line = (
        f"{words}: after the withdrawal {found.denied} of {times} questions denied, {found.permitted} permitted, "
        f"{found.unanswered} not answered"
    )
    typer.echo(json.dumps(told) if as_json else line + ("" if found.exempt is not False else "; exempt: not permitted"))
    if not found.held:
        raise typer.Exit(1)
    if not found.complete:
        raise typer.Exit(2)


def _key(file: Path | None) -> str:
    """The key, which no argument may hold: arguments are seen by everybody on the machine."""
    if file is not None:
        try:
            key = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            typer.echo(f"sceau: {file}: {why}", err=True)
            raise typer.Exit(2) from None
    else:
        key = os.environ.get(_NAME, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        typer.echo(f"sceau: no key: set {_NAME}, or name a file with --key-file", err=True)
        raise typer.Exit(2)
    return key
