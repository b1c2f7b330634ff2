"""The rows of a deployment as lines of JSON: read in one snapshot, and put into an empty database.

Register, ledger, texts, callers and staff; not the keys of callers, secrets of endpoints, logs, nor what is on its way
to somebody. Ids of subjects stay sealed: the lines are of use with the deployment's own keys only. PostgreSQL itself
makes and reads the JSON (`row_to_json`, `json_populate_recordset`), so that every column comes back as it was.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from app.db.connections import connect
from app.db.revisions import known_revisions
from app.db.session import WriteSession

FORMAT: Final = 1
TABLES: Final = (
    "key_check",
    "deployment_epoch",
    "journal_note",
    "caller",
    "controller",
    "controller_version",
    "processing",
    "processing_version",
    "processing_proposal",
    "processing_ruling",
    "processing_status_change",
    "gate_proposal",
    "gate_ruling",
    "processing_invalidation",
    "invalidation_told",
    "presented_text",
    "subject",
    "retention_hold",
    "subject_locator",
    "subject_vault",
    "consent_event",
    "document",
    "consent",
    "renewal_flag",
    "solicitation",
    "effect_owed",
    "effect_acknowledged",
    "import_source",
    "import_row",
    "staff_notice",
    "staff_member",
    "staff_name",
    "staff_acknowledgement",
)
"""What is carried over, in an order in which each refers to those before it only."""
_TOGETHER: Final = 2_000
_STATEMENT_SECONDS: Final = 24 * 3_600.0


class RestoreRefusedError(Exception):
    """Nothing was restored; the message is one line that says why."""


async def export_lines(url: str) -> AsyncIterator[str]:
    """The lines of an export: what it is, with how many rows of each table, and then the rows.

    Args:
        url: DSN of the application role.

    """
    connection = await connect(url, statement_seconds=_STATEMENT_SECONDS, autocommit=False)
    async with connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        yield json.dumps(await _heading(connection))
        for table in TABLES:
            begin = f'{{"table": "{table}", "row": '
            async with connection.cursor() as cursor, cursor.copy(_reading(table)) as rows:
                async for (row,) in rows.rows():
                    yield f"{begin}{row}}}"


async def _heading(connection: psycopg.AsyncConnection[Any]) -> dict[str, Any]:
    counts = {}
    for table in TABLES:
        counting = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        counts[table] = await _one(connection, counting)
    at = await _one(connection, sql.SQL("SELECT to_json(clock_timestamp())").format())
    return {"sceau": "export", "format": FORMAT, "schema": known_revisions()[-1], "at": at, "tables": counts}


def _reading(table: str) -> sql.Composed:
    return sql.SQL("COPY (SELECT row_to_json(each) FROM {} AS each) TO STDOUT").format(sql.Identifier(table))


async def _one(connection: psycopg.AsyncConnection[Any], query: sql.Composed) -> Any:  # noqa: ANN401 - whatever it asks
    row = await (await connection.execute(query)).fetchone()
    return None if row is None else row[0]


class Restoring:
    """Puts the rows of an export into a database that holds none, in one transaction."""

    def __init__(self, session: WriteSession, heading: Mapping[str, Any]) -> None:
        """Prepare.

        Args:
            session: the transaction; the schema is there (`sceau migrate`), and no service runs.
            heading: the first line of the export.

        Raises:
            RestoreRefusedError: the export is of another format or schema.

        """
        if heading.get("format") != FORMAT or heading.get("schema") != known_revisions()[-1]:
            raise RestoreRefusedError("the export is of another version: restore it with the version that made it")
        self._session, self._wanted = session, heading["tables"]
        self._table = ""
        self._rows: list[str] = []

    async def check_empty(self) -> None:
        """Look whether the database may be restored into.

        Raises:
            RestoreRefusedError: it is in use.

        """
        if await self._count("processing") or await self._count("subject"):
            raise RestoreRefusedError("the database is in use: only an empty one is restored into")
        beating = text("SELECT count(*) FROM replica WHERE seen_at > now() - interval '10 seconds'")
        if (await self._session.execute(beating)).scalar_one():
            raise RestoreRefusedError("a service runs on this database: stop it first")
        if any([await self._count(table) for table in TABLES]):
            raise RestoreRefusedError("a service was started on this database: make a new one, and only migrate it")

    async def put(self, table: str, row: str) -> None:
        """Put a row, as JSON, behind those of the tables before.

        Raises:
            RestoreRefusedError: there is no such table.

        """
        if table not in TABLES:
            raise RestoreRefusedError("the export holds rows of a table that is not carried over")
        if table != self._table or len(self._rows) >= _TOGETHER:
            await self._flush()
            self._table = table
        self._rows.append(row)

    async def finish(self) -> None:
        """Write the last rows, and compare.

        Raises:
            RestoreRefusedError: a table does not hold as many rows as the export says.

        """
        await self._flush()
        for table in TABLES:
            if await self._count(table) != self._wanted.get(table):
                raise RestoreRefusedError(f"the export is not whole: it says that there are other rows of {table}")

    async def _flush(self) -> None:
        if self._rows:
            try:
                await self._session.execute(_PUTTING[self._table], {"rows": f"[{','.join(self._rows)}]"})
            except (DataError, IntegrityError):
                # Without the database's own words, which quote the row.
                raise RestoreRefusedError(f"the export holds rows of {self._table} that cannot be") from None
            self._rows = []

    async def _count(self, table: str) -> int:
        return int((await self._session.execute(_COUNTING[table])).scalar_one())


_COUNTING: Final = {table: text(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608 - constants
_PUTTING: Final = {
    table: text(
        f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json))"  # noqa: S608
    )
    for table in TABLES
}
