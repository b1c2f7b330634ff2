"""Which mailboxes several people share, and who they are, as the operator stated it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, ScalarSelect, delete, func, insert, or_, select, text, update

from app.db.session import ReadSession, WriteSession
from app.ledger.tables import shared_mailbox, subject_locator

_LIVE: Final = shared_mailbox.c.ended_at.is_(None)
NOBODY: Final = bytes(32)
"""Stands for a holder who was erased: no subject has it, so nobody consents under it."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """A statement that a mailbox is shared: the accounts of its holders in order, who said so, and when."""

    id: UUID
    mailbox: bytes
    holders: tuple[bytes, ...]
    stated_at: datetime
    stated_by: UUID


async def find_sharing(session: ReadSession, mailbox: bytes) -> Sharing | None:
    """Who shares a mailbox, by its subject_ref; None when nothing says that it is shared."""
    row = (await session.execute(select(shared_mailbox).where(shared_mailbox.c.subject_ref == mailbox, _LIVE))).first()
    if row is None:
        return None
    return Sharing(row.id, mailbox, tuple(bytes(each) for each in row.holders), row.stated_at, row.stated_by)


async def any_shared(session: ReadSession, refs: Collection[bytes]) -> bool:
    """Whether one of these accounts is a shared mailbox."""
    rows = select(shared_mailbox.c.id).where(shared_mailbox.c.subject_ref.in_(list(refs)), _LIVE).limit(1)
    return (await session.execute(rows)).first() is not None


async def any_holds(session: ReadSession, refs: Collection[bytes]) -> bool:
    """Whether one of these accounts is a holder of a shared mailbox."""
    rows = select(shared_mailbox.c.id).where(shared_mailbox.c.holders.overlap(list(refs)), _LIVE).limit(1)
    return (await session.execute(rows)).first() is not None


async def sharings_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """When an account was said to be a shared mailbox (`is_mailbox`), or one of a mailbox's holders; nobody else."""
    mine = shared_mailbox.c.subject_ref == ref
    columns = (mine.label("is_mailbox"), shared_mailbox.c.stated_at, shared_mailbox.c.ended_at)
    rows = select(*columns).where(or_(mine, shared_mailbox.c.holders.contains([ref])))
    return (await session.execute(rows.order_by(shared_mailbox.c.stated_at))).mappings().all()


async def state_sharing(session: WriteSession, sharing: Sharing) -> None:
    """Add a statement in the place of the one before; the mailbox and its holders must be held."""
    await end_sharing(session, sharing.mailbox, sharing.stated_at)
    row = {"id": sharing.id, "subject_ref": sharing.mailbox, "holders": list(sharing.holders)}
    said = {"stated_at": sharing.stated_at, "stated_by": sharing.stated_by}
    await session.execute(insert(shared_mailbox).values(**row, **said))


async def end_sharing(session: WriteSession, mailbox: bytes, at: datetime) -> None:
    """The mailbox is one person's from now on; it must be held."""
    rows = update(shared_mailbox).where(shared_mailbox.c.subject_ref == mailbox, _LIVE)
    await session.execute(rows.values(ended_at=func.greatest(at, shared_mailbox.c.stated_at)))


_FORGET: Final = text("""
UPDATE shared_mailbox SET holders = array_replace(holders, CAST(:ref AS bytea), CAST(:nobody AS bytea))
WHERE holders @> ARRAY[CAST(:ref AS bytea)]
""")


async def forget_sharing(session: WriteSession, refs: Collection[bytes]) -> None:
    """Remove every trace of accounts that are erased; a mailbox of which one was a holder stays denied."""
    await session.execute(delete(shared_mailbox).where(shared_mailbox.c.subject_ref.in_(list(refs))))
    for ref in refs:
        await session.execute(_FORGET, {"ref": ref, "nobody": NOBODY})


def locators_of_mailboxes(ref: bytes) -> ScalarSelect[list[bytes]]:
    """The locators of the mailboxes that an account is a holder of, as an array; null for none."""
    held = subject_locator.join(shared_mailbox, shared_mailbox.c.subject_ref == subject_locator.c.subject_ref)
    return (
        select(func.array_agg(subject_locator.c.locator))
        .select_from(held)
        .where(shared_mailbox.c.holders.contains([ref]), _LIVE, subject_locator.c.ended_at.is_(None))
        .scalar_subquery()
    )
