"""`sceau keys`: callers and their keys, as an operator at the machine makes, changes and revokes them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.auth.callers import ApiKey, CallerKind, Identity, Scope
from app.cli.connecting import DataOption, confirmed, connected, deployment, deployment_here, settings_here
from app.cli.output import JsonOption, duration, echo_json
from app.cli.signing_keys import signing_keys
from app.cli.words import group

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck
    from app.db.database import Database
    from app.operations.callers import CallerView, MadeKey, Rotated

keys = group("Callers, their keys and identities, and the deployment's signing keys.")
keys.add_typer(signing_keys, name="signing")


SCOPES = f"A scope; repeat for more. There are: {', '.join(Scope)}."
Caller = Annotated[UUID, typer.Argument(help="The caller's id.")]
ExpiresIn = Annotated[
    timedelta | None,
    typer.Option(parser=duration, metavar="P90D", help="How long the key is good; none: until it is revoked."),
]


@keys.command("create")
def keys_create(  # noqa: PLR0917 - a command's options
    name: Annotated[str, typer.Argument(help="What the caller is called.")],
    scope: Annotated[list[Scope], typer.Option(metavar="SCOPE", help=SCOPES)],
    processing: Annotated[list[str] | None, typer.Option(help="A processing it may name; none: every one.")] = None,
    kind: Annotated[CallerKind, typer.Option(help="A program, or a person: one of your staff.")] = CallerKind.MACHINE,
    expires_in: ExpiresIn = None,
    data: DataOption = None,
) -> None:
    """Make a caller, and print its key: once, on standard output."""
    from app.operations.callers import NewCaller, create_key, find_unregistered

    async def make(database: "Database") -> "tuple[MadeKey, list[str]]":
        async with database.write() as session:
            expires_at = await session.now() + expires_in if expires_in is not None else None
            processings = frozenset(processing) if processing else None
            wanted = NewCaller(name, frozenset(scope), processings, kind, expires_at)
            made = await create_key(session, None, wanted)
            return made, await find_unregistered(session, made.caller)

    made, unregistered = connected(data, make)
    typer.echo(f"id {made.caller.id}; the key is shown once:", err=True)
    if unregistered:
        typer.echo(
            f"not registered now: {', '.join(unregistered)} (sceau register apply, or check how it is written)",
            err=True,
        )
    typer.echo(made.secret)


@keys.command("list")
def keys_list(
    every: Annotated[bool, typer.Option("--all", help="Those that were revoked or have expired, too.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """List callers with their keys and when those were last used, oldest first; never the keys themselves."""
    show_callers(data, every, as_json)


def all_callers(data: DataOption) -> "tuple[list[CallerView], datetime]":
    """Every caller, oldest first, and the instant at which they were read."""
    from app.operations.callers import list_callers

    async def listed(database: "Database") -> "tuple[list[CallerView], datetime]":
        callers: list[CallerView] = []
        after: UUID | None = None
        async with database.read() as session:
            now = await session.now()
            while page := await list_callers(session, None, after=after, limit=100):
                after = page[-1].caller.id
                callers += page
        return callers, now

    return connected(data, listed)


def show_callers(data: DataOption, every: bool, as_json: bool, *, by_tokens: bool = False) -> None:  # noqa: FBT001
    """Print callers: lines for a person, or one JSON document.

    `every`: revoked ones and all of their keys too. `by_tokens`: only those known by tokens.
    """
    views, now = all_callers(data)
    callers = [view for view in views if every or view.caller.revoked_at is None]
    shown = [view for view in callers if not by_tokens or view.caller.identity is not None]
    keys = {view.caller.id: [key for key in view.keys if every or key.in_force(now)] for view in shown}
    if as_json:
        echo_json([_json_of(view, keys[view.caller.id]) for view in shown])
        return
    for view in shown:
        for line in _lines(view, keys[view.caller.id], now):
            typer.echo(line)


@keys.command("change")
def keys_change(  # noqa: PLR0917 - a command's options
    identifier: Caller,
    name: Annotated[str | None, typer.Option(help="What it is called from now on.")] = None,
    scope: Annotated[
        list[Scope] | None, typer.Option(metavar="SCOPE", help="Its scopes from now on, all of them; repeat.")
    ] = None,
    processing: Annotated[list[str] | None, typer.Option(help="The processings it may name from now on.")] = None,
    every_processing: Annotated[bool, typer.Option("--every-processing", help="It may name every one.")] = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Change what a caller may do, and return when no process of the service allows it more. What is left out stays."""
    from app.operations.callers import CallerChange, change_caller

    if processing and every_processing:
        raise typer.BadParameter("either names processings or every one")
    listed = frozenset(processing) if processing else None
    change = CallerChange(name, frozenset(scope) if scope else None, listed, every_processing=every_processing)

    async def apply(database: "Database") -> None:
        async with confirmed(database) as session:
            await change_caller(session, None, identifier, change)

    with _named(identifier):
        connected(data, apply)
    typer.echo(f"{identifier} is changed.")


