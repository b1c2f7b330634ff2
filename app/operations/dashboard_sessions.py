"""Sign in to the dashboard with a key, come back with the session's token, sign out."""

import secrets

from app.auth.callers import Caller, Credential
from app.auth.scopes import Scope
from app.auth.sessions import begin_session, end_session, find_session, note_use, session_digest
from app.auth.store import authenticate
from app.auth.uses import Uses
from app.db.database import Database
from app.db.session import WriteSession

_TOKEN_BYTES = 32


async def sign_in(session: WriteSession, presented: Credential, uses: Uses) -> str | None:
    """Begin a session; its token (256 random bits, base64url), or None when no key in force is that.

    Raises:
        ScopeMissingError: the key lacks `audit:read`.

    """
    found = await authenticate(session, presented)
    if found is None:
        return None
    found.caller.require(Scope.AUDIT_READ)
    uses.note(found.credential)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    await begin_session(session, token, found, await session.now())
    return token


async def signed_in(database: Database, token: str) -> Caller | None:
    """Whose session that is, by the primary; None when there is none, it is over, or its key was revoked.

    Raises:
        DatabaseUnavailableError: it cannot be known.

    """
    digest = session_digest(token)
    async with database.read() as session:
        now = await session.now()
        found = await find_session(session, digest, now)
    if found is None:
        return None
    caller, to_note = found
    if to_note:
        async with database.write() as session:
            await note_use(session, digest, now)
    return caller


async def sign_out(session: WriteSession, token: str) -> None:
    """End a session."""
    await end_session(session, session_digest(token))
