"""Statements of the sweep: they find what may be due, hold it against writers, and write what was flagged in one go.

Every statement is for many consents at once: a sweep after a year costs a few statements for each thousand. The index
`ix_consent_due` (processing, version, stage, counted_from) finds what is due, and a flagged consent leaves its range of
that index, so a sweep with nothing to do reads next to nothing however many consents there are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, RowMapping, func, or_, select, text, tuple_

from app.core.consent import ConsentEvent, EventKind
from app.core.register import Struck
from app.core.renewal import Flag, FlagKind
from app.db.session import ReadSession, WriteSession, as_refs, as_rows, record_of
from app.ledger.projection import LedgerEntry
from app.ledger.store import CountOfKind, append_entries, by_subject, event_of
from app.ledger.tables import consent, consent_event, renewal_flag, subject

SYSTEM: Final = UUID(int=0)
"""The recorder of what the system itself finds: no caller has this id."""


@dataclass(frozen=True, slots=True)
class StageGroup:
    """The live consents to one version of a processing that have reached one stage."""

    processing: str
    version: int
    stage: int


@dataclass(frozen=True, slots=True)
class Held:
    """A consent whose subject this transaction holds."""

    subject_ref: bytes
    id: UUID
    counted_from: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Said:
    """One message about a consent: its flag, and the ledger event that goes with it unless it is a notice.

    `ends`: the consent permitted something, and permits it no more.
    """

    consent: Held
    flag: Flag
    id: UUID
    expires_at: datetime
    ends: bool
    event: ConsentEvent | None = None


_LIVE: Final = "decision = 'granted' AND ended_by IS NULL AND renewal_stage > 0"

# A loose scan of the index: one step for each group, however many consents it has.
_GROUPS: Final = text(f"""
WITH RECURSIVE step AS (
    (SELECT processing, version, renewal_stage FROM consent WHERE {_LIVE} ORDER BY 1, 2, 3 LIMIT 1)
    UNION ALL
    SELECT following.* FROM step, LATERAL (
        SELECT processing, version, renewal_stage FROM consent
        WHERE {_LIVE} AND (processing, version, renewal_stage) > (step.processing, step.version, step.renewal_stage)
        ORDER BY 1, 2, 3 LIMIT 1
    ) AS following
)
SELECT processing, version, renewal_stage FROM step
""")  # noqa: S608 - a constant of this module

_WANTED: Final = """
unnest(
    CAST(:processings AS text[]), CAST(:versions AS int[]), CAST(:stages AS smallint[]), CAST(:befores AS timestamptz[])
) WITH ORDINALITY AS wanted (processing, version, stage, before, place)
"""
_OF_WANTED: Final = f"""
FROM consent WHERE {_LIVE} AND consent.processing = wanted.processing
    AND consent.version = wanted.version AND renewal_stage = wanted.stage
    AND coalesce(counted_from, collected_at) < wanted.before
"""
_ANY: Final = text(
    f"SELECT place FROM {_WANTED} WHERE EXISTS (SELECT {_OF_WANTED}) ORDER BY place"  # noqa: S608 - constants
)
_COUNT: Final = text(
    f"SELECT count(*) FROM {_WANTED}, LATERAL (SELECT {_OF_WANTED} LIMIT :most) AS found"  # noqa: S608 - constants
)


async def list_groups(session: ReadSession) -> list[StageGroup]:
    """Return the groups with at least one consent that may still be flagged."""
    return [StageGroup(row.processing, row.version, row.renewal_stage) for row in await session.execute(_GROUPS)]


Due = Sequence[tuple[StageGroup, datetime]]
"""Groups, each with an instant: a consent is due if its year is counted from before that instant."""


async def with_any_due(session: ReadSession, due: Due) -> list[tuple[StageGroup, datetime]]:
    """Return the groups with a consent counted from before their instant; it costs one index look-up for each group."""
    if not due:
        return []
    return [due[row.place - 1] for row in await session.execute(_ANY, _wanted(due))]


async def count_due(session: ReadSession, due: Due, *, most: int) -> int:
    """Return how many consents of those groups are counted from before their instant, at most `most` of each group."""
    return int((await session.execute(_COUNT, {**_wanted(due), "most": most})).scalar_one())


def _wanted(due: Due) -> dict[str, object]:
    return {
        "processings": [group.processing for group, _ in due],
        "versions": [group.version for group, _ in due],
        "stages": [group.stage for group, _ in due],
        "befores": [before for _, before in due],
    }


async def hold_due(
    session: WriteSession, group: StageGroup, before: datetime, *, after: Held | None, limit: int
) -> list[Held]:
    """Hold the subjects of a group's next due consents, as a writer would; those already held elsewhere are left out.

    Args:
        session: the transaction that holds them until it ends.
        group: the group of consents.
        before: only consents counted from before this instant.
        after: the last consent of the previous batch.
        limit: the maximum number of consents.

    """
    table = consent.c
    counted_from = func.coalesce(table.counted_from, table.collected_at)
    statement = (
        select(table.subject_ref, table.id, counted_from.label("counted_from"))
        .join(subject, subject.c.subject_ref == table.subject_ref)
        .where(table.decision == EventKind.GRANTED.value, table.ended_by.is_(None), table.renewal_stage > 0)
        .where(table.processing == group.processing, table.version == group.version)
        .where(table.renewal_stage == group.stage, counted_from < before)
        .order_by(counted_from, table.id)
        .limit(limit)
        .with_for_update(of=subject, skip_locked=True)
    )
    if after is not None:
        statement = statement.where(tuple_(counted_from, table.id) > tuple_(after.counted_from, after.id))
    rows = await session.execute(statement)
    return [Held(row.subject_ref, row.id, row.counted_from, group.version) for row in rows]


_OF_REFS: Final = text("subject_ref = ANY (ARRAY(SELECT decode(ref, 'hex') FROM string_to_table(:refs, ',') AS ref))")


async def load_events_about(
    session: ReadSession, refs: Iterable[bytes], processing: str
) -> dict[bytes, list[ConsentEvent]]:
    """Return what the subjects' ledgers say about one processing and about the person as a whole, in ledger order."""
    table = consent_event.c
    age_stated = table.capacity["age_band"].astext.is_not(None)
    concerned = or_(table.processing == processing, table.processing.is_(None), age_stated)
    statement = select(consent_event).where(_OF_REFS, concerned).order_by(table.subject_ref, table.seq)
    return by_subject(await session.execute(statement, {"refs": as_refs(refs)}), event_of)


