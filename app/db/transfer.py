"""The rows of a deployment as lines of JSON: read in one snapshot, and put into an empty database.

They hold the register, ledger, texts, callers and staff, with the trail and the proof log, whose keys are wrapped by
the master key; not the keys of callers, secrets of endpoints, decisions, or pending deliveries. Ids of subjects stay
sealed, so the lines are of use only with the deployment's own keys. PostgreSQL itself makes and reads the JSON
(`row_to_json`, `json_populate_recordset`), so every column comes back as it was.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from app.core.errors import RefusalError
from app.db.revisions import known_revisions
from app.db.session import ReadSession, WriteSession

if TYPE_CHECKING:
    import psycopg

FORMAT: Final = 2
TABLES: Final = (
    "key_check",
    "deployment_epoch",
    "journal_note",
    "caller",
    "controller",
    "controller_version",
    "processing",
    "processing_version",
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
    "administrative_act",
    "proof_key",
    "receipt_key",
    "proof_statement",
    "proof_entry",
    "proof_opening",
    "proof_checkpoint",
    "proof_anchor",
    "proof_queue",
)
"""The tables carried over, in an order in which each refers only to earlier ones. Tiles are made from the entries."""
_QUEUE: Final = "proof_queue"
_OF_A_NEW_ONE: Final = frozenset({"administrative_act", _QUEUE})
"""The tables in which a freshly migrated database already has rows: these stay, beside the rows that come."""
_NUMBERED: Final = {"journal_note": "number", _QUEUE: "n"}
"""The columns that order rows and that the database fills: rows are read in that order, and numbered anew."""
_TOGETHER: Final = 2_000


class RestoreRefusedError(RefusalError):
    """Nothing was restored; the message is one line that says why."""


class ExportHeading(msgspec.Struct, frozen=True):
    """The first line of an export; `tables` gives the number of rows of each table."""

    sceau: str = ""
    format: int = 0
    schema: str = ""
    tables: Mapping[str, int] = {}


class ExportLine(msgspec.Struct, frozen=True):
    """Any other line of an export: a row of a table as JSON, or the end, with a signed note about all lines before."""

    table: str = ""
    row: msgspec.Raw = msgspec.Raw()
    end: str | None = None


async def export_lines(session: ReadSession) -> AsyncGenerator[str]:
    """Yield the lines of an export except its end: the heading, with the number of rows of each table, then the rows.

    Args:
        session: a session that sees the database at one moment (`Database.read`). Close the generator before it.

    """
    counts = {table: await _count(session, table) for table in TABLES}
    at = (await session.execute(text("SELECT to_json(clock_timestamp())"))).scalar_one()
    about = {"sceau": "export", "format": FORMAT, "schema": known_revisions()[-1], "at": at, "tables": counts}
    yield json.dumps(about)
    # The driver's own connection, in the same transaction, because SQLAlchemy has no COPY.
    driver = (await session.connection.get_raw_connection()).driver_connection
    for table in TABLES:
        begin = f'{{"table": "{table}", "row": '
        async with (
            cast("psycopg.AsyncConnection[Any]", driver).cursor() as cursor,
            cursor.copy(_READING[table]) as rows,
        ):
            async for (row,) in rows.rows():
                yield f"{begin}{row}}}"


async def _count(session: ReadSession, table: str) -> int:
    return int((await session.execute(_COUNTING[table])).scalar_one())


class Restoring:
    """Puts the rows of an export into an empty database, in one transaction."""

    def __init__(self, session: WriteSession, heading: ExportHeading) -> None:
        """Prepare.

        Args:
            session: the transaction; the schema exists (`sceau migrate`), and no service runs.
            heading: the first line of the export.

        Raises:
            RestoreRefusedError: the export is of another format or schema.

        """
        if heading.format != FORMAT or heading.schema != known_revisions()[-1]:
            raise RestoreRefusedError("the export is of another version: restore it with the version that made it")
        self._session = session
        self._table = ""
        self._rows: list[str] = []
        self._queued = 0

    async def check_empty(self) -> None:
        """Check that the database may be restored into.

        Raises:
            RestoreRefusedError: the database is in use.

        """
        if await _count(self._session, "processing") or await _count(self._session, "subject"):
            raise RestoreRefusedError("the database is in use: only an empty one is restored into")
        beating = text("SELECT count(*) FROM replica WHERE seen_at > now() - interval '10 seconds'")
        if (await self._session.execute(beating)).scalar_one():
            raise RestoreRefusedError("a service runs on this database: stop it first")
        if any([await _count(self._session, table) for table in TABLES if table not in _OF_A_NEW_ONE]):
            raise RestoreRefusedError("a service was started on this database: make a new one, and only migrate it")
        last = text("SELECT coalesce(max(n), 0) FROM proof_queue")
        self._queued = int((await self._session.execute(last)).scalar_one())

    async def put(self, table: str, row: str) -> None:
        """Put a row, as JSON, after those of the earlier tables.

        Raises:
            RestoreRefusedError: there is no such table.

        """
        if table not in TABLES:
            raise RestoreRefusedError("the export holds rows of a table that is not carried over")
        if table != self._table or len(self._rows) >= _TOGETHER:
            await self._flush()
            if table == _QUEUE != self._table:
                await self._leave_queue()
            self._table = table
        self._rows.append(row)

    async def finish(self) -> None:
        """Write the last rows."""
        await self._flush()
        if self._table != _QUEUE:
            await self._leave_queue()

    async def _leave_queue(self) -> None:
        """Remove from the queue what the restored rows added: most are in the log, and the export has those that wait.

        What the new database itself has to enter stays.
        """
        came = text("DELETE FROM proof_queue WHERE n > :before")
        await self._session.execute(came, {"before": self._queued})

    async def _flush(self) -> None:
        if self._rows:
            try:
                await self._session.execute(_PUTTING[self._table], {"rows": f"[{','.join(self._rows)}]"})
            except (DataError, IntegrityError):
                # Without the database's own message, which quotes the row.
                raise RestoreRefusedError(f"the export holds rows of {self._table} that cannot be") from None
            self._rows = []


_COUNTING: Final = {table: text(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608 - constants
_READING: Final = {
    table: f"COPY (SELECT row_to_json(each) FROM {table} AS each"  # noqa: S608 - constants
    f"{f' ORDER BY {_NUMBERED[table]}' if table in _NUMBERED else ''}) TO STDOUT"
    for table in TABLES
}
_PUTTING: Final = {
    table: text(
        f"INSERT INTO {table} OVERRIDING USER VALUE "  # noqa: S608
        f"SELECT * FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json))"
        # Two copies of one freshly migrated database share one act, whose content is compared with its entry.
        f"{' ON CONFLICT (id) DO NOTHING' if table == 'administrative_act' else ''}"
    )
    for table in TABLES
}
