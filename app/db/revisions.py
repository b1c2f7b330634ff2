"""What every start asks of a database: whether its schema is this code's, and whether it reads Europe/Paris alike."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text

from app.core.article import paris_midnight
from app.core.errors import RefusalError
from app.db.session import ReadSession

# The schema question is answered from the names of the migrations' files, which are the revisions: importing Alembic
# and reading all migrations took a tenth of each start.

_UNRELEASED: Final = re.compile(r"[0-9]{4}")
"""The form of revisions before the baseline."""


class MigrationRefusedError(RefusalError):
    """Nothing was migrated; the message is one line that says why and how to mend it."""


class SchemaBehindError(Exception):
    """The database's schema is behind this code: run `sceau migrate` first."""


class UnreleasedSchemaError(MigrationRefusedError):
    """The database was made before the baseline, and nothing leads from there to this code's schema."""

    message = (
        "this database was made by an unreleased version of Sceau before the baseline, and cannot be migrated: "
        "begin with an empty database, or with another --data directory"
    )


def migrations() -> Path:
    """Return the folder that Alembic reads: beside `app`, in a checkout and in what the wheel installs."""
    return Path(__file__).resolve().parents[2] / "migrations"


def known_revisions() -> list[str]:
    """Return the revisions that this code knows, oldest first: each follows the one before; the last is this code's."""
    return sorted(path.stem for path in (migrations() / "versions").glob("[0-9]*_*.py"))


def refuse_unreleased(revisions: Iterable[str]) -> None:
    """Refuse a database at one of these revisions, if the revision is older than the baseline.

    Raises:
        UnreleasedSchemaError: a revision is older than the baseline.

    """
    if any(_UNRELEASED.fullmatch(each) for each in revisions):
        raise UnreleasedSchemaError


async def current_revision(session: ReadSession) -> str | None:
    """Return the revision that a database is at; None where it has no schema."""
    present = (await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))).scalar_one()
    return (await session.execute(text("SELECT min(version_num) FROM alembic_version"))).scalar() if present else None


async def check_schema(session: ReadSession) -> None:
    """Refuse a database whose schema is behind; one that is ahead is accepted (old code on new schema).

    Raises:
        SchemaBehindError: no schema, or an older revision than this code's.
        UnreleasedSchemaError: it was made before the baseline.

    """
    current, known = await current_revision(session), known_revisions()
    refuse_unreleased([current] if current is not None else [])
    if current is None or (current in known and current != known[-1]):
        raise SchemaBehindError


async def may_rewrite_ledger(session: ReadSession) -> bool:
    """Return whether the connected role could change or remove consent events, were it not for the triggers."""
    statement = text("SELECT has_table_privilege('consent_event', 'UPDATE, DELETE, TRUNCATE')")
    return bool((await session.execute(statement)).scalar_one())


# A consent's year must be counted alike by Python and by PostgreSQL.

_FIRST, _LAST, _STEP = date(2016, 1, 1), date(2046, 1, 1), timedelta(days=7)

_MIDNIGHTS = text(
    "SELECT day::timestamp AT TIME ZONE 'Europe/Paris' FROM generate_series(0, :weeks) AS week,"
    " LATERAL (SELECT CAST(:first AS date) + 7 * week AS day) AS days ORDER BY week"
)


async def time_zones_agree(session: ReadSession) -> bool:
    """Return whether Python and PostgreSQL agree on midnight in Paris, for one day of each week of thirty years."""
    days = [_FIRST + _STEP * week for week in range((_LAST - _FIRST) // _STEP + 1)]
    rows = await session.execute(_MIDNIGHTS, {"first": _FIRST, "weeks": len(days) - 1})
    theirs: list[datetime] = list(rows.scalars())
    return theirs == [paris_midnight(day) for day in days]