@keys.command("rotate")
def keys_rotate(
    identifier: Caller,
    overlap: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="P7D", help="How long its keys before are still good."),
    ] = None,
    compromised: Annotated[bool, typer.Option("--compromised", help="End its keys before at once.")] = False,  # noqa: FBT002
    expires_in: ExpiresIn = None,
    data: DataOption = None,
) -> None:
    """Make a new key for a caller, and print it: once, on standard output. Its keys before are good for a week more."""
    from app.auth.callers import KEY_OVERLAP
    from app.operations.callers import rotate_key

    if compromised and overlap:
        raise typer.BadParameter("a key that is compromised does not overlap with the new one")

    async def rotate(database: "Database") -> "Rotated":
        wanted = KEY_OVERLAP if overlap is None else overlap
        async with confirmed(database) as session:
            expires_at = await session.now() + expires_in if expires_in is not None else None
            return await rotate_key(session, None, identifier, timedelta(0) if compromised else wanted, expires_at)

    with _named(identifier):
        rotated = connected(data, rotate)
    for key in rotated.before:
        ends = f"is good until {_iso(key.expires_at)}" if key.revoked_at is None else "is good for nothing any more"
        typer.echo(f"key {key.id} {ends}", err=True)
    typer.echo(f"key {rotated.made.key.id} is shown once:", err=True)
    typer.echo(rotated.made.secret)


@keys.command("revoke")
def keys_revoke(
    identifier: Caller,
    key: Annotated[UUID | None, typer.Option(help="Only this one of its keys; none: the caller with all.")] = None,
    data: DataOption = None,
) -> None:
    """Revoke a caller or one of its keys, and return when no process of the service takes it any more."""
    from app.operations.callers import CallerChange, change_caller, revoke_caller

    async def revoke(database: "Database") -> None:
        async with confirmed(database) as session:
            if key is None:
                await revoke_caller(session, None, identifier)
            else:
                await change_caller(session, None, identifier, CallerChange(revoked_keys=frozenset({key})))

    with _named(identifier if key is None else key):
        connected(data, revoke)
    typer.echo(f"{identifier if key is None else key} is revoked.")


@contextmanager
def _named(identifier: UUID) -> Iterator[None]:
    """Reword the block's `NotFoundError`: name the id that was not found, and the command that lists the right ones.

    Raises:
        NotFoundError: the block raised it.

    """
    from app.core.errors import NotFoundError

    try:
        yield
    except NotFoundError:
        raise NotFoundError(
            f"nothing has the id {identifier}: `sceau keys list --all` shows callers and keys"
        ) from None


def _json_of(view: "CallerView", keys: Sequence[ApiKey]) -> dict[str, object]:
    of_keys = [{**asdict(key), "last_used_at": view.uses.get(key.id)} for key in keys]
    return {**asdict(view.caller), "last_used_at": view.last_used_at, "keys": of_keys}


