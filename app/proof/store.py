"""Read and write the log: what waits to be entered, entries, openings, tiles and checkpoints."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    cast,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession
from app.proof.entries import LogEntry, Record, body_of, commitment, record_of
from app.proof.sources import SOURCES, by_id, is_named, without_entry
from app.proof.tree import Subtree, subtree_of, tiles_needed
from app.proof.verifier.bodies import ENDINGS

Result = TypeVar("Result")

# The log's tables. Entries, checkpoints and statements are append-only; an opening goes when its body is destroyed.
# What is to be entered comes into the queue by triggers of the database, in the transaction that recorded it.


proof_queue = Table(
    "proof_queue",
    metadata,
    Column("n", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("queued_at", Instant, nullable=False, server_default=text("clock_timestamp()")),
)

proof_entry = Table(
    "proof_entry",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    # The JSON that was hashed, byte for byte (app.proof.entries).
    Column("entry", LargeBinary, nullable=False),
    CheckConstraint("octet_length(entry) <= 65535", name="length"),
    CheckConstraint("position >= 0", name="position"),
    UniqueConstraint("kind", "id"),
)

proof_opening = Table(
    "proof_opening",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    CheckConstraint("octet_length(salt) = 32", name="salt"),
)

proof_tile = Table(
    "proof_tile",
    metadata,
    Column("level", SmallInteger, nullable=False),
    Column("index", BigInteger, nullable=False, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "index"),
)

proof_checkpoint = Table(
    "proof_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("signed_at", Instant, nullable=False),
    # The latest time that any of its entries claims: what claims to be much older is entered as late.
    Column("claimed_until", Instant, nullable=False),
    Column("note", Text, nullable=False),
)

# What has no row elsewhere: settings that decide, keys, bundles that were made. `kind` is the entry's kind.
proof_statement = Table(
    "proof_statement",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", JSONB, nullable=False),
    CheckConstraint("kind IN ('key', 'settings', 'standing', 'decision_hour', 'retention_run', 'bundle')", name="kind"),
)

# What an outside party said of a checkpoint. A stamp is the DER of an answer (RFC 3161), and has no witness; a
# cosignature is a line of a signed note, and its witness is the verifier key. `told_at`: when, by that party's clock.
proof_anchor = Table(
    "proof_anchor",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("size", BigInteger, ForeignKey("proof_checkpoint.size", ondelete="RESTRICT"), nullable=False),
    Column("way", Text, nullable=False),
    Column("witness", Text, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("kept_at", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
    CheckConstraint("way IN ('stamp', 'cosignature')", name="way"),
    CheckConstraint("(way = 'stamp') = (witness = '')", name="witness"),
    CheckConstraint("octet_length(content) BETWEEN 1 AND 65536", name="length"),
    UniqueConstraint("size", "witness"),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be entered. `number` orders the queue."""

    number: int
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as stored. `salt` is None once its body was destroyed."""

    position: int
    kind: str
    id: str
    content: bytes
    salt: bytes | None


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it was signed."""

    size: int
    signed_at: datetime
    note: str


async def waiting(session: ReadSession, most: int, behind: int = 0) -> list[Waiting]:
    """Return what waits to be entered behind a number of the queue, the oldest first."""
    rows = await session.execute(
        select(proof_queue).where(proof_queue.c.n > behind).order_by(proof_queue.c.n).limit(most)
    )
    return [Waiting(row.n, row.kind, row.id) for row in rows]


async def merge_delay(session: ReadSession) -> float:
    """Return for how many seconds the oldest row of the queue has waited to be entered; 0 where none waits."""
    oldest = await waiting_since(session)
    return 0.0 if oldest is None else max(0.0, (await session.now() - oldest).total_seconds())


async def done_with(session: WriteSession, queued: Sequence[Waiting]) -> None:
    """Take rows out of the queue."""
    await session.execute(delete(proof_queue).where(proof_queue.c.n.in_([each.number for each in queued])))


