"""Which person each document stands for, of those that consents name by their hashes: a form, a recording."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, select
from sqlalchemy.dialects.postgresql import insert

from app.db.schema import metadata
from app.db.session import WriteSession

document: Final = Table(
    "document",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    # Without a reference: a document is claimed before the row of a new person is written.
    Column("subject_ref", LargeBinary, nullable=False),
    CheckConstraint("octet_length(sha256) = 32", name="hash_length"),
    Index("ix_document_subject_ref", "subject_ref"),
)


async def claim_document(session: WriteSession, digest: bytes, ref: bytes) -> bytes:
    """Have a document stand for a person, if it stands for nobody yet; for whom it stands (subject_ref).

    Another transaction that claims it at the same time is waited for.
    """
    claimed = insert(document).values(sha256=digest, subject_ref=ref).on_conflict_do_nothing()
    await session.execute(claimed)
    stands = await session.execute(select(document.c.subject_ref).where(document.c.sha256 == digest))
    return bytes(stands.scalar_one())
