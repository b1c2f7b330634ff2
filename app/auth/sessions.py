"""Sessions of pages: a random token in a cookie stands for a key or an account, kept only as a hash, for a short time.

A session is no more than what it was begun with: a caller whose key is revoked or has expired has none, from the next
request on, nor has one whose token was signed by a key that its issuer has withdrawn. It has the scopes that the caller
had when it began, less those that the caller has lost since.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)

from app.auth.callers import Authenticated, Scope
from app.auth.store import is_key_in_force, load_caller
from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession, as_rows

IDLE: Final = timedelta(minutes=30)
"""How long a session lives without a request."""
LONGEST: Final = timedelta(hours=12)
"""How long it lives at most."""
CALLBACK: Final = "/console/sign-in/answer"
"""Where an issuer sends people back to, once they signed in there."""
_SEEN_EVERY: Final = timedelta(minutes=1)
_TRIMMED_AT_ONCE: Final = 50

page_session = Table(
    "page_session",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    # The credential that the session was begun with: the session ends with it.
    Column("credential", Uuid, nullable=False),
    Column("ends_at", Instant),
    # The thumbprint of the issuer's key, if that credential was a token: the session ends when the issuer withdraws it.
    Column("signed_by", Text),
    # What the caller might do then: a token that names fewer scopes opens no more by way of a session.
    Column("scopes", ARRAY(Text), nullable=False),
    CheckConstraint("octet_length(token_sha256) = 32", name="token_length"),
    Index("ix_page_session_seen_at", "seen_at"),
)

credential_use = Table(
    "credential_use",
    metadata,
    Column("credential", Uuid, primary_key=True),
    Column("used_at", Instant, nullable=False),
)


def session_digest(token: str) -> bytes:
    """Return the SHA-256 of a token, to store and look it up. A token is random: it needs no salt and no slow hash."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


async def begin_session(session: WriteSession, token: str, by: Authenticated, at: datetime) -> None:
    """Keep a new session, and remove some that are over."""
    over = select(page_session.c.token_sha256).where(page_session.c.seen_at <= at - IDLE)
    some = over.limit(_TRIMMED_AT_ONCE).with_for_update(skip_locked=True)
    await session.execute(delete(page_session).where(page_session.c.token_sha256.in_(some.scalar_subquery())))
    row = {"token_sha256": session_digest(token), "caller": by.caller.id, "created_at": at, "seen_at": at}
    began_with = {"credential": by.credential, "ends_at": by.until, "signed_by": by.signed_by}
    await session.execute(insert(page_session).values(**row, **began_with, scopes=sorted(by.caller.scopes)))


async def find_session(session: ReadSession, token_sha256: bytes, at: datetime) -> tuple[Authenticated, bool] | None:
    """Return whose session that is, and whether to note its use; None when it is over or its key revoked.

    If it was begun with a token, ask too whether the issuer's key is in force (`TokenCheck.still_rests`).
    """
    table = page_session.c
    live = (table.token_sha256 == token_sha256) & (table.seen_at > at - IDLE) & (table.created_at > at - LONGEST)
    ends = or_(table.ends_at.is_(None), table.ends_at > at)
    row = (await session.execute(select(page_session).where(live, ends))).first()
    caller = await load_caller(session, row.caller) if row is not None else None
    if row is None or caller is None or caller.revoked_at is not None:
        return None
    of_key = row.credential != row.caller  # a token has its time in `ends_at`
    if of_key and not await is_key_in_force(session, row.credential):
        return None
    narrowed = caller.narrowed(frozenset(map(Scope, row.scopes)))
    authenticated = Authenticated(narrowed, row.credential, at, row.ends_at, row.signed_by)
    return authenticated, at - row.seen_at >= _SEEN_EVERY


async def note_use(session: WriteSession, token_sha256: bytes, at: datetime) -> None:
    """Let a session live on from this moment."""
    mine = update(page_session).where(page_session.c.token_sha256 == token_sha256)
    await session.execute(mine.values(seen_at=at))


async def end_session(session: WriteSession, token_sha256: bytes) -> None:
    """End a session; one that is over already stays so."""
    await session.execute(delete(page_session).where(page_session.c.token_sha256 == token_sha256))


# When credentials were last used: noted in memory by a plain store, written now and then for many at once.
#
# Nothing is written for a request. A use is reported to the minute, and up to a minute late: it serves to find keys
# that are no longer used, not to trace what a person did.

_WRITE: Final = text("""
INSERT INTO credential_use (credential, used_at)
SELECT credential, date_trunc('minute', least(to_timestamp(at), clock_timestamp()))
FROM json_to_recordset(CAST(:rows AS json)) AS given (credential uuid, at double precision)
ORDER BY credential
ON CONFLICT (credential) DO UPDATE SET used_at = EXCLUDED.used_at WHERE credential_use.used_at < EXCLUDED.used_at
""")
# Sorted, so that workers that write about the same credentials at once wait for one another and never in a circle.


class Use:
    """When one credential was last used here, as an epoch time. Setting `at` is all that a request does."""

    __slots__ = ("at", "written")

    def __init__(self) -> None:
        """Begin as never used."""
        self.at = self.written = 0.0


class Uses:
    """The uses in this process, by credential. One entry for each credential in force that was shown here."""

    def __init__(self) -> None:
        """Begin without any use."""
        self._uses: dict[UUID, Use] = {}

    def of(self, credential: UUID) -> Use:
        """Return the record in which a credential's use is noted."""
        return self._uses.setdefault(credential, Use())

    def note(self, authenticated: Authenticated) -> None:
        """Note that a credential was found good, and used."""
        self.of(authenticated.credential).at = authenticated.at.timestamp()

    def unwritten(self) -> Mapping[UUID, float]:
        """Return what is to be written: the epoch time of each use that is later than the one that was written last."""
        return {credential: use.at for credential, use in self._uses.items() if use.at > use.written}

    def written(self, uses: Mapping[UUID, float]) -> None:
        """Note that these are in the database now."""
        for credential, at in uses.items():
            self._uses[credential].written = at


async def write_uses(session: WriteSession, uses: Mapping[UUID, float]) -> None:
    """Keep when credentials were used (epoch times); an earlier time than the one that is there changes nothing."""
    rows = ({"credential": credential, "at": at} for credential, at in uses.items())
    await session.execute(_WRITE, {"rows": as_rows(rows)})


async def last_uses(session: ReadSession, credentials: Collection[UUID]) -> Mapping[UUID, datetime]:
    """Return when each of these was last used, to the minute; one that never was is left out."""
    if not credentials:
        return {}
    table = credential_use.c
    rows = await session.execute(select(table.credential, table.used_at).where(table.credential.in_(credentials)))
    return {row.credential: row.used_at for row in rows}
