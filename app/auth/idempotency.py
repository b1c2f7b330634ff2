"""Answers already given under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).

Keys and requests are stored as keyed hashes only: a client may have put an identifier into either.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Row, cast, delete, select, text, update

from app.auth.tables import idempotency
from app.core.errors import AnswerErasedError, DomainError, IdempotencyMismatchError
from app.db.many import as_rows
from app.db.session import Put, WriteSession

_TRIMMED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """One write under an Idempotency-Key: who calls, and keyed hashes of the key and of the whole request."""

    caller: UUID
    key_hash: bytes
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as given: HTTP status and JSON body."""

    status: int
    body: str


async def earlier_answer(session: WriteSession, call: IdempotentCall, *, keep: timedelta) -> Answer | None:
    """Claim the key for this transaction, or give the answer that it got before.

    A concurrent call under the same key waits here for the other's commit. Answers older than `keep` are forgotten,
    a few of the caller's own at each call.

    Raises:
        IdempotencyMismatchError: the key was used with another request.
        AnswerErasedError: its answer was about somebody who was erased since.

    """
    await hold_keys(session, [call])
    given = (await earlier_answers(session, [call], keep=keep)).get(call)
    if isinstance(given, DomainError):
        raise given
    return given


async def hold_keys(session: WriteSession, calls: Collection[IdempotentCall]) -> None:
    """Hold the keys of some calls until the transaction ends: who holds one of them now is waited for."""
    await session.execute(_HOLD, {"names": sorted(map(_name_of, calls))})


async def try_keys(session: WriteSession, calls: Collection[IdempotentCall]) -> set[IdempotentCall]:
    """Those of some calls whose keys nobody else holds: they are held until the transaction ends."""
    by_name = {_name_of(each): each for each in calls}
    return {by_name[name] for name in (await session.execute(_TRY, {"names": sorted(by_name)})).scalars()}


def _name_of(call: IdempotentCall) -> str:
    return f"idempotency {call.caller} {call.key_hash.hex()}"


_HOLD: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name"
)
_TRY: Final = text("""
SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))
""")


async def keep_answer(session: WriteSession, call: IdempotentCall, answer: Answer) -> None:
    """Keep the answer given in this transaction."""
    keep_answer_about(session, call, answer, session.committing.subjects)


def keep_answer_about(session: WriteSession, call: IdempotentCall, answer: Answer, about: Collection[bytes]) -> None:
    """Keep the answer given in this transaction, about these subjects."""
    row = {
        "caller": call.caller,
        "key_hash": call.key_hash,
        "status": answer.status,
        "body": answer.body,
        "about": [ref.hex() for ref in sorted(about)],
    }
    session.stage(_KEEP, row)


_KEEP: Final = Put(
    order=95,
    sql="""
UPDATE idempotency SET status = given.status, body = given.body, subject_refs =
    (SELECT array_agg(decode(ref, 'hex')) FROM unnest(about) AS ref)
FROM json_to_recordset(CAST(%(rows)s AS json))
    AS given (caller uuid, key_hash text, status int, body text, about text[])
WHERE idempotency.caller = given.caller AND idempotency.key_hash = decode(given.key_hash, 'hex')
""",
)
_RELEASE: Final = Put(
    order=94,
    sql="""
DELETE FROM idempotency USING json_to_recordset(CAST(%(rows)s AS json)) AS given (caller uuid, key_hash text)
WHERE idempotency.caller = given.caller AND idempotency.key_hash = decode(given.key_hash, 'hex')
""",
)
_CLAIM: Final = text("""
INSERT INTO idempotency (caller, key_hash, request_hash, created_at)
SELECT caller, decode(key_hash, 'hex'), decode(request_hash, 'hex'), :now
FROM json_to_recordset(CAST(:rows AS json)) AS given (caller uuid, key_hash text, request_hash text)
ORDER BY 1, 2
ON CONFLICT (caller, key_hash) DO UPDATE
    SET request_hash = EXCLUDED.request_hash, created_at = EXCLUDED.created_at, status = NULL, body = NULL
    WHERE idempotency.created_at < :forgotten
RETURNING caller, key_hash
""")
_BEFORE: Final = text("""
SELECT caller, idempotency.key_hash, idempotency.request_hash, status, body FROM idempotency
JOIN json_to_recordset(CAST(:rows AS json)) AS given (caller uuid, key_hash text) USING (caller)
WHERE idempotency.key_hash = decode(given.key_hash, 'hex')
""")


def release(session: WriteSession, call: IdempotentCall) -> None:
    """Give up a key that this transaction has claimed: nothing was recorded under it."""
    session.stage(_RELEASE, {"caller": call.caller, "key_hash": call.key_hash})


async def earlier_answers(
    session: WriteSession, calls: Collection[IdempotentCall], *, keep: timedelta
) -> dict[IdempotentCall, Answer | DomainError]:
    """What `earlier_answer` gives for each of several calls whose keys are held; one that is claimed is left out.

    Where one was answered before, the transaction repeats another (`WriteSession.repeat`).
    """
    if not calls:
        return {}
    now = await session.now()
    rows = {
        "rows": as_rows(
            {"caller": each.caller, "key_hash": each.key_hash, "request_hash": each.request_hash} for each in calls
        )
    }
    found = await session.execute(_CLAIM, {**rows, "now": now, "forgotten": now - keep})
    claimed = {(row.caller, bytes(row.key_hash)) for row in found}
    for caller in sorted({each.caller for each in calls}):
        await _trim(session, caller, now - keep)
    if len(claimed) == len(calls):
        return {}
    before = {(row.caller, bytes(row.key_hash)): row for row in await session.execute(_BEFORE, rows)}
    told: dict[IdempotentCall, Answer | DomainError] = {}
    for each in calls:
        if (each.caller, each.key_hash) not in claimed:
            told[each] = _told_before(before[each.caller, each.key_hash], each)
    if any(isinstance(each, Answer) for each in told.values()):
        await session.repeat()
    return told


def _told_before(row: Row[Any], call: IdempotentCall) -> Answer | DomainError:
    if bytes(row.request_hash) != call.request_hash:
        return IdempotencyMismatchError()
    return AnswerErasedError() if row.status is None else Answer(row.status, row.body)


async def _trim(session: WriteSession, caller: UUID, forgotten: datetime) -> None:
    """Forget a few old answers of a caller, past what others hold: two that trim the same would wait for each other."""
    table = idempotency.c
    old = select(table.key_hash).where(table.caller == caller, table.created_at < forgotten)
    trimmed = old.limit(_TRIMMED_AT_ONCE).with_for_update(skip_locked=True)
    await session.execute(
        delete(idempotency).where(table.caller == caller, table.key_hash.in_(trimmed.scalar_subquery()))
    )


async def forget_answers(session: WriteSession, refs: Collection[bytes]) -> None:
    """Forget the answers to writes about these subjects, which name what was recorded, and whom they were about.

    The keys stay claimed: a client that lost its answer, and repeats the write, must not record it anew.
    """
    about = idempotency.c.subject_refs.op("&&")(cast(list(refs), ARRAY(LargeBinary)))
    await session.execute(update(idempotency).where(about).values(status=None, body=None, subject_refs=None))