def _lines(view: "CallerView", keys: Sequence[ApiKey], now: datetime) -> Iterator[str]:
    caller = view.caller
    state = "revoked" if caller.revoked_at is not None else "in force"
    about = "every processing" if caller.processings is None else ", ".join(sorted(caller.processings))
    scopes = ", ".join(sorted(caller.scopes))
    yield f"{caller.id}  {state:8}  {caller.kind:7}  {caller.name}  [{scopes}]  {about}"
    if caller.identity is not None:
        whose = f"tokens of {caller.identity.issuer} about {caller.identity.subject}"
        through = f" for {caller.identity.client}" if caller.identity.client is not None else ""
        yield f"    {whose}{through}, {_used(view.uses.get(caller.id))}"
    for key in keys:
        yield f"    key {key.id}  {_standing(key, now)}, {_used(view.uses.get(key.id))}"


def _used(at: datetime | None) -> str:
    return f"last used {_iso(at)}" if at is not None else "never used"


def _standing(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {_iso(key.revoked_at)}"
    if key.expires_at is None:
        return "good until revoked"
    return f"{'good until' if key.in_force(now) else 'expired'} {_iso(key.expires_at)}"


def _iso(at: datetime | None) -> str:
    return at.isoformat(timespec="minutes") if at is not None else ""


# `sceau keys identities`: callers that are known by access tokens, and whether their issuers can be asked for keys.

identities = group("Let in callers by the access tokens of an issuer.")
keys.add_typer(identities, name="identities")


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
    from app.operations.callers import NewCaller, register_identity
    from app.settings.environment import SettingsError

    wanted = NewCaller(name, frozenset(scope), frozenset(processing) if processing else None, kind)

    async def register(database: "Database") -> UUID:
        check = _check()
        if issuer is None and len(check.issuers) != 1:
            raise SettingsError("SCEAU_OIDC_ISSUER names several issuers: say which with --issuer")
        named = issuer if issuer is not None else next(iter(check.issuers))
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
    show_callers(data, every, as_json, by_tokens=True)


@identities.command("issuers")
def identities_issuers(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Ask every issuer of SCEAU_OIDC_ISSUER for its keys, as the service does, and tell how that went."""
    with deployment(data):
        reports = asyncio.run(ask_issuers(_check()))
    if as_json:
        echo_json(reports)
    for report in reports if not as_json else ():
        keys = "; ".join(f"{key['id'] or 'without an id'} ({', '.join(key['algorithms'])})" for key in report["keys"])
        failed = f"no keys ({report['error']})"
        typer.echo(f"{report['issuer']}: {keys if report['error'] is None else failed}")
    if any(report["error"] is not None for report in reports):
        raise typer.Exit(1)


async def ask_issuers(check: "TokenCheck") -> list[dict[str, Any]]:
    """The keys that each issuer gives now, or why it gives none; the connections are closed."""
    from app.auth.issuer_trust import IssuerUnavailableError

    reports: list[dict[str, Any]] = []
    try:
        for name, issuer in check.issuers.items():
            report: dict[str, Any] = {"issuer": name, "error": None, "keys": []}
            reports.append(report)
            try:
                fetched = await issuer.fetch()
            except IssuerUnavailableError as error:
                report["error"] = error.why
            else:
                report["keys"] = [{"id": key.key_id, "algorithms": sorted(key.algorithms)} for key in fetched.keys]
                report["error"] = None if report["keys"] else "keys"
    finally:
        await check.close()
    return reports


def _check() -> "TokenCheck":
    from app.settings.environment import SettingsError
    from app.wiring.parts import token_check_of

    check = token_check_of(settings_here(), deployment_here().pseudonyms)
    if check is None:
        raise SettingsError("SCEAU_OIDC_ISSUER is not set: no access tokens are taken")
    return check