async def entered_already(session: ReadSession, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of some (kind, id) that stand in the log."""
    named = tuple_(proof_entry.c.kind, proof_entry.c.id)
    rows = await session.execute(select(proof_entry.c.kind, proof_entry.c.id).where(named.in_(list(names))))
    return {(row.kind, row.id) for row in rows}


async def records(session: ReadSession, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Record]:
    """Return the records of some (kind, id), as the database has them now; those whose row is gone are missing."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, identifier in names:
        by_kind[kind].append(identifier)
    by_name: dict[tuple[str, str], Record] = {}
    for kind, named in by_kind.items():
        source = SOURCES.get(kind)
        ids = [each for each in named if source is not None and source.takes(each)]
        if source is None or not ids:
            continue
        for row in (await session.execute(text(by_id(source)), {"ids": ids})).scalars():
            by_name[kind, row["entry_id"]] = record_of(kind, row, source.subjects)
    return by_name


async def size_of_log(session: ReadSession) -> int:
    """Return how many entries there are."""
    return int((await session.execute(select(func.coalesce(func.max(proof_entry.c.position) + 1, 0)))).scalar_one())


async def add_entries(session: WriteSession, first: int, entries: Sequence[tuple[Waiting, LogEntry]]) -> None:
    """Append entries, the first of them at position `first`."""
    numbered = list(enumerate(entries, first))
    await session.execute(
        insert(proof_entry),
        [{"position": at, "kind": each.kind, "id": each.id, "entry": made.content} for at, (each, made) in numbered],
    )
    await session.execute(insert(proof_opening), [{"position": at, "salt": made.salt} for at, (_, made) in numbered])


async def tiles(session: ReadSession, names: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Return the hashes of some tiles, by level and index."""
    named = tuple_(proof_tile.c.level, proof_tile.c.index)
    columns = select(proof_tile.c.level, proof_tile.c.index, proof_tile.c.hashes)
    rows = await session.execute(columns.where(named.in_(list(names))))
    return {(each["level"], each["index"]): each["hashes"] for each in rows.mappings()}


async def from_tiles(session: ReadSession, work: Callable[[Subtree], Result]) -> Result:
    """Return what `work` makes of the log's tree, from the tiles that it needs.

    Raises:
        KeyError: a tile is missing.
        ValueError: a tile is shorter than the tree.

    """
    hashes = await tiles(session, tiles_needed(work))
    return work(subtree_of(lambda level, index: hashes[level, index]))


async def put_tiles(session: WriteSession, changed: Mapping[tuple[int, int], bytes]) -> None:
    """Write tiles, new or grown."""
    put = postgresql.insert(proof_tile)
    put = put.on_conflict_do_update(index_elements=["level", "index"], set_={"hashes": put.excluded.hashes})
    rows = [{"level": level, "index": index, "hashes": hashes} for (level, index), hashes in changed.items()]
    await session.execute(put, rows)


async def latest_checkpoint(session: ReadSession, *, at_least: int = 0) -> StoredCheckpoint | None:
    """Return the checkpoint of the largest size; with `at_least`, the smallest one that has so many entries."""
    columns = proof_checkpoint.c
    wanted = columns.size.asc() if at_least else columns.size.desc()
    rows = await session.execute(select(proof_checkpoint).where(columns.size >= at_least).order_by(wanted).limit(1))
    row = rows.one_or_none()
    return None if row is None else StoredCheckpoint(row.size, row.signed_at, row.note)


async def checkpointed_before(session: ReadSession, instant: datetime) -> int:
    """Return how many entries the last checkpoint before an instant had; 0 where there was none."""
    size = select(func.coalesce(func.max(proof_checkpoint.c.size), 0)).where(proof_checkpoint.c.signed_at < instant)
    return int((await session.execute(size)).scalar_one())


async def checkpoint_after(
    session: ReadSession, instant: datetime | None, *, anchored: bool = False
) -> StoredCheckpoint | None:
    """Return the first checkpoint that was signed at an instant or after it; where none was, the last of all.

    `anchored`: only of those that others have stamped or cosigned.
    """
    columns, row = proof_checkpoint.c, None
    wanted = select(proof_checkpoint).limit(1)
    if anchored:
        wanted = wanted.where(select(proof_anchor.c.id).where(proof_anchor.c.size == columns.size).exists())
    if instant is not None:
        after = wanted.where(columns.signed_at >= instant).order_by(columns.size)
        row = (await session.execute(after)).one_or_none()
    if row is None:
        row = (await session.execute(wanted.order_by(columns.size.desc()))).one_or_none()
    return None if row is None else StoredCheckpoint(row.size, row.signed_at, row.note)


async def claimed_until(session: ReadSession) -> datetime | None:
    """Return the latest time that any entry of the log claims; None where there is none."""
    newest = select(proof_checkpoint.c.claimed_until).order_by(proof_checkpoint.c.size.desc()).limit(1)
    until: datetime | None = (await session.execute(newest)).scalar_one_or_none()
    return until


async def add_checkpoint(session: WriteSession, checkpoint: StoredCheckpoint, claimed: datetime) -> None:
    """Keep a checkpoint. `claimed`: the latest time that any of its entries claims."""
    values = {"size": checkpoint.size, "signed_at": checkpoint.signed_at, "note": checkpoint.note}
    await session.execute(insert(proof_checkpoint).values(claimed_until=claimed, **values))


async def entry_named(session: ReadSession, kind: str, identifier: str) -> StoredEntry | None:
    """Return the entry of a row, if it stands in the log."""
    entries = await _entries(session, (proof_entry.c.kind == kind) & (proof_entry.c.id == identifier))
    return entries[0] if entries else None


_BY_PERSON: Final = text("""
WITH told AS MATERIALIZED (
    SELECT subject_ref, seq, id FROM consent_event
    WHERE (subject_ref, seq) > (CAST(:ref AS bytea), CAST(:seq AS integer)) ORDER BY subject_ref, seq LIMIT :most
)
SELECT told.subject_ref, told.seq, entry.*, opening.salt
FROM told
LEFT JOIN proof_entry AS entry ON entry.kind = 'consent_event' AND entry.id = told.id::text
LEFT JOIN proof_opening AS opening ON opening.position = entry.position
ORDER BY told.subject_ref, told.seq
""")
"""One pass over the ledger in the order of its key, some events at once, by two keys and nothing else.

With a condition on the position, the planner would look up the entries of each event by that.
"""


async def entries_by_person(
    session: ReadSession, *, after: tuple[bytes, int], most: int
) -> list[tuple[bytes, int, StoredEntry | None]]:
    """Return the next events of the ledger by person, as (subject_ref, seq, entry); None for one without an entry."""
    ref, seq = after
    values = {"ref": ref, "seq": seq, "most": most}
    return [
        (
            row.subject_ref,
            row.seq,
            StoredEntry(row.position, row.kind, row.id, row.entry, row.salt) if row.position is not None else None,
        )
        for row in await session.execute(_BY_PERSON, values)
    ]


async def entries_of(
    session: ReadSession, kinds: Iterable[str], first: int, size: int, *, most: int
) -> list[StoredEntry]:
    """Return entries of some kinds in order, from position `first` to before `size`: `most` of them at most."""
    position = proof_entry.c.position
    wanted = proof_entry.c.kind.in_(list(kinds)) & (position >= first) & (position < size)
    return await _entries(session, wanted, most)


async def entries_from(session: ReadSession, first: int, most: int) -> list[StoredEntry]:
    """Return `most` entries in order, from a position on."""
    return await _entries(session, (proof_entry.c.position >= first) & (proof_entry.c.position < first + most))


async def _entries(
    session: ReadSession,
    wanted: Any,  # noqa: ANN401 - a condition
    most: int | None = None,
) -> list[StoredEntry]:
    joined = proof_entry.outerjoin(proof_opening, proof_opening.c.position == proof_entry.c.position)
    query = select(proof_entry, proof_opening.c.salt).select_from(joined).where(wanted)
    rows = await session.execute(query.order_by(proof_entry.c.position).limit(most))
    return [StoredEntry(row.position, row.kind, row.id, row.entry, row.salt) for row in rows]


async def unentered(session: ReadSession, size: int) -> list[tuple[str, str]]:
    """Return rows that neither the log of that size nor the queue has, or whose entry was emptied, by kind and id."""
    missing: list[tuple[str, str]] = []
    for kind in sorted(SOURCES):
        rows = await session.execute(text(without_entry(kind, SOURCES[kind])), {"size": size})
        missing += [(kind, identifier) for identifier in rows.scalars()]
    return missing


async def count_waiting(session: ReadSession) -> tuple[int, datetime | None]:
    """Return how many rows wait to be entered, and since when the oldest does."""
    counted = select(func.count().label("number"), func.min(proof_queue.c.queued_at).label("since"))
    row = (await session.execute(counted.select_from(proof_queue))).mappings().one()
    return int(row["number"]), row["since"]


async def waiting_since(session: ReadSession) -> datetime | None:
    """Return since when the row has waited that is to be entered next; None where none waits."""
    first = select(proof_queue.c.queued_at).order_by(proof_queue.c.n).limit(1)
    return (await session.execute(first)).scalar_one_or_none()


async def stated_keys(session: ReadSession) -> set[str]:
    """Return the verifier keys that were stated in the log."""
    keys = select(proof_statement.c.body["key"].astext).where(proof_statement.c.kind == "key")
    return set((await session.execute(keys)).scalars())


async def rotations(session: ReadSession) -> list[str]:
    """Return the notes by which each key of the log names the one that follows it, the first one first."""
    note = proof_statement.c.body["rotation"].astext
    stated = select(note).where(proof_statement.c.kind == "key", note.is_not(None)).order_by(proof_statement.c.id)
    return list((await session.execute(stated)).scalars())


async def add_statement(
    session: WriteSession, identifier: UUID, kind: str, at: datetime, body: Mapping[str, Any]
) -> None:
    """Record a statement, of something that has no row elsewhere."""
    await session.execute(insert(proof_statement).values(id=identifier, kind=kind, at=at, body=body))


async def latest_statement(session: ReadSession, kind: str) -> Mapping[str, Any] | None:
    """Return the body of the last statement of a kind."""
    newest = select(proof_statement.c.body).where(proof_statement.c.kind == kind).order_by(proof_statement.c.id.desc())
    body: Mapping[str, Any] | None = (await session.execute(newest.limit(1))).scalar_one_or_none()
    return body


_CHANGED: Final = text("""
WITH now AS (
    SELECT 'caller' AS of, id::text AS id, jsonb_build_object(
        'kind', kind, 'scopes', scopes, 'processings', processings, 'revoked_at', revoked_at,
        'recognised_by', encode(sha256(convert_to(jsonb_build_array(issuer, token_subject, token_client, identity_ref,
            (SELECT jsonb_agg(to_jsonb(held) ORDER BY held.id) FROM caller_key AS held WHERE held.caller = caller.id)
        )::text, 'UTF8')), 'hex')) AS facts FROM caller
    UNION ALL SELECT 'import', name, jsonb_build_object('made_by', made_by, 'begun_at', begun_at, 'expected', expected,
        'until', until) FROM import_source
    UNION ALL SELECT 'retention_rule', kind, jsonb_build_object('basis', basis, 'starts_when', starts_when,
        'period', period, 'afterwards', afterwards, 'signed_at', signed_at, 'signed_by', signed_by) FROM retention_rule
    UNION ALL SELECT 'retention_hold', id::text, jsonb_build_object('processing', processing, 'reason', reason, 'until',
        until, 'made_at', made_at, 'made_by', made_by, 'released_at', released_at,
        'of_a_person', subject_ref IS NOT NULL) FROM retention_hold
    UNION ALL SELECT 'owner_limit', 'all', to_jsonb(owner_limit) FROM owner_limit
), said AS (
    SELECT DISTINCT ON (body->>'of', body->>'id') body->>'of' AS of, body->>'id' AS id, body->'facts' AS facts
    FROM proof_statement WHERE kind = 'standing' ORDER BY body->>'of', body->>'id', proof_statement.id DESC
)
SELECT of, id, now.facts FROM now FULL JOIN said USING (of, id)
WHERE coalesce(now.facts, 'null') <> coalesce(said.facts, 'null') ORDER BY of, id LIMIT :most
""")
"""Rows that decide and that change in place: what a caller may do, how long proof is kept, what an import expects,
what the owner limits. Of a caller's identity and keys there is a digest. An entry commits to a row as it was, so that
each state of such a row is stated."""


async def changed_since_stated(session: ReadSession, most: int) -> list[Mapping[str, Any]]:
    """Return what differs from what was stated last, or was never stated: `of`, `id`, `facts` (None: it is gone)."""
    rows = await session.execute(_CHANGED, {"most": most})
    return [{"of": row.of, "id": row.id, "facts": row.facts} for row in rows]


async def statements_from(session: ReadSession, kind: str, position: int) -> list[str]:
    """Return the ids of the statements of a kind that stand in the log from a position on, in its order."""
    table, entry = proof_statement.c, proof_entry.c
    stated = select(entry.id).where(entry.kind == "statement", entry.position >= position)
    of_kind = stated.join(proof_statement, cast(table.id, Text) == entry.id).where(table.kind == kind)
    return list((await session.execute(of_kind.order_by(entry.position))).scalars())


_ACTS: Final = text("""
SELECT entry.id FROM proof_entry AS entry
JOIN administrative_act AS act ON act.id = CASE entry.kind WHEN 'administrative_act' THEN CAST(entry.id AS uuid) END
WHERE entry.position >= :position AND act.act = ANY(CAST(:acts AS text[]))
ORDER BY entry.position
""")


async def acts_from(session: ReadSession, acts: Sequence[str], position: int) -> list[str]:
    """Return the ids of the acts of some kinds that stand in the log from a position on, in its order."""
    return list((await session.execute(_ACTS, {"acts": list(acts), "position": position})).scalars())


_ENDINGS: Final = text("""
SELECT told FROM (
    SELECT at, id, to_jsonb(done) AS told FROM administrative_act AS done WHERE act = ANY(CAST(:acts AS text[]))
    UNION ALL SELECT at, id, body FROM proof_statement WHERE kind = 'standing' AND body->>'of' = 'owner_limit'
) AS every ORDER BY at, id
""")


async def endings(session: ReadSession) -> list[Mapping[str, Any]]:
    """Return what excuses decisions that are gone, as the verifier takes it, entered or not."""
    return list((await session.execute(_ENDINGS, {"acts": list(ENDINGS)})).scalars())


async def stated_until(session: ReadSession, kind: str) -> datetime | None:
    """Return until when the statements of a kind speak, or None. Their ids would mislead once a clock was set back."""
    table = proof_statement.c
    last = select(func.max(cast(table.body["until"].astext, Instant))).where(table.kind == kind)
    until: datetime | None = (await session.execute(last)).scalar_one_or_none()
    return until


async def statements_since(session: ReadSession, kind: str, since: datetime) -> list[tuple[UUID, Mapping[str, Any]]]:
    """Return the statements of a kind that do not end before an instant, in the order of the times that they cover."""
    table = proof_statement.c
    begins, ends = cast(table.body["since"].astext, Instant), cast(table.body["until"].astext, Instant)
    spoken = select(table.id, table.body).where(table.kind == kind, ends >= since).order_by(begins, ends)
    return [(row.id, row.body) for row in await session.execute(spoken)]


async def agrees_with_its_entry(session: ReadSession, identifier: UUID) -> bool:
    """Return whether a statement is what the log committed to, or waits to be entered."""
    name = ("statement", str(identifier))
    entry = await entry_named(session, *name)
    if entry is None:
        queued = select(func.count()).where(proof_queue.c.kind == name[0], proof_queue.c.id == name[1])
        return bool((await session.execute(queued)).scalar_one())
    return is_as_entered(entry, (await records(session, [name])).get(name))


def is_as_entered(entry: StoredEntry, record: Record | None) -> bool:
    """Return whether a record is what its entry committed to. An entry without an opening must have no record."""
    if entry.salt is None or record is None:
        return entry.salt is None and record is None
    try:
        members = json.loads(entry.content)
        name = (members["kind"], members["id"], members["commitment"])
        return name == (record.kind, record.id, commitment(entry.salt, body_of(record, entry.salt)))
    except (KeyError, TypeError, ValueError):  # canonical JSON does not have it, or it is not an entry
        return False


_AS_NAMED: Final = text(f"""
SELECT count(*) FROM proof_entry AS entry
LEFT JOIN proof_statement AS stated ON entry.kind = 'statement' AND CAST(stated.id AS text) = entry.id
WHERE {is_named("coalesce(stated.kind, entry.kind)", "entry.id")}
""")  # noqa: S608 - constants


async def count_entries_gone(session: ReadSession) -> int:
    """Return how many of the entries that the last checkpoint or the last entry counts are not found by their names.

    They are missing, or have another name in the database than in what was hashed. A statement has its kind in its row.
    """
    last = await latest_checkpoint(session)
    size = max(await size_of_log(session), 0 if last is None else last.size)
    return size - int((await session.execute(_AS_NAMED)).scalar_one())


_RETAINED: Final = """(
    SELECT DISTINCT jsonb_path_query(body, '$.positions[*] ? (@.type() == "number")')::numeric AS position
    FROM proof_statement WHERE kind = 'retention_run'
) AS retained"""
"""The positions that runs of retention state; anything else in a statement, by a superuser, is passed over."""
_DESTROYED: Final = text(f"""
SELECT count(*) FROM proof_entry AS entry
LEFT JOIN proof_opening AS opening USING (position)
LEFT JOIN {_RETAINED} USING (position)
WHERE opening.salt IS NULL AND (retained.position IS NULL OR entry.kind <> 'consent_event')
""")  # noqa: S608 - constants
_EMPTIED: Final = text(f"""
SELECT count(*) FROM proof_entry AS entry JOIN {_RETAINED} USING (position)
WHERE entry.kind = 'consent_event' AND entry.position >= :first AND entry.position < :size
""")  # noqa: S608 - constants


async def count_emptied(session: ReadSession, first: int, size: int) -> int:
    """Return of how many entries from `first` to below `size` runs of retention say that they destroyed the body."""
    return int((await session.execute(_EMPTIED, {"first": first, "size": size})).scalar_one())


async def count_destroyed(session: ReadSession) -> int:
    """Return how many entries have no opening any more, though no run of retention says that it destroyed that."""
    return int((await session.execute(_DESTROYED)).scalar_one())
