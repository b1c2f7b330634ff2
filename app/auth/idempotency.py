"""Answers already given under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).

Keys and requests are stored as keyed hashes only: a client may have put an identifier into either.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, cast, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from app.auth.tables import idempotency
from app.core.errors import AnswerErasedError, IdempotencyMismatchError
from app.db.session import WriteSession

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
    now = await session.now()
    table = idempotency.c
    forgotten = now - keep
    claim = insert(idempotency).values(
        caller=call.caller, key_hash=call.key_hash, request_hash=call.request_hash, created_at=now
    )
    afresh = {"request_hash": claim.excluded.request_hash, "created_at": now, "status": None, "body": None}
    claim = claim.on_conflict_do_update(
        index_elements=[table.caller, table.key_hash], set_=afresh, where=table.created_at < forgotten
    )
    claimed = (await session.execute(claim.returning(table.caller))).first() is not None
    # After the claim, and past what others hold: two callers that trim each other's claims would wait for each other.
    old = select(table.key_hash).where(table.caller == call.caller, table.created_at < forgotten)
    trimmed = old.limit(_TRIMMED_AT_ONCE).with_for_update(skip_locked=True)
    await session.execute(
        delete(idempotency).where(table.caller == call.caller, table.key_hash.in_(trimmed.scalar_subquery()))
    )
    if claimed:
        return None
    mine = select(idempotency).where(table.caller == call.caller, table.key_hash == call.key_hash)
    before = (await session.execute(mine)).one()
    if before.request_hash != call.request_hash:
        raise IdempotencyMismatchError
    if before.status is None:
        raise AnswerErasedError
    await session.repeat()
    return Answer(before.status, before.body)


async def keep_answer(session: WriteSession, call: IdempotentCall, answer: Answer) -> None:
    """Keep the answer given in this transaction."""
    table = idempotency.c
    statement = update(idempotency).where(table.caller == call.caller, table.key_hash == call.key_hash)
    about = sorted(session.committing.subjects) or None
    await session.execute(statement.values(status=answer.status, body=answer.body, subject_refs=about))


async def forget_answers(session: WriteSession, refs: Collection[bytes]) -> None:
    """Forget the answers to writes about these subjects, which name what was recorded, and whom they were about.

    The keys stay claimed: a client that lost its answer, and repeats the write, must not record it anew.
    """
    about = idempotency.c.subject_refs.op("&&")(cast(list(refs), ARRAY(LargeBinary)))
    await session.execute(update(idempotency).where(about).values(status=None, body=None, subject_refs=None))
