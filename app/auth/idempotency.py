"""Answers already given under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).

Keys and requests are stored as keyed hashes only: a client may have put an identifier into either.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, cast, text, update

from app.auth.store import idempotency
from app.core.errors import AnswerErasedError, DomainError, IdempotencyMismatchError
from app.db.session import LookedUp, Lookup, Prepared, Put, WriteSession, as_rows, nothing

KEPT: Final = timedelta(hours=24)
"""How long an answer is given again under its Idempotency-Key."""
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


async def earlier_answer(session: WriteSession, call: IdempotentCall) -> Answer | None:
    """Claim the key for this transaction, or return the answer that it got before.

    A concurrent call under the same key waits here for the other's commit. Each call forgets a few of the caller's
    answers that are older than `KEPT`.

    Raises:
        IdempotencyMismatchError: the key was used with another request.
        AnswerErasedError: its answer was about a person who was erased since.

    """
    claims = KeyClaims([call], waiting=True)
    given = claims.told(await session.look_up(*claims.lookups))[call]
    if isinstance(given, DomainError):
        raise given
    if isinstance(given, Answer):
        await session.repeat()
        return given
    return None


class KeyClaim(Enum):
    """What became of a key that was not answered before: this transaction has it, or another one that goes on."""

    OWN = auto()
    OF_ANOTHER = auto()


class KeyClaims:
    """Claim the keys of some calls for a transaction, in one round trip, until the transaction ends.

    If another transaction holds a key, this one waits for it or leaves the key to it (`waiting`). The lock and the
    claim are one statement; the next statement sees what it did not claim because another came first and ended since.
    """

    def __init__(self, calls: Collection[IdempotentCall], *, waiting: bool) -> None:
        """Prepare the look-ups."""
        self._calls = calls
        rows = as_rows([{"name": _name_of(each), **asdict(each)} for each in calls])
        aged = {"rows": rows, "seconds": KEPT.total_seconds()}
        self._hold = Lookup(_HOLD, {"rows": rows}, nothing)
        self._claim = Lookup(_CLAIM, aged, lambda found: {(row.caller, bytes(row.key_hash)) for row in found})
        self._trim = Lookup(_TRIM, {**aged, "most": _TRIMMED_AT_ONCE}, nothing)
        self._before = Lookup(_BEFORE, {"rows": rows}, _by_call)
        self.lookups: tuple[Lookup[Any], ...] = ()
        if calls:
            self.lookups = (*([self._hold] if waiting else []), self._claim, self._trim, self._before)

    def told(self, found: LookedUp) -> dict[IdempotentCall, Answer | DomainError | KeyClaim]:
        """Return what is known of each call, once the look-ups were sent.

        If one was answered before, the transaction repeats another (`WriteSession.repeat`).
        """
        if not self.lookups:
            return {}
        claimed, before = self._claim.read(found[self._claim]), self._before.read(found[self._before])
        return {each: _told(each, claimed, before) for each in self._calls}


def _by_call(rows: Sequence[Any]) -> dict[tuple[UUID, bytes], Any]:
    return {(row.caller, bytes(row.key_hash)): row for row in rows}


def _told(
    call: IdempotentCall, claimed: Collection[tuple[UUID, bytes]], before: Mapping[tuple[UUID, bytes], Any]
) -> Answer | DomainError | KeyClaim:
    name = (call.caller, call.key_hash)
    if name in claimed:
        return KeyClaim.OWN
    row = before.get(name)
    if row is None:
        return KeyClaim.OF_ANOTHER
    if bytes(row.request_hash) != call.request_hash:
        return IdempotencyMismatchError()
    return AnswerErasedError() if row.status is None else Answer(row.status, row.body)


def _name_of(call: IdempotentCall) -> str:
    return f"idempotency {call.caller} {call.key_hash.hex()}"


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
_GIVEN: Final = (
    "json_to_recordset(CAST(:rows AS json)) AS given (name text, caller uuid, key_hash text, request_hash text)"
)
_HOLD: Final = Prepared(
    text(f"""
SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM (SELECT name FROM {_GIVEN} ORDER BY 1) AS names
""")  # noqa: S608 - a constant
)
_CLAIM: Final = Prepared(
    text(f"""
INSERT INTO idempotency (caller, key_hash, request_hash, created_at)
SELECT caller, decode(key_hash, 'hex'), decode(request_hash, 'hex'), clock_timestamp()
FROM {_GIVEN} WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))
ORDER BY 1, 2
ON CONFLICT (caller, key_hash) DO UPDATE
    SET request_hash = EXCLUDED.request_hash, created_at = EXCLUDED.created_at, status = NULL, body = NULL
    WHERE idempotency.created_at < clock_timestamp() - make_interval(secs => :seconds)
RETURNING caller, key_hash
""")  # noqa: S608 - a constant
)
_BEFORE: Final = Prepared(
    text(f"""
SELECT caller, idempotency.key_hash, idempotency.request_hash, status, body FROM idempotency
JOIN {_GIVEN} USING (caller) WHERE idempotency.key_hash = decode(given.key_hash, 'hex')
""")  # noqa: S608 - a constant
)
# It skips rows that others hold: two that trim the same rows would wait for each other.
_TRIM: Final = Prepared(
    text(f"""
DELETE FROM idempotency USING (
    SELECT old.caller, old.key_hash FROM (SELECT DISTINCT caller FROM {_GIVEN}) AS callers
    CROSS JOIN LATERAL (
        SELECT caller, key_hash FROM idempotency WHERE caller = callers.caller
            AND created_at < clock_timestamp() - make_interval(secs => :seconds)
        LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS old
) AS trimmed
WHERE idempotency.caller = trimmed.caller AND idempotency.key_hash = trimmed.key_hash
RETURNING 1
""")  # noqa: S608 - a constant
)


def release(session: WriteSession, call: IdempotentCall) -> None:
    """Give up a key that this transaction has claimed: nothing was recorded under it."""
    session.stage(_RELEASE, {"caller": call.caller, "key_hash": call.key_hash})


async def forget_answers(session: WriteSession, refs: Collection[bytes]) -> None:
    """Forget the answers to writes about these subjects: they name what was recorded, and the subjects themselves.

    The keys stay claimed: a client that lost its answer, and repeats the write, must not record it anew.
    """
    about = idempotency.c.subject_refs.op("&&")(cast(list(refs), ARRAY(LargeBinary)))
    await session.execute(update(idempotency).where(about).values(status=None, body=None, subject_refs=None))
