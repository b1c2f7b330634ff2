"""Sign in to the dashboard with a key, come back with the session's token, sign out."""

import secrets
from enum import StrEnum

from app.audit.acts import Act
from app.audit.trail import record_act
from app.auth.callers import Caller, Credential
from app.auth.scopes import Scope
from app.auth.sessions import begin_session, end_session, find_session, note_use, session_digest
from app.auth.store import authenticate
from app.auth.uses import Uses
from app.core.errors import ScopeMissingError
from app.db.database import Database
from app.db.session import WriteSession
from app.operations.record_refusal import record_refusal

_TOKEN_BYTES = 32


class SignInRefused(StrEnum):
    """Why nobody is signed in."""

    SCOPE_MISSING = "scope_missing"
    WRONG_KEY = "wrong_key"


async def sign_in(session: WriteSession, presented: Credential, uses: Uses) -> str | SignInRefused:
    """Begin a session; its token (256 random bits, base64url), or why there is none.

    Sessions begun, and keys in force that may not begin one, go into the audit trail; other keys are nobody's.
    """
    found = await authenticate(session, presented)
    if found is None:
        return SignInRefused.WRONG_KEY
    who = found.caller
    if Scope.AUDIT_READ not in who.scopes:
        await record_refusal(session, who.id, "POST", "/dashboard/sign-in", ScopeMissingError.slug)
        return SignInRefused.SCOPE_MISSING
    uses.note(found)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    await begin_session(session, token, found, await session.now())
    await record_act(session, Act.DASHBOARD_SIGNED_IN, who.id)
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