_LAST: Final = text("""
SELECT given.ref, (SELECT max(seq) FROM consent_event WHERE subject_ref = given.ref) AS last
FROM (SELECT decode(ref, 'hex') AS ref FROM string_to_table(:refs, ',') AS ref) AS given
""")


async def last_orders(session: WriteSession, refs: Iterable[bytes]) -> dict[bytes, int]:
    """Return the last ledger order of each subject."""
    rows = await session.execute(_LAST, {"refs": as_refs(refs)})
    return {row.ref: row.last for row in rows}


_FLAG: Final = text("""
INSERT INTO renewal_flag (subject_ref, processing, consent, kind, notice, id, flagged_at, expires_at)
SELECT ref, :processing, consent, kind, notice, id, :at, expires_at
FROM json_to_recordset(CAST(:rows AS json))
    AS said (ref bytea, consent uuid, kind text, notice smallint, id uuid, expires_at timestamptz)
ON CONFLICT DO NOTHING RETURNING id
""")


async def put_flags(session: WriteSession, processing: str, messages: Sequence[Said], at: datetime) -> list[Said]:
    """Write flags and return those that were new; existing flags are left as they are."""
    if not messages:
        return []
    rows = (
        {
            "ref": message.consent.subject_ref,
            "consent": message.consent.id,
            "kind": message.flag.kind,
            "notice": message.flag.notice,
            "id": message.id,
            "expires_at": message.expires_at,
        }
        for message in messages
    )
    ids = await session.execute(_FLAG, {"processing": processing, "at": at, "rows": as_rows(rows)})
    written = set(ids.scalars())
    return [message for message in messages if message.id in written]


_CLOSE: Final = text("""
UPDATE consent SET ended_by = 'closed', ended_at = at
FROM json_to_recordset(CAST(:rows AS json)) AS closed (ref bytea, at timestamptz)
WHERE subject_ref = ref AND processing = :processing AND ended_by IS NULL
""")


async def append_said(session: WriteSession, processing: str, messages: Sequence[Said]) -> None:
    """Append the events to the ledger, each naming its consent; a closure ends the open consents."""
    entries = [
        LedgerEntry(
            each.consent.subject_ref, event, event.collected_at, SYSTEM, evidence={"consent": str(each.consent.id)}
        )
        for each in messages
        if (event := each.event) is not None
    ]
    append_entries(session, entries)
    closed = [
        {"ref": each.subject_ref, "at": each.recorded_at} for each in entries if each.event.kind is EventKind.CLOSED
    ]
    if closed:
        await session.execute(_CLOSE, {"processing": processing, "rows": as_rows(closed)})


_ADVANCE: Final = text("""
UPDATE consent SET renewal_stage = stage
FROM json_to_recordset(CAST(:rows AS json)) AS moved (ref bytea, consent uuid, stage smallint)
WHERE subject_ref = ref AND id = consent
""")


async def advance(session: WriteSession, moved: Sequence[tuple[Held, int]]) -> None:
    """Record the stage that the sweep has reached with each consent."""
    if moved:
        rows = ({"ref": held.subject_ref, "consent": held.id, "stage": stage} for held, stage in moved)
        await session.execute(_ADVANCE, {"rows": as_rows(rows)})


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """One flag as stored; `notice` is in days, and 0 for every kind but `due`."""

    id: UUID
    subject_ref: bytes
    processing: str
    consent: UUID
    kind: FlagKind
    notice: int
    flagged_at: datetime
    expires_at: datetime


