"""Commands about one person: links to the consent page, erasure and export, by an id that is typed."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connecting import DataOption, connected, deployment_here, settings_here
from app.cli.output import JsonOption, echo_json, fail, written_whole
from app.cli.remote import HERE, KeyFileOption, UrlOption, call, remote
from app.cli.words import group
from app.core.consent_link import Authentication, LinkKind

if TYPE_CHECKING:
    from app.db.database import Database


def typed_ids(number: int) -> list[str]:
    """The lines of standard input, which must be `number` lines.

    Raises:
        Exit: there are fewer or more lines, or one is not UTF-8.

    """
    if sys.stdin is None:
        fail("standard input is closed: pipe the id in, or type it", 2)
    if sys.stdin.isatty():
        typer.echo("The id, in one line: " if number == 1 else f"{number} ids, a line each: ", nl=False, err=True)
        content = b"".join(sys.stdin.buffer.readline() for _ in range(number))
    else:
        content = sys.stdin.buffer.read()
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        fail("the id is not UTF-8", 2)
    if len(lines) > number:
        fail(f"standard input gave more than {'one line' if number == 1 else 'two lines'}: one id at a time", 2)
    if not lines or not lines[0].strip():
        fail("standard input gave no id: pipe it in, or type it", 2)
    if len(lines) < number or not all(each.strip() for each in lines):
        fail("standard input gave one id: the parent's is the second line", 2)
    return [each.strip() for each in lines]


people = group("What is held about one person, and links to the consent page.")


@people.command("link")
def link(  # noqa: PLR0917 - a command's options
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
        made = call(service, "POST", "/v1/consent-links", json=wanted)
    if as_json:
        echo_json(made)
        return
    for left in made.get("left_out") or ():
        until = f" until {left['until']}" if left.get("until") else ""
        typer.echo(f"{left['processing']} is left out: {left['reason']}{until}", err=True)
    asks = "asks" if kind in {LinkKind.DECIDE, LinkKind.JOINT} else "works"
    typer.echo(f"It {asks} until {made['expires_at']}.", err=True)
    typer.echo(made["url"])
    if made.get("parent"):
        typer.echo("The link of the holder of parental responsibility:", err=True)
        typer.echo(made["parent"]["url"])


@people.command("export")
def subject_export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON to write.")],
    kind: Annotated[str, typer.Option("--type", help="The namespace of the id.")] = "user",
    data: DataOption = None,
) -> None:
    """Write everything about a person as JSON (GDPR art. 15 and 20). Standard input gives the id, in one line."""
    from app.operations.proof.export_subject import export_subject, log_about
    from app.operations.service.deployment import SubjectName

    name = SubjectName(kind, *typed_ids(1))

    async def export(database: "Database") -> dict[str, Any]:
        deployment, service = deployment_here(), str(settings_here().public_url)
        logged = await log_about(database, deployment, name)
        async with database.write(at_once=True) as session:
            return await export_subject(session, deployment, None, name, logged, service=service)

    exported = connected(data, export)
    with written_whole(output) as sink:
        json.dump(exported, sink, ensure_ascii=False, indent=2)
    if not any(exported[each] for each in ("events", "consent_links", "looked_at", "decisions_by_day")):
        typer.echo("Nothing is held about this id: check how it is written.", err=True)
    number = len(exported["events"])
    typer.echo("1 event exported." if number == 1 else f"{number} events exported.", err=True)
