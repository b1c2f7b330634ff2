"""`sceau watch`: the event feed of a running service, as it comes."""

import json
from typing import Annotated, Any, Final

import typer

from app.cli.output import JsonOption
from app.cli.remote.service import HERE, KeyFileOption, Remote, UrlOption, remote

_WAIT_SECONDS: Final = 20
_PAGE: Final = 100


def watch(
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Begin after this place; else with the oldest event kept.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing new.")] = False,  # noqa: FBT002
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Print every event in order, with --json one CloudEvent a line, until Ctrl-C. It names consents, never people.

    It needs a key of scope consents:read. At its end it says, on standard error, where to go on.
    """
    place = after
    with remote(url, key_file) as service:
        try:
            while True:
                page = _page(service, place, wait=0 if once else _WAIT_SECONDS)
                for event in page["events"]:
                    typer.echo(json.dumps(event, ensure_ascii=False) if as_json else _line(event))
                place = page["next"]
                if once and not page["events"]:
                    return
        finally:
            if place is not None:
                typer.echo(f"Go on with: --after {place}", err=True)


def _page(service: Remote, place: str | None, *, wait: int) -> Any:  # noqa: ANN401 - JSON
    asked: dict[str, str | int] = {"limit": _PAGE, "wait": wait}
    if place is not None:
        asked["after"] = place
    return service.get("/v1/events", **asked)


def _line(event: dict[str, Any]) -> str:
    """An event for a person: when, what, and what it is about."""
    kind = str(event["type"]).removeprefix("fr.sceau.")
    about = "  ".join(f"{name} {value}" for name, value in event["data"].items() if isinstance(value, str | int))
    return f"{event['time']}  {kind:28}  {about}"
