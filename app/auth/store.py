"""Where callers are kept. Who somebody is, is asked here."""

import hmac
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Text, bindparam, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.auth.callers import Authenticated, Caller, CallerKind, Credential, Identity, Token
from app.auth.key_store import in_force_now
from app.auth.scopes import Scope
from app.auth.tables import caller, caller_key
from app.db.lookups import Lookup, Prepared, nothing
from app.db.session import ReadSession, WriteSession

_NOW: Final = func.clock_timestamp().label("now")


_BY_TOKEN: Final = Prepared(
    select(caller, _NOW).where(caller.c.identity_ref == bindparam("ref"), caller.c.revoked_at.is_(None))
)
_KEYS: Final = (
    select(
        caller, caller_key.c.id.label("key_id"), caller_key.c.key_sha256.label("digest"), caller_key.c.expires_at, _NOW
    )
    .join(caller_key, caller_key.c.caller == caller.c.id)
    .where(in_force_now(), caller.c.revoked_at.is_(None))
)
_BY_KEY: Final = Prepared(_KEYS.where(caller_key.c.key_sha256 == bindparam("digest")))


def authentication(credential: Credential) -> Lookup[Authenticated | None]:
    """Find the caller who presented this; None when it is unknown, revoked, or expired by the database's clock."""
    token, digest = credential.token, credential.digest
    if token is not None:
        return Lookup(_BY_TOKEN, {"ref": token.ref}, lambda rows: _of_token(rows[0], token) if rows else None)
    return Lookup(_BY_KEY, {"digest": digest}, lambda rows: _of_key(rows[0], digest) if rows else None)


async def authenticate(session: ReadSession, credential: Credential) -> Authenticated | None:
    """The caller who presented this, as `authentication` finds it."""
    return await session.find(authentication(credential))


def _of_token(row: Any, token: Token) -> Authenticated | None:  # noqa: ANN401 - a row
    if row.now >= token.until or row.token_client not in {None, token.client}:
        return None
    found = caller_of(row)
    return Authenticated(found.narrowed(token.scopes), found.id, row.now, token.until, token.signed_by)


def _of_key(row: Any, digest: bytes) -> Authenticated | None:  # noqa: ANN401 - a row
    if not hmac.compare_digest(row.digest, digest):
        return None
    return Authenticated(caller_of(row), row.key_id, row.now, row.expires_at)


async def list_by_key(session: ReadSession) -> dict[bytes, Authenticated]:
    """Every caller by the SHA-256 of each of its keys in force."""
    rows = await session.execute(_KEYS)
    return {row.digest: Authenticated(caller_of(row), row.key_id, row.now, row.expires_at) for row in rows}


async def add_caller(session: WriteSession, added: Caller, identity_ref: bytes | None = None) -> bool:
    """Keep a new caller, one with an identity with the keyed reference of it; keys are added apart.

    Returns:
        False when another caller in force has that identity, and nothing was kept.

    """
    session.widen()
    identity = added.identity
    statement = insert(caller).values(
        id=added.id,
        name=added.name,
        kind=added.kind.value,
        scopes=sorted(added.scopes),
        processings=None if added.processings is None else sorted(added.processings),
        created_at=added.created_at,
        created_by=added.created_by,
        issuer=identity.issuer if identity is not None else None,
        token_subject=identity.subject if identity is not None else None,
        token_client=identity.client if identity is not None else None,
        identity_ref=identity_ref,
    )
    alone = statement.on_conflict_do_nothing(
        index_elements=[caller.c.identity_ref], index_where=caller.c.revoked_at.is_(None)
    )
    return (await session.execute(alone.returning(caller.c.id))).first() is not None


async def load_caller(session: ReadSession, identifier: UUID) -> Caller | None:
    """A caller by id, revoked ones included."""
    row = (await session.execute(select(caller).where(caller.c.id == identifier))).first()
    return None if row is None else caller_of(row)


async def hold_callers(session: WriteSession, identifiers: Collection[UUID]) -> Mapping[UUID, Caller]:
    """Those of these callers that exist, locked with their keys until the transaction ends.

    In the order of their ids, so that two callers who change each other wait for one another and never in a circle;
    and not against transactions that only refer to one (FOR NO KEY UPDATE), for the same reason. Who records something
    for one of them (`keep_as_they_are`) is waited for, and then sees what was changed.
    """
    await session.execute(_ALONE, {"names": _names(identifiers)})
    chosen = select(caller).where(caller.c.id.in_(identifiers)).order_by(caller.c.id)
    return {row.id: caller_of(row) for row in await session.execute(chosen.with_for_update(key_share=True))}


