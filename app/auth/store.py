"""Where callers are kept, found by what they present, and answered again under their Idempotency-Keys."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.auth.callers import ApiKey, Authenticated, Caller, CallerKind, Credential, Identity, Scope, Token, key_digest
from app.core.errors import AnswerErasedError, DomainError, IdempotencyMismatchError
from app.db.schema import Instant, metadata
from app.db.session import (
    LookedUp,
    Lookup,
    Prepared,
    Put,
    ReadSession,
    WriteSession,
    as_columns,
    as_rows,
    nothing,
    record_of,
)

caller = Table(
    "caller",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("processings", ARRAY(Text)),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid),
    Column("revoked_at", Instant),
    Column("revoked_by", Uuid),
    Column("kind", Text, nullable=False, server_default=text("'machine'")),
    # The identity whose access tokens it is known by, if any: shown to administrators, found by the reference.
    Column("issuer", Text),
    Column("token_subject", Text),
    Column("token_client", Text),
    Column("identity_ref", LargeBinary),
    CheckConstraint("cardinality(scopes) >= 1", name="some_scope"),
    CheckConstraint("kind IN ('machine', 'person')", name="kind"),
    CheckConstraint(
        "(issuer IS NULL) = (token_subject IS NULL) AND (issuer IS NULL) = (identity_ref IS NULL)"
        " AND (token_client IS NULL OR issuer IS NOT NULL)",
        name="identity",
    ),
    CheckConstraint("octet_length(identity_ref) = 32", name="identity_length"),
    Index("uq_caller_identity", "identity_ref", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

caller_key = Table(
    "caller_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False, index=True),
    Column("key_sha256", LargeBinary, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("revoked_by", Uuid),
    CheckConstraint("octet_length(key_sha256) = 32", name="key_length"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("part", SmallInteger, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("body", Text),
    # The subjects of the write: the answer goes with them, and the key stays claimed, without a status.
    Column("subject_refs", ARRAY(LargeBinary)),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("caller", "key_hash", "part"),
    Index("ix_idempotency_caller_created_at", "caller", "created_at"),
    Index("ix_idempotency_subject_refs", "subject_refs", postgresql_using="gin"),
)


async def add_key(session: WriteSession, added: ApiKey, key: str) -> None:
    """Keep a new key of a caller, as its digest."""
    session.widen()
    await session.execute(insert(caller_key).values(key_sha256=key_digest(key), **as_columns(added)))


async def keys_of(session: ReadSession, callers: Collection[UUID]) -> Mapping[UUID, list[ApiKey]]:
    """Return the keys of these callers, oldest first, ended ones included; an empty list for a caller without any."""
    keys: dict[UUID, list[ApiKey]] = {each: [] for each in callers}
    if not callers:
        return keys
    statement = select(caller_key).where(caller_key.c.caller.in_(callers))
    for row in await session.execute(statement.order_by(caller_key.c.created_at, caller_key.c.id)):
        keys[row.caller].append(record_of(ApiKey, row))
    return keys


async def find_key(session: ReadSession, identifier: UUID) -> ApiKey | None:
    """Return a key by its id; None when there is none."""
    row = (await session.execute(select(caller_key).where(caller_key.c.id == identifier))).first()
    return None if row is None else record_of(ApiKey, row)


def in_force_now() -> ColumnElement[bool]:
    """Return the condition that a key's row is good by the database's clock; its caller may be revoked nevertheless."""
    key = caller_key.c
    return key.revoked_at.is_(None) & or_(key.expires_at.is_(None), key.expires_at > func.clock_timestamp())


async def is_key_in_force(session: ReadSession, identifier: UUID) -> bool:
    """Return whether there is such a key, and it is neither revoked nor has expired."""
    statement = select(caller_key.c.id).where(caller_key.c.id == identifier, in_force_now())
    return (await session.execute(statement)).first() is not None


async def is_key_revoked(session: ReadSession, identifier: UUID) -> bool:
    """Return whether a key was revoked, or there is none of that id; one that has expired was not."""
    statement = select(caller_key.c.id).where(caller_key.c.id == identifier, caller_key.c.revoked_at.is_(None))
    return (await session.execute(statement)).first() is None


async def let_expire(session: WriteSession, keys: Collection[UUID], at: datetime) -> None:
    """Let these keys be good until an instant and no longer; one that ends sooner still does."""
    for key in keys:
        session.note("key", {"key": key, "at": at, "revoked": False})
    until = func.least(func.coalesce(caller_key.c.expires_at, at), at)
    await session.execute(update(caller_key).where(caller_key.c.id.in_(keys)).values(expires_at=until))


async def end_keys(session: WriteSession, keys: Collection[UUID], *, at: datetime, by: UUID | None) -> None:
    """Revoke these keys; one that is revoked already keeps its first time."""
    for key in keys:
        session.note("key", {"key": key, "at": at, "revoked": True})
    statement = update(caller_key).where(caller_key.c.id.in_(keys), caller_key.c.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=at, revoked_by=by))


_NOW: Final = func.clock_timestamp().label("now")


_BY_TOKEN: Final = Prepared(
    select(caller, _NOW).where(caller.c.identity_ref == bindparam("ref"), caller.c.revoked_at.is_(None))
)
_KEYS: Final = (
    select(
        caller, caller_key.c.id.label("key_id"), caller_key.c.key_sha256.label("digest"), caller_key.c.expires_at, _NOW
    )
    .join(caller_key, caller_key.c.caller == caller.c.id)
    .where(in_force_now(), caller.c.revoked_at.is_(None))
)
_BY_KEY: Final = Prepared(_KEYS.where(caller_key.c.key_sha256 == bindparam("digest")))


def authentication(credential: Credential) -> Lookup[Authenticated | None]:
    """Return the look-up of the caller that presented this; it finds None for one unknown, revoked or expired."""
    token, digest = credential.token, credential.digest
    if token is not None:
        return Lookup(_BY_TOKEN, {"ref": token.ref}, lambda rows: _of_token(rows[0], token) if rows else None)
    return Lookup(_BY_KEY, {"digest": digest}, lambda rows: _of_key(rows[0], digest) if rows else None)


async def authenticate(session: ReadSession, credential: Credential) -> Authenticated | None:
    """Return the caller that presented this, as `authentication` finds it."""
    lookup = authentication(credential)
    return lookup.read(await session.rows(lookup))


def _of_token(row: Any, token: Token) -> Authenticated | None:  # noqa: ANN401 - a row
    if row.now >= token.until or row.token_client not in {None, token.client}:
        return None
    token_caller = caller_of(row)
    return Authenticated(token_caller.narrowed(token.scopes), token_caller.id, row.now, token.until, token.signed_by)


def _of_key(row: Any, digest: bytes) -> Authenticated | None:  # noqa: ANN401 - a row
    if not hmac.compare_digest(row.digest, digest):
        return None
    return Authenticated(caller_of(row), row.key_id, row.now, row.expires_at)


async def list_by_key(session: ReadSession) -> dict[bytes, Authenticated]:
    """Return every caller by the SHA-256 of each of its keys in force."""
    rows = await session.execute(_KEYS)
    return {row.digest: Authenticated(caller_of(row), row.key_id, row.now, row.expires_at) for row in rows}


async def add_caller(session: WriteSession, added: Caller, identity_ref: bytes | None = None) -> bool:
    """Keep a new caller, with the keyed reference of its identity if it has one; keys are added separately.

    Returns:
        False when another caller in force has that identity, and nothing was kept.

    """
    session.widen()
    columns = as_columns(added)
    of = columns.pop("identity") or {}
    names = {"issuer": of.get("issuer"), "token_subject": of.get("subject"), "token_client": of.get("client")}
    statement = insert(caller).values(**columns, **names, identity_ref=identity_ref)
    alone = statement.on_conflict_do_nothing(
        index_elements=[caller.c.identity_ref], index_where=caller.c.revoked_at.is_(None)
    )
    return (await session.execute(alone.returning(caller.c.id))).first() is not None


async def load_caller(session: ReadSession, identifier: UUID) -> Caller | None:
    """Return a caller by id, revoked ones included."""
    row = (await session.execute(select(caller).where(caller.c.id == identifier))).first()
    return None if row is None else caller_of(row)


async def names_of_callers(session: ReadSession, identifiers: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of these callers; for one that no longer exists, its id."""
    rows = await session.execute(select(caller.c.id, caller.c.name).where(caller.c.id.in_(identifiers)))
    return {each: str(each) for each in identifiers} | {row.id: row.name for row in rows}


