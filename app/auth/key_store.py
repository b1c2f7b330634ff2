"""Where the keys of callers are kept: only as SHA-256 digests, each with its time."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, or_, select, update

from app.auth.callers import ApiKey, key_digest
from app.auth.tables import caller_key
from app.db.session import ReadSession, WriteSession


async def add_key(session: WriteSession, added: ApiKey, key: str) -> None:
    """Keep a new key of a caller, as its digest."""
    session.widen()
    await session.execute(
        insert(caller_key).values(
            id=added.id,
            caller=added.caller,
            key_sha256=key_digest(key),
            created_at=added.created_at,
            created_by=added.created_by,
            expires_at=added.expires_at,
        )
    )


async def keys_of(session: ReadSession, callers: Collection[UUID]) -> Mapping[UUID, list[ApiKey]]:
    """The keys of these callers, oldest first, ended ones included; an empty list for one that has none."""
    found: dict[UUID, list[ApiKey]] = {each: [] for each in callers}
    if not callers:
        return found
    statement = select(caller_key).where(caller_key.c.caller.in_(callers))
    for row in await session.execute(statement.order_by(caller_key.c.created_at, caller_key.c.id)):
        found[row.caller].append(_key(row))
    return found


async def find_key(session: ReadSession, identifier: UUID) -> ApiKey | None:
    """A key by its id; None when there is none."""
    row = (await session.execute(select(caller_key).where(caller_key.c.id == identifier))).first()
    return None if row is None else _key(row)


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(row.id, row.caller, row.created_at, row.created_by, row.expires_at, row.revoked_at)


def in_force_now() -> ColumnElement[bool]:
    """Whether a row of the keys is good by the database's clock; its caller may be revoked nevertheless."""
    key = caller_key.c
    return key.revoked_at.is_(None) & or_(key.expires_at.is_(None), key.expires_at > func.clock_timestamp())


async def is_key_in_force(session: ReadSession, identifier: UUID) -> bool:
    """Whether there is such a key, and it is neither revoked nor has expired."""
    statement = select(caller_key.c.id).where(caller_key.c.id == identifier, in_force_now())
    return (await session.execute(statement)).first() is not None


async def is_key_revoked(session: ReadSession, identifier: UUID) -> bool:
    """Whether a key was revoked, or there is none of that id; one that has expired was not."""
    statement = select(caller_key.c.id).where(caller_key.c.id == identifier, caller_key.c.revoked_at.is_(None))
    return (await session.execute(statement)).first() is None


async def let_expire(session: WriteSession, keys: Collection[UUID], at: datetime) -> None:
    """Let these keys be good until an instant and no longer; one that ends sooner still does."""
    for key in keys:
        session.note("key", {"key": key, "at": at, "revoked": False})
    until = func.least(func.coalesce(caller_key.c.expires_at, at), at)
    await session.execute(update(caller_key).where(caller_key.c.id.in_(keys)).values(expires_at=until))


async def end_keys(session: WriteSession, keys: Collection[UUID], *, at: datetime, by: UUID | None) -> None:
    """Revoke these keys; one that is revoked already keeps its first time."""
    for key in keys:
        session.note("key", {"key": key, "at": at, "revoked": True})
    statement = update(caller_key).where(caller_key.c.id.in_(keys), caller_key.c.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=at, revoked_by=by))
