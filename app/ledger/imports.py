"""The imports, and which of their rows were recorded: a row is recorded once, however often it is sent.

Of each row two keyed hashes are kept: of its id in the older system, and of its content, which holds the person's id.
An erasure deletes both: whoever holds the master key could test a guess against the second one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.db.schema import metadata
from app.db.session import Put, ReadSession, WriteSession, as_refs, insertion, record_of

import_source = Table(
    "import_source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("made_by", Uuid, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("grants", BigInteger, nullable=False),
    # How many grants there are, as stated by the caller who began it.
    Column("expected", BigInteger, nullable=False, server_default=text("0")),
    # The instant until which the older system decided: a later grant is unknown.
    Column("until", DateTime(timezone=True)),
)

import_row = Table(
    "import_row",
    metadata,
    Column("row_hash", LargeBinary, primary_key=True),
    Column("content_hash", LargeBinary, nullable=False),
    Column("subject_ref", LargeBinary, nullable=False),
    Index("ix_import_row_subject_ref", "subject_ref"),
)


@dataclass(frozen=True, slots=True)
class ImportSource:
    """One import: who began it and when, and how many rows, and grants among them, it recorded, each counted once.

    `expected` is the number of grants as stated by its caller.
    """

    name: str
    made_by: UUID
    begun_at: datetime
    rows: int
    grants: int
    expected: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RowHashes:
    """The keyed hashes of a row (32 bytes each): of its id in the older system, and of its content."""

    row: bytes
    content: bytes


_ROW: Final = Put(order=85, sql=insertion(import_row))
_KNOWN: Final = text("""
SELECT row_hash, content_hash FROM import_row
WHERE row_hash = ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:hashes, ',') AS each))
""")


async def hold_source(
    session: WriteSession, name: str, by: UUID, expected: int = 0, until: datetime | None = None
) -> ImportSource:
    """Hold an import until the end of the transaction; begin it if there is none of that name.

    The caller who began it may raise the number of grants expected, and may set its `until` if it had none.
    """
    now = await session.now()
    values = {"name": name, "made_by": by, "begun_at": now, "rows": 0, "grants": 0, "expected": expected}
    begun = insert(import_source).values(**values, until=until)
    # The update locks the existing row and returns it.
    table = import_source.c
    may_grow = table.made_by == by
    grown = case((may_grow, func.greatest(table.expected, expected)), else_=table.expected)
    named = case((may_grow, func.coalesce(table.until, until)), else_=table.until)
    statement = begun.on_conflict_do_update(index_elements=["name"], set_={"expected": grown, "until": named})
    row = (await session.execute(statement.returning(import_source))).one()
    return record_of(ImportSource, row)


async def list_sources(session: ReadSession) -> list[ImportSource]:
    """Return the imports, the latest begun first, at most 1,000."""
    rows = await session.execute(select(import_source).order_by(import_source.c.begun_at.desc()).limit(1_000))
    return [record_of(ImportSource, row) for row in rows]


async def add_counts(session: WriteSession, name: str, *, rows: int, grants: int) -> None:
    """Add to the counts of an import that is held."""
    table = import_source.c
    counted = update(import_source).where(table.name == name)
    await session.execute(counted.values(rows=table.rows + rows, grants=table.grants + grants))


async def known_rows(session: ReadSession, hashes: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """Return the content hashes of the rows among these that were recorded already, by row hash."""
    if not hashes:
        return {}
    rows = await session.execute(_KNOWN, {"hashes": as_refs(hashes)})
    return {bytes(row.row_hash): bytes(row.content_hash) for row in rows}


def keep_rows(session: WriteSession, recorded: Iterable[tuple[RowHashes, bytes]]) -> None:
    """Note that these rows were recorded, each with the subject_ref of its person."""
    for hashes, ref in recorded:
        session.stage(_ROW, {"row_hash": hashes.row, "content_hash": hashes.content, "subject_ref": ref})