async def hold_callers(session: WriteSession, identifiers: Collection[UUID]) -> Mapping[UUID, Caller]:
    """Return those of these callers that exist, locked with their keys until the transaction ends.

    They are locked in the order of their ids, so that two callers that change each other wait for one another and never
    in a circle; and, for the same reason, not against transactions that only refer to one (FOR NO KEY UPDATE). A
    transaction that records something for one of them (`kept_as_they_are`) is waited for, or sees what was changed.
    """
    await session.execute(_ALONE, {"names": _names(identifiers)})
    chosen = select(caller).where(caller.c.id.in_(identifiers)).order_by(caller.c.id)
    return {row.id: caller_of(row) for row in await session.execute(chosen.with_for_update(key_share=True))}


def kept_as_they_are(identifiers: Collection[UUID]) -> Lookup[None]:
    """Return the look-up that keeps these callers, their scopes and their keys as they are until the transaction ends.

    Read the callers after it: a transaction that changes one then waits for this one, or this one has waited for it.
    """
    return Lookup(_SHARED, {"names": _names(identifiers)}, nothing)


def _names(identifiers: Collection[UUID]) -> list[str]:
    return sorted(f"caller {each}" for each in identifiers)


# Advisory locks instead of row locks: a row that many share is written by each of them.
_SHARED: Final = Prepared(
    text("SELECT pg_advisory_xact_lock_shared(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name")
)
_ALONE: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name"
)