def kept_as_they_are(identifiers: Collection[UUID]) -> Lookup[None]:
    """Have these callers, their scopes and their keys stay as they are until the transaction ends.

    Look them up after it: whoever changes one then waits for this transaction, or has been waited for here.
    """
    return Lookup(_SHARED, {"names": _names(identifiers)}, nothing)


def _names(identifiers: Collection[UUID]) -> list[str]:
    return sorted(f"caller {each}" for each in identifiers)


# Advisory locks, and not those of rows: a row that many share is written by each of them.
_SHARED: Final = Prepared(
    text("SELECT pg_advisory_xact_lock_shared(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name")
)
_ALONE: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name"
)


async def hold_caller(session: WriteSession, identifier: UUID) -> Caller | None:
    """One caller, held as `hold_callers` does."""
    return (await hold_callers(session, [identifier])).get(identifier)


_MAKERS: Final = text("""
WITH RECURSIVE made AS (
    SELECT id AS made, created_by AS maker FROM caller UNION SELECT caller, created_by FROM caller_key
), above AS (
    SELECT made, maker FROM made WHERE made = ANY(CAST(:ids AS uuid[])) AND maker IS DISTINCT FROM made
    UNION
    SELECT above.made, made.maker FROM above JOIN made ON made.made = above.maker
)
SELECT above.made, above.maker FROM above JOIN caller ON caller.id = above.maker
WHERE above.maker <> above.made AND NOT (caller.kind = 'machine' AND caller.created_by IS NULL)
""")


async def holders_of(session: ReadSession, identifiers: Collection[UUID]) -> dict[UUID, frozenset[UUID | Identity]]:
    """Who may stand behind each of some callers: itself, whoever made it, registered it or rotated its key, and so on.

    Each is the id of a caller that is known by keys, or an account of an issuer. An account is compared by what is
    stored of issuer and subject, and not by its reference: that is another one after an exchange of the pseudonym key.
    Programs that nobody made are left out: the key that bootstraps a deployment, and what is made at the command line,
    make the first persons.
    """
    found: dict[UUID, set[UUID]] = {each: {each} for each in identifiers}
    for row in await session.execute(_MAKERS, {"ids": list(identifiers)}):
        found[row.made].add(row.maker)
    accounts = select(caller.c.id, caller.c.issuer, caller.c.token_subject).where(
        caller.c.id.in_(set().union(*found.values())), caller.c.issuer.is_not(None)
    )
    known = {row.id: Identity(row.issuer, row.token_subject) for row in await session.execute(accounts)}
    return {each: frozenset(known.get(one, one) for one in them) for each, them in found.items()}


async def list_callers(
    session: ReadSession, *, after: UUID | None, limit: int, within: frozenset[str] | None = None
) -> list[Caller]:
    """The next callers by id (oldest first), revoked ones included; `within`: those that may name no others."""
    statement = select(caller).order_by(caller.c.id).limit(limit)
    if within is not None:
        statement = statement.where(caller.c.processings.op("<@")(cast(sorted(within), ARRAY(Text))))
    if after is not None:
        statement = statement.where(caller.c.id > after)
    return [caller_of(row) for row in await session.execute(statement)]


async def list_persons(session: ReadSession) -> list[Caller]:
    """Every person, revoked ones included."""
    statement = select(caller).where(caller.c.kind == CallerKind.PERSON.value).order_by(caller.c.id)
    return [caller_of(row) for row in await session.execute(statement)]


async def keep_changes(session: WriteSession, changed: Caller) -> None:
    """Keep a caller's name, scopes and processings as they are now."""
    values = {
        "name": changed.name,
        "scopes": sorted(changed.scopes),
        "processings": None if changed.processings is None else sorted(changed.processings),
    }
    await session.execute(update(caller).where(caller.c.id == changed.id).values(values))


async def mark_revoked(session: WriteSession, identifier: UUID, *, at: datetime, by: UUID | None) -> None:
    """Revoke a caller with all of its credentials; one that is revoked already keeps its first time."""
    session.note("caller", {"caller": identifier, "at": at})
    statement = update(caller).where(caller.c.id == identifier, caller.c.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=at, revoked_by=by))


async def is_empty(session: WriteSession) -> bool:
    """Whether no caller was ever added; holds other first starts off until the end of the transaction."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau first caller'))"))
    return (await session.execute(select(caller.c.id).limit(1))).first() is None


def caller_of(row: Row[tuple[object, ...]]) -> Caller:
    """A caller as its row has it."""
    return Caller(
        id=row.id,
        name=row.name,
        scopes=frozenset(map(Scope, row.scopes)),
        processings=None if row.processings is None else frozenset(row.processings),
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
        kind=CallerKind(row.kind),
        identity=Identity(row.issuer, row.token_subject, row.token_client) if row.issuer is not None else None,
    )
