"""`sceau doctor probe`: whether a service keeps its promise, as callers see it over HTTP."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.remote import HERE, KeyFileOption, ServiceRefusedError, UrlOption, key_of


def probe(  # noqa: PLR0917 - a command's options
    processing: Annotated[str, typer.Option(help="A processing of IV, registered for the probe alone.")],
    exempt: Annotated[str | None, typer.Option(help="An exempt processing (III) to ask about as well.")] = None,
    subject: Annotated[str, typer.Option(help="An id that nobody has.")] = "probe@sceau.invalid",
    kind: Annotated[str, typer.Option("--type", help="The type of that id.")] = "user",
    times: Annotated[int, typer.Option(min=1, max=10_000, help="How often to ask after the withdrawal.")] = 64,
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,  # noqa: FBT002
) -> None:
    """Grant, ask, withdraw, and ask again over many connections, so that every worker is met.

    The key needs the scopes register:read, consents:write and decisions:evaluate. The processing needs the party mode
    user_only. Exits with 0 if the promise held, 1 if anything was permitted after the withdrawal, and 2 if it could not
    be checked or a question was not answered.
    """
    from app.cli.promise import ProbedService, ProbeFailedError, check_promise

    try:
        target = ProbedService(url.rstrip("/"), key_of(key_file))
        report = check_promise(target, processing, {"type": kind, "id": subject}, times, exempt)
    except (ProbeFailedError, ServiceRefusedError) as error:
        if as_json:
            typer.echo(json.dumps({"held": None, "why": str(error)}))
        else:
            typer.echo(f"sceau: not checked: {error}", err=True)
        raise typer.Exit(2) from None
    doc = {"held": report.held, "asked": times, **asdict(report)}
    words = "held" if report.held else "BROKEN"
    exempt_line = "; exempt: not permitted" if report.exempt_permitted is False else ""
    line = (
        f"{words}: after the withdrawal {report.denied} of {times} questions denied, {report.permitted} permitted, "
        f"{report.unanswered} not answered{exempt_line}"
    )
    typer.echo(json.dumps(doc) if as_json else line)
    if not report.held:
        raise typer.Exit(1)
    if not report.complete:
        raise typer.Exit(2)