async def hold_caller(session: WriteSession, identifier: UUID) -> Caller | None:
    """Return one caller, locked as `hold_callers` does."""
    return (await hold_callers(session, [identifier])).get(identifier)


_MAKERS: Final = text("""
WITH RECURSIVE made AS (
    SELECT id AS made, created_by AS maker FROM caller UNION SELECT caller, created_by FROM caller_key
), above AS (
    SELECT made, maker FROM made WHERE made = ANY(CAST(:ids AS uuid[])) AND maker IS DISTINCT FROM made
    UNION
    SELECT above.made, made.maker FROM above JOIN made ON made.made = above.maker
)
SELECT above.made, above.maker FROM above JOIN caller ON caller.id = above.maker
WHERE above.maker <> above.made AND NOT (caller.kind = 'machine' AND caller.created_by IS NULL)
""")


async def holders_of(session: ReadSession, identifiers: Collection[UUID]) -> dict[UUID, frozenset[UUID | Identity]]:
    """Return who may stand behind each caller: itself, the makers of it and of its keys, their makers, and so on.

    Each is the id of a caller that is known by keys, or an account of an issuer. An account is compared by the issuer
    and subject that are stored, and not by its reference, which an exchange of the pseudonym key changes. Programs
    without a maker are left out: the key that bootstraps a deployment, and callers made at the command line, make the
    first persons.
    """
    makers: dict[UUID, set[UUID]] = {each: {each} for each in identifiers}
    for row in await session.execute(_MAKERS, {"ids": list(identifiers)}):
        makers[row.made].add(row.maker)
    accounts = select(caller.c.id, caller.c.issuer, caller.c.token_subject).where(
        caller.c.id.in_(set().union(*makers.values())), caller.c.issuer.is_not(None)
    )
    identities = {row.id: Identity(row.issuer, row.token_subject) for row in await session.execute(accounts)}
    return {each: frozenset(identities.get(one, one) for one in them) for each, them in makers.items()}


async def list_callers(
    session: ReadSession, *, after: UUID | None, limit: int, within: frozenset[str] | None = None
) -> list[Caller]:
    """Return the next callers by id (oldest first), revoked ones included; `within`: only those limited to these."""
    statement = select(caller).order_by(caller.c.id).limit(limit)
    if within is not None:
        statement = statement.where(caller.c.processings.op("<@")(cast(sorted(within), ARRAY(Text))))
    if after is not None:
        statement = statement.where(caller.c.id > after)
    return [caller_of(row) for row in await session.execute(statement)]


async def list_persons(session: ReadSession) -> list[Caller]:
    """Return every person, revoked ones included."""
    statement = select(caller).where(caller.c.kind == CallerKind.PERSON.value).order_by(caller.c.id)
    return [caller_of(row) for row in await session.execute(statement)]


async def keep_changes(session: WriteSession, changed: Caller) -> None:
    """Keep a caller's name, scopes and processings as they are now."""
    columns = as_columns(changed)
    values = {name: columns[name] for name in ("name", "scopes", "processings")}
    await session.execute(update(caller).where(caller.c.id == changed.id).values(values))


async def mark_revoked(session: WriteSession, identifier: UUID, *, at: datetime, by: UUID | None) -> None:
    """Revoke a caller with all of its credentials; one that is revoked already keeps its first time."""
    session.note("caller", {"caller": identifier, "at": at})
    statement = update(caller).where(caller.c.id == identifier, caller.c.revoked_at.is_(None))
    await session.execute(statement.values(revoked_at=at, revoked_by=by))


async def is_empty(session: WriteSession) -> bool:
    """Return whether no caller was ever added; hold other first starts off until the end of the transaction."""
    await session.await_turn("first caller")
    return (await session.execute(select(caller.c.id).limit(1))).first() is None


