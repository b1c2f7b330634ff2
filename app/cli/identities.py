"""`sceau identities`: callers that are known by access tokens, and whether their issuers can be asked for keys."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.auth.callers import CallerKind, Identity
from app.auth.scopes import Scope
from app.cli.connecting import DataOption, connected, deployment

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck
    from app.db.database import Database

identities = typer.Typer(no_args_is_help=True, help="Let in callers by the access tokens of an issuer.")


@identities.command("register")
def identities_register(  # noqa: PLR0917 - a command's options
    name: Annotated[str, typer.Argument(help="What the caller is called.")],
    subject: Annotated[str, typer.Option(help="`sub` of its tokens.")],
    scope: Annotated[list[Scope], typer.Option(help="A scope; repeat for more.")],
    issuer: Annotated[str | None, typer.Option(help="`iss` of its tokens; none: the only issuer there is.")] = None,
    client: Annotated[str | None, typer.Option(help="`client_id` of its tokens; none: whichever.")] = None,
    processing: Annotated[list[str] | None, typer.Option(help="A processing it may name; none: every one.")] = None,
    kind: Annotated[CallerKind, typer.Option(help="A program, or a person: one of your staff.")] = CallerKind.MACHINE,
    data: DataOption = None,
) -> None:
    """Make a caller that shows access tokens in the place of a key. It is listed and revoked with `sceau keys`."""
    from app.operations.callers.create_key import NewCaller
    from app.operations.callers.register_identity import register_identity

    wanted = NewCaller(name, frozenset(scope), frozenset(processing) if processing else None, kind)

    async def register(database: "Database") -> UUID:
        check = _check()
        named = issuer if issuer is not None else _only(check)
        async with database.write() as session:
            made = await register_identity(session, None, wanted, Identity(named, subject, client), check)
        return made.id

    typer.echo(f"id {connected(data, register)}; its tokens are taken from now on.")


@identities.command("issuers")
def identities_issuers(data: DataOption = None) -> None:
    """Ask every issuer of SCEAU_OIDC_ISSUER for its keys, as the service does, and tell how that went."""
    with deployment(data):
        failed = asyncio.run(_ask())
    if failed:
        raise typer.Exit(1)


async def _ask() -> bool:
    from app.auth.issuer_errors import IssuerUnavailableError

    check, failed = _check(), False
    try:
        for name, issuer in check.issuers.items():
            try:
                found = await issuer.fetch()
            except IssuerUnavailableError as error:
                failed = True
                typer.echo(f"{name}: no keys ({error.why})")
            else:
                told = (f"{key.key_id or 'without an id'} ({', '.join(sorted(key.algorithms))})" for key in found.keys)
                typer.echo(f"{name}: {'; '.join(told)}")
    finally:
        await check.close()
    return failed


def _check() -> "TokenCheck":
    from app.settings import Settings
    from app.settings.environment import SettingsError
    from app.wiring.deployment import deployment_of
    from app.wiring.issuers import token_check_of

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
