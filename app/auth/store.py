"""Where callers are kept; their keys only as SHA-256 digests."""

import hmac
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update

from app.auth.callers import Caller, key_digest
from app.auth.scopes import Scope
from app.auth.tables import caller
from app.db.session import ReadSession, WriteSession


async def find_caller(session: ReadSession, key: str) -> Caller | None:
    """The caller whose key this is; None when there is none, or it was revoked."""
    return await find_caller_by_digest(session, key_digest(key))


async def find_caller_by_digest(session: ReadSession, digest: bytes) -> Caller | None:
    """As `find_caller`, by the SHA-256 of the key."""
    row = (await session.execute(select(caller).where(caller.c.key_sha256 == digest))).first()
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.key_sha256, digest):
        return None
    return _caller(row)


async def add_caller(session: WriteSession, added: Caller, key: str) -> None:
    """Keep a new caller and the digest of its key."""
    await session.execute(
        insert(caller).values(
            id=added.id,
            name=added.name,
            key_sha256=key_digest(key),
            scopes=sorted(added.scopes),
            processings=None if added.processings is None else sorted(added.processings),
            created_at=added.created_at,
            created_by=added.created_by,
        )
    )


async def load_caller(session: ReadSession, identifier: UUID) -> Caller | None:
    """A caller by id, revoked ones included."""
    row = (await session.execute(select(caller).where(caller.c.id == identifier))).first()
    return None if row is None else _caller(row)


async def list_callers(session: ReadSession, *, after: UUID | None, limit: int) -> list[Caller]:
    """The next callers by id (oldest first), revoked ones included."""
    statement = select(caller).order_by(caller.c.id).limit(limit)
    if after is not None:
        statement = statement.where(caller.c.id > after)
    return [_caller(row) for row in await session.execute(statement)]


async def mark_revoked(session: WriteSession, identifier: UUID, *, at: datetime, by: UUID | None) -> None:
    """Revoke a caller's key; one that is revoked already keeps its first time."""
    statement = update(caller).where(caller.c.id == identifier, caller.c.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=at, revoked_by=by))


async def is_empty(session: WriteSession) -> bool:
    """Whether no caller was ever added; holds other first starts off until the end of the transaction."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau first caller'))"))
    return (await session.execute(select(caller.c.id).limit(1))).first() is None


def _caller(row: Row[tuple[object, ...]]) -> Caller:
    return Caller(
        id=row.id,
        name=row.name,
        scopes=frozenset(map(Scope, row.scopes)),
        processings=None if row.processings is None else frozenset(row.processings),
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
    )