def caller_of(row: Row[tuple[object, ...]]) -> Caller:
    """Return a caller as its row has it."""
    return Caller(
        id=row.id,
        name=row.name,
        scopes=frozenset(map(Scope, row.scopes)),
        processings=None if row.processings is None else frozenset(row.processings),
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
        kind=CallerKind(row.kind),
        identity=Identity(row.issuer, row.token_subject, row.token_client) if row.issuer is not None else None,
    )


# Answers already given under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07). Keys and requests are
# stored as keyed hashes only: a client may have put an identifier into either.

KEPT: Final = timedelta(hours=24)
"""How long an answer is given again under its Idempotency-Key."""
_TRIMMED_AT_ONCE = 20
CallName = tuple[UUID, bytes, int]
"""What an answer is kept under: the caller, the hash of the key, the part of the request."""


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """One write under an Idempotency-Key: who calls, and keyed hashes of the key and of the whole request.

    `part`: the place of the item, where the request is a batch. A key is good for the parts of one request.
    """

    caller: UUID
    key_hash: bytes
    request_hash: bytes
    part: int = 0

    @property
    def name(self) -> CallName:
        """What its answer is kept under."""
        return (self.caller, self.key_hash, self.part)


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
    outcome = claims.outcomes(session, await session.look_up(*claims.lookups))[call]
    if isinstance(outcome, DomainError):
        raise outcome
    if isinstance(outcome, Answer):
        await session.repeat()
        return outcome
    return None


class KeyClaim(Enum):
    """What became of a key that was not answered before: this transaction has it, or another one that goes on."""

    OWN = auto()
    OF_ANOTHER = auto()


class KeyClaims:
    """Claim the keys of some calls for a transaction, in one round trip, until the transaction ends.

    If another transaction holds a key, this one waits for it or leaves the key to it (`waiting`). The lock and the
    claim are one statement; the next statement sees what it did not claim because another came first and ended since,
    and whether the key was used with another request: the lock is one for all parts.
    """

    def __init__(self, calls: Collection[IdempotentCall], *, waiting: bool) -> None:
        """Prepare the look-ups."""
        self._calls = calls
        rows = as_rows([{"name": f"idempotency {each.caller} {each.key_hash.hex()}", **asdict(each)} for each in calls])
        aged = {"rows": rows, "seconds": KEPT.total_seconds()}
        self._hold = Lookup(_HOLD, {"rows": rows}, nothing)
        self._claim = Lookup(_CLAIM, aged, lambda items: set(_by_name(items)))
        self._trim = Lookup(_TRIM, {**aged, "most": _TRIMMED_AT_ONCE}, nothing)
        self._before = Lookup(_BEFORE, {"rows": rows}, _by_name)
        self._misused = Lookup(_MISUSED, aged, lambda items: {(r.caller, r.key_hash, r.request_hash) for r in items})
        lookups: list[Lookup[Any]] = [self._claim, self._trim, self._before, self._misused]
        self.lookups = ([self._hold] * waiting + lookups) if calls else []

    def outcomes(self, session: WriteSession, lead: LookedUp) -> dict[IdempotentCall, Answer | DomainError | KeyClaim]:
        """Return the outcome of each call by what the look-ups read (`lead`), and release what was claimed in vain.

        If one was answered before, the transaction repeats another (`WriteSession.repeat`).
        """
        if not self.lookups:
            return {}
        claimed, before = self._claim.read(lead[self._claim]), self._before.read(lead[self._before])
        misused = self._misused.read(lead[self._misused])
        first: dict[tuple[UUID, bytes], bytes] = {}
        outcomes: dict[IdempotentCall, Answer | DomainError | KeyClaim] = {}
        for call in self._calls:
            row, is_own = before.get(call.name), call.name in claimed
            if (call.caller, call.key_hash, call.request_hash) in misused:
                outcomes[call] = IdempotencyMismatchError()
            # Of two requests under one key the second waits here, and is refused once the first is recorded.
            elif first.setdefault((call.caller, call.key_hash), call.request_hash) != call.request_hash:
                outcomes[call] = KeyClaim.OF_ANOTHER
            elif is_own or row is None:
                outcomes[call] = KeyClaim.OWN if is_own else KeyClaim.OF_ANOTHER
            else:
                outcomes[call] = AnswerErasedError() if row.status is None else Answer(row.status, row.body)
            if is_own and outcomes[call] is not KeyClaim.OWN:
                release(session, call)
        return outcomes


