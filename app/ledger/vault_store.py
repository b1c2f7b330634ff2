"""Where sealed ids and the check values of keys are kept. Deleting a row here is what erasure means."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from app.db.session import Put, ReadSession, WriteSession
from app.ledger.tables import key_check, subject_vault
from app.ledger.vault import SealedId

_KEEP: Final = Put(
    order=30,
    sql="""
INSERT INTO subject_vault (subject_ref, master_key_id, wrapped_key, sealed_id, sealed_for, stored_at)
SELECT decode(ref, 'hex'), master_key_id, decode(wrapped_key, 'hex'), decode(sealed_id, 'hex'),
    decode(sealed_for, 'hex'), stored_at
FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (ref text, master_key_id text, wrapped_key text, sealed_id text,
    sealed_for text, stored_at timestamptz)
ON CONFLICT DO NOTHING
""",
)


async def keep_id(session: WriteSession, ref: bytes, sealed: SealedId, at: datetime) -> None:
    """Keep a subject's sealed id; one that is kept already stays as it is."""
    row = {
        "ref": ref,
        "master_key_id": sealed.master_key_id,
        "wrapped_key": sealed.wrapped_key,
        "sealed_id": sealed.sealed_id,
        "sealed_for": sealed.sealed_for,
        "stored_at": at,
    }
    session.stage(_KEEP, row)


async def load_id(session: ReadSession, ref: bytes) -> SealedId | None:
    """A subject's sealed id; None when it was never kept, or was erased."""
    row = (await session.execute(select(subject_vault).where(subject_vault.c.subject_ref == ref))).first()
    return None if row is None else _sealed(row)


async def load_ids(session: ReadSession, refs: Collection[bytes]) -> dict[bytes, SealedId]:
    """The sealed ids of several subjects, in one statement; one that is not kept is left out."""
    if not refs:
        return {}
    found = await session.execute(select(subject_vault).where(subject_vault.c.subject_ref.in_(refs)))
    return {row.subject_ref: _sealed(row) for row in found}


def _sealed(row: Row[tuple[object, ...]]) -> SealedId:
    return SealedId(row.master_key_id, row.wrapped_key, row.sealed_id, row.sealed_for)


async def destroy_ids(session: WriteSession, refs: Collection[bytes]) -> None:
    """Destroy the keys and sealed ids of subjects."""
    for ref in refs:
        session.note("forgotten", {"subject_ref": ref})
    await session.execute(delete(subject_vault).where(subject_vault.c.subject_ref.in_(list(refs))))


async def agree_on_check(session: WriteSession, name: str, value: str) -> bool:
    """Store a key's check value if it is the first of its name; whether the stored one is this one."""
    await session.execute(insert(key_check).values(name=name, value=value).on_conflict_do_nothing())
    stored = await session.execute(select(key_check.c.value).where(key_check.c.name == name))
    return bool(stored.scalar_one() == value)


async def list_checks(session: ReadSession, prefix: str) -> list[str]:
    """The names of check values that begin so."""
    named = select(key_check.c.name).where(key_check.c.name.startswith(prefix, autoescape=True))
    return list((await session.execute(named.order_by(key_check.c.name))).scalars())


async def load_check(session: ReadSession, name: str) -> str | None:
    """The stored check value of that name; None before the first start."""
    stored = await session.execute(select(key_check.c.value).where(key_check.c.name == name))
    value: str | None = stored.scalar_one_or_none()
    return value
