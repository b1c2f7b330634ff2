"""`sceau links create`: a link to the consent page for one person."""

from typing import Annotated, Any

import typer

from app.cli.output import JsonOption, echo_json
from app.cli.people.typed_id import typed_ids
from app.cli.remote import HERE, KeyFileOption, UrlOption, remote
from app.core.page.link import Authentication, LinkKind

links = typer.Typer(no_args_is_help=True, help="Links to the consent page.")


@links.callback()
def _group() -> None:
    """Keep `create` a command of its own."""


@links.command("create")
def links_create(  # noqa: PLR0917 - a command's options
    processing: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A processing; repeat. None for `overview`.")
    ] = None,
    authentication: Annotated[
        Authentication, typer.Option(metavar="HOW", help="How you know who opens it: mailbox, signed_in, …")
    ] = Authentication.MAILBOX,
    kind: Annotated[
        LinkKind, typer.Option(metavar="KIND", help="decide, withdraw, joint or overview.")
    ] = LinkKind.DECIDE,
    by_person: Annotated[bool, typer.Option("--by-person", help="The person asked to decide.")] = False,  # noqa: FBT002
    request_reference: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What shows that request; needed with --by-person.")
    ] = None,
    territory: Annotated[str, typer.Option(metavar="CODE", help="Where the person is asked (ISO 3166-1).")] = "FR",
    parent_checked_how: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="Of `joint`: how parental responsibility was checked: identity_document, …"),
    ] = None,
    subject_type: Annotated[str, typer.Option("--type", help="The namespace of the id.")] = "user",
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make a link, and print its address: whoever has it can decide for that person. Standard input gives the id.

    For `joint` a second line gives the parent's. It asks a running service, with a key of scope consents:write.
    """
    who = [{"type": subject_type, "id": each} for each in typed_ids(2 if kind is LinkKind.JOINT else 1)]
    wanted: dict[str, Any] = {
        "subject": who[0],
        "authentication": authentication.value,
        "kind": kind.value,
        "by_person": by_person,
        "territory": territory,
        **({"request_reference": request_reference} if request_reference is not None else {}),
        **({"parent": who[1], "parent_checked_how": parent_checked_how} if who[1:] else {}),
        **({"processings": processing} if processing else {}),
    }
    with remote(url, key_file) as service:
        made = service.send("POST", "/v1/consent-links", wanted)
    if as_json:
        echo_json(made)
        return
    for each in made.get("left_out") or ():
        until = f" until {each['until']}" if each.get("until") else ""
        typer.echo(f"{each['processing']} is left out: {each['reason']}{until}", err=True)
    typer.echo(f"It asks until {made['expires_at']}.", err=True)
    typer.echo(made["url"])
    if made.get("parent"):
        typer.echo("The link of the holder of parental responsibility:", err=True)
        typer.echo(made["parent"]["url"])