def _by_name(rows: Sequence[Any]) -> dict[CallName, Any]:
    return {(row.caller, bytes(row.key_hash), row.part): row for row in rows}


def keep_answer(session: WriteSession, call: IdempotentCall, answer: Answer, about: Collection[bytes]) -> None:
    """Keep the answer given in this transaction, about these subjects."""
    row = {
        "caller": call.caller,
        "key_hash": call.key_hash,
        "part": call.part,
        "status": answer.status,
        "body": answer.body,
        "about": sorted(about),
    }
    session.stage(_KEEP, row)


_KEEP: Final = Put(
    order=95,
    sql="""
UPDATE idempotency AS kept SET status = given.status, body = given.body, subject_refs = nullif(about, '{}')
FROM json_to_recordset(CAST(%(rows)s AS json))
    AS given (caller uuid, key_hash bytea, part smallint, status int, body text, about bytea[])
WHERE (kept.caller, kept.key_hash, kept.part) = (given.caller, given.key_hash, given.part)
""",
)
_RELEASE: Final = Put(
    order=94,
    sql="""
DELETE FROM idempotency AS kept
USING json_to_recordset(CAST(%(rows)s AS json)) AS given (caller uuid, key_hash bytea, part smallint)
WHERE (kept.caller, kept.key_hash, kept.part) = (given.caller, given.key_hash, given.part)
""",
)
_GIVEN: Final = (
    "json_to_recordset(CAST(:rows AS json))"
    " AS given (name text, caller uuid, key_hash bytea, request_hash bytea, part smallint)"
)
_HOLD: Final = Prepared(
    text(f"""
SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM (SELECT DISTINCT name FROM {_GIVEN} ORDER BY 1) AS names
""")  # noqa: S608 - a constant
)
_CLAIM: Final = Prepared(
    text(f"""
INSERT INTO idempotency (caller, key_hash, part, request_hash, created_at)
SELECT caller, key_hash, part, request_hash, clock_timestamp()
FROM {_GIVEN} WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))
ORDER BY 1, 2, 3
ON CONFLICT (caller, key_hash, part) DO UPDATE
    SET request_hash = EXCLUDED.request_hash, created_at = EXCLUDED.created_at, status = NULL, body = NULL
    WHERE idempotency.created_at < clock_timestamp() - make_interval(secs => :seconds)
RETURNING caller, key_hash, part
""")  # noqa: S608 - a constant
)
_BEFORE: Final = Prepared(
    text(f"""
SELECT caller, key_hash, part, status, body FROM idempotency JOIN {_GIVEN} USING (caller, key_hash, part)
""")  # noqa: S608 - a constant
)
# The calls whose key another request has used. A row without an answer is one that this transaction has just claimed.
_MISUSED: Final = Prepared(
    text(f"""
SELECT DISTINCT caller, key_hash, given.request_hash FROM idempotency AS kept
JOIN (SELECT DISTINCT caller, key_hash, request_hash FROM {_GIVEN}) AS given USING (caller, key_hash)
WHERE kept.request_hash <> given.request_hash
    AND status IS NOT NULL AND kept.created_at >= clock_timestamp() - make_interval(secs => :seconds)
""")  # noqa: S608 - a constant
)
# It skips rows that others hold: two that trim the same rows would wait for each other.
_TRIM: Final = Prepared(
    text(f"""
DELETE FROM idempotency USING (
    SELECT old.caller, old.key_hash, old.part FROM (SELECT DISTINCT caller FROM {_GIVEN}) AS callers
    CROSS JOIN LATERAL (
        SELECT caller, key_hash, part FROM idempotency WHERE caller = callers.caller
            AND created_at < clock_timestamp() - make_interval(secs => :seconds)
        LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS old
) AS trimmed
WHERE (idempotency.caller, idempotency.key_hash, idempotency.part) = (trimmed.caller, trimmed.key_hash, trimmed.part)
RETURNING 1
""")  # noqa: S608 - a constant
)


def release(session: WriteSession, call: IdempotentCall) -> None:
    """Give up a key that this transaction has claimed: nothing was recorded under it."""
    session.stage(_RELEASE, {"caller": call.caller, "key_hash": call.key_hash, "part": call.part})


async def forget_answers(session: WriteSession, refs: Collection[bytes]) -> None:
    """Forget the answers to writes about these subjects: they name what was recorded, and the subjects themselves.

    The keys stay claimed: a client that lost its answer, and repeats the write, must not record it anew.
    """
    about = idempotency.c.subject_refs.op("&&")(cast(list(refs), ARRAY(LargeBinary)))
    await session.execute(update(idempotency).where(about).values(status=None, body=None, subject_refs=None))
