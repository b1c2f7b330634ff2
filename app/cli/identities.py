"""`sceau identities`: callers that are known by access tokens, and whether their issuers can be asked for keys."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.auth.callers import CallerKind, Identity, Scope
from app.cli.connecting import DataOption, connected, deployment
from app.cli.keys import SCOPES, all_callers, show_callers
from app.cli.output import JsonOption, echo_json

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck
    from app.db.database import Database

identities = typer.Typer(no_args_is_help=True, help="Let in callers by the access tokens of an issuer.")


@identities.command("register")
def identities_register(  # noqa: PLR0917 - a command's options
    name: Annotated[str, typer.Argument(help="What the caller is called.")],
    subject: Annotated[str, typer.Option(help="`sub` of its tokens.")],
    scope: Annotated[list[Scope], typer.Option(metavar="SCOPE", help=SCOPES)],
    issuer: Annotated[str | None, typer.Option(help="`iss` of its tokens; none: the only issuer there is.")] = None,
    client: Annotated[str | None, typer.Option(help="`client_id` of its tokens; none: whichever.")] = None,
    processing: Annotated[list[str] | None, typer.Option(help="A processing it may name; none: every one.")] = None,
    kind: Annotated[CallerKind, typer.Option(help="A program, or a person: one of your staff.")] = CallerKind.MACHINE,
    data: DataOption = None,
) -> None:
    """Make a caller that shows access tokens in the place of a key. It is listed and revoked with `sceau keys`."""
    from app.operations.callers.keys import NewCaller, register_identity

    wanted = NewCaller(name, frozenset(scope), frozenset(processing) if processing else None, kind)

    async def register(database: "Database") -> UUID:
        check = _check()
        named = issuer if issuer is not None else _only(check)
        async with database.write() as session:
            made = await register_identity(session, None, wanted, Identity(named, subject, client), check)
        return made.id

    typer.echo(f"id {connected(data, register)}; its tokens are taken from now on.")


@identities.command("list")
def identities_list(
    every: Annotated[bool, typer.Option("--all", help="Those that were revoked, too.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """List the callers that are known by tokens, oldest first, and when one was last shown."""
    known = [each for each in all_callers(data) if each.caller.identity is not None]
    show_callers([each for each in known if every or each.caller.revoked_at is None], every, as_json)


@identities.command("issuers")
def identities_issuers(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Ask every issuer of SCEAU_OIDC_ISSUER for its keys, as the service does, and tell how that went."""
    with deployment(data):
        found = asyncio.run(_ask())
    if as_json:
        echo_json(found)
    for each in found if not as_json else ():
        keys = "; ".join(f"{key['id'] or 'without an id'} ({', '.join(key['algorithms'])})" for key in each["keys"])
        failed = f"no keys ({each['error']})"
        typer.echo(f"{each['issuer']}: {keys if each['error'] is None else failed}")
    if any(each["error"] is not None for each in found):
        raise typer.Exit(1)


async def _ask() -> list[dict[str, Any]]:
    from app.auth.issuer_trust import IssuerUnavailableError

    check = _check()
    found: list[dict[str, Any]] = []
    try:
        for name, issuer in check.issuers.items():
            try:
                fetched = await issuer.fetch()
            except IssuerUnavailableError as error:
                found.append({"issuer": name, "error": error.why, "keys": []})
            else:
                keys = [{"id": key.key_id, "algorithms": sorted(key.algorithms)} for key in fetched.keys]
                found.append({"issuer": name, "error": None, "keys": keys})
    finally:
        await check.close()
    return found


def _check() -> "TokenCheck":
    from app.settings import Settings
    from app.settings.environment import SettingsError
    from app.wiring.parts import deployment_of, token_check_of

    settings = Settings.load()
    check = token_check_of(settings, deployment_of(settings).pseudonyms)
    if check is None:
        raise SettingsError("SCEAU_OIDC_ISSUER is not set: no access tokens are taken")
    return check


def _only(check: "TokenCheck") -> str:
    from app.settings.environment import SettingsError

    names = list(check.issuers)
    if len(names) != 1:
        raise SettingsError("SCEAU_OIDC_ISSUER names several issuers: say which with --issuer")
    return names[0]
