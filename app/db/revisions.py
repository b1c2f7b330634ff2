"""Which revisions of the schema this code knows, and whether a database is at its own or ahead of it.

Every start asks that. It is told from the names of the migrations, whose first word is the revision: to import Alembic
and read all migrations took a tenth of each start.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import text

from app.db.session import ReadSession

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"


class MigrationRefusedError(Exception):
    """Nothing was migrated; the message is one line that says why and how to mend it."""


class SchemaBehindError(Exception):
    """The database's schema is behind this code: run `sceau migrate` first."""


def known_revisions() -> list[str]:
    """The revisions that this code knows, oldest first: each follows the one before it, the last is this code's own."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


async def current_revision(session: ReadSession) -> str | None:
    """The revision that a database is at; None where it has no schema."""
    present = (await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))).scalar_one()
    if not present:
        return None
    found = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    return found[0] if found else None


async def check_schema(session: ReadSession) -> None:
    """Refuse a database whose schema is behind; one that is ahead is accepted (old code on new schema).

    Raises:
        SchemaBehindError: no schema, or an older revision than this code's.

    """
    present = (await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))).scalar_one()
    if not present:
        raise SchemaBehindError
    current = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    known = known_revisions()
    if not current or (set(current) <= set(known) and known[-1] not in current):
        raise SchemaBehindError


async def may_rewrite_ledger(session: ReadSession) -> bool:
    """Whether the connected role could change or remove consent events, were it not for the triggers."""
    statement = text("SELECT has_table_privilege('consent_event', 'UPDATE, DELETE, TRUNCATE')")
    return bool((await session.execute(statement)).scalar_one())