# Each processing and kind is read in its own order and then merged, so a page costs no more however many flags there
# are.
_FLAGS: Final = text("""
SELECT found.* FROM unnest(CAST(:processings AS text[])) AS wanted, unnest(CAST(:kinds AS text[])) AS sort, LATERAL (
    SELECT * FROM renewal_flag WHERE processing = wanted AND kind = sort
        AND id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT :most
) AS found ORDER BY id LIMIT :most
""")


async def list_flags(
    session: ReadSession, processings: Sequence[str], kinds: Sequence[FlagKind], *, after: UUID | None, limit: int
) -> list[FlagRecord]:
    """Return the next flags on those processings, of those kinds, oldest first."""
    values = {"processings": list(processings), "kinds": [kind.value for kind in kinds], "after": after, "most": limit}
    rows = await session.execute(_FLAGS, values)
    return [record_of(FlagRecord, row) for row in rows]


async def count_flags(session: ReadSession, since: datetime, until: datetime) -> list[CountOfKind]:
    """Return how many flags were raised between two instants, by processing and kind."""
    table = renewal_flag.c
    by = (table.processing, table.kind)
    raised = (table.flagged_at >= since) & (table.flagged_at < until)
    rows = await session.execute(select(*by, func.count().label("number")).where(raised).group_by(*by).order_by(*by))
    return [record_of(CountOfKind, row) for row in rows]


async def flags_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """Return every flag on a person's consents, oldest first; `notice` is in days, and 0 for every kind but `due`."""
    names = ("processing", "consent", "kind", "notice", "flagged_at", "expires_at")
    columns = [renewal_flag.c[name] for name in names]
    rows = select(*columns).where(renewal_flag.c.subject_ref == ref).order_by(renewal_flag.c.flagged_at)
    return (await session.execute(rows)).mappings().all()


# The live consents that an invalidation may have ended, and that must be flagged for it. Live means that no event ended
# them; the core says whether one is in force. They may rest on one version of a processing, or on one text; the core
# says which of them do. Of two acts that are one joint consent, the text may have been shown for the earlier one.

_LIVE_FLAG: Final = """
FROM consent AS live JOIN subject ON subject.subject_ref = live.subject_ref
WHERE live.processing = :processing AND live.decision = 'granted' AND live.ended_by IS NULL
    AND (CAST(:after AS uuid) IS NULL OR live.id > CAST(:after AS uuid))
    AND (live.version = :version OR EXISTS (
        SELECT FROM consent_event AS shown
        WHERE shown.subject_ref = live.subject_ref AND shown.processing = live.processing AND shown.kind = 'granted'
            AND lower(shown.evidence ->> 'presented_text_sha256') = :text AND (
                shown.id = live.id
                OR shown.version = live.version
                    AND shown.collected_at BETWEEN live.collected_at - interval '30 days' AND live.collected_at)))
"""
_UNTOLD: Final = """
    AND live.renewal_stage > 0 AND NOT EXISTS (
        SELECT FROM renewal_flag AS told WHERE told.subject_ref = live.subject_ref
            AND told.processing = live.processing AND told.consent = live.id AND told.kind = 'invalidated')
"""
_COLUMNS: Final = """
SELECT live.subject_ref, live.id, coalesce(live.counted_from, live.collected_at) AS counted_from, live.version
"""
_PAGE: Final = text(f"{_COLUMNS} {_LIVE_FLAG} ORDER BY live.id LIMIT :most")
_HOLD: Final = text(f"{_COLUMNS} {_LIVE_FLAG} {_UNTOLD} ORDER BY live.id LIMIT :most FOR UPDATE OF subject SKIP LOCKED")
_LEFT: Final = text(f"SELECT live.id {_LIVE_FLAG} {_UNTOLD} ORDER BY live.id LIMIT :most")


async def list_resting(
    session: ReadSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """Return the next live consents, by id, that may rest on what was struck; their subjects are not held."""
    return _held_of(await session.execute(_PAGE, _values(processing, struck, after) | {"most": limit}))


async def hold_resting(
    session: WriteSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """Hold and return the same, but only those not flagged yet; subjects that others hold are left out."""
    return _held_of(await session.execute(_HOLD, _values(processing, struck, after) | {"most": limit}))


async def list_untold(session: ReadSession, processing: str, struck: Struck, *, limit: int) -> list[UUID]:
    """Return some consents that are not flagged yet, whether or not their subjects are held."""
    ids = await session.execute(_LEFT, _values(processing, struck, None) | {"most": limit})
    return list(ids.scalars())


def _values(processing: str, struck: Struck, after: UUID | None) -> dict[str, object]:
    return {"processing": processing, "version": struck.version, "text": struck.text, "after": after}


def _held_of(rows: Iterable[Row[Any]]) -> list[Held]:
    return [Held(row.subject_ref, row.id, row.counted_from, row.version) for row in rows]
