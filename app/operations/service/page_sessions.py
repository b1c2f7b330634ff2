"""Sign in to a page with a key or an account, come back with the session's token, sign out."""

import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from app.audit.trail import ActKind, record_act, record_refusal
from app.auth.callers import Authenticated, Caller, CallerKind, Credential, Scope
from app.auth.sessions import Uses, begin_session, end_session, find_session, note_use, session_digest
from app.auth.store import authenticate, kept_as_they_are
from app.core.errors import CredentialEndedError, PersonsOnlyError, ScopeMissingError
from app.db.database import Database
from app.db.session import WriteSession

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck

_TOKEN_BYTES: Final = 32
_FOR_THE_NOTICE: Final = "notice-"
"""How the token of a session for the staff notice alone begins: through it, an access token that was narrowed opens no
more than it does itself."""


class SignInForm(StrEnum):
    """What a session is begun for: the path of the form that asks for a key."""

    CONSOLE = "/console/sign-in"
    STAFF_NOTICE = "/staff/sign-in"


class SignInRefused(StrEnum):
    """Why there is no session."""

    PERSONS_ONLY = "persons_only"
    SCOPE_MISSING = "scope_missing"
    WRONG_KEY = "wrong_key"


_ACTS: Final = {
    SignInForm.CONSOLE: ActKind.CONSOLE_SIGNED_IN,
    SignInForm.STAFF_NOTICE: ActKind.STAFF_PAGE_SIGNED_IN,
}
_PROBLEMS: Final = {
    SignInRefused.PERSONS_ONLY: PersonsOnlyError.slug,
    SignInRefused.SCOPE_MISSING: ScopeMissingError.slug,
}


CONSOLE_SCOPES: Final = frozenset(
    {
        Scope.AUDIT_READ,
        Scope.KEYS_MANAGE,
        Scope.REGISTER_APPROVE,
        Scope.REGISTER_READ,
        Scope.REGISTER_WRITE,
        Scope.STAFF_WRITE,
        Scope.SUBJECTS_READ,
    }
)
"""A caller that has one of these finds a page of the console; a key that only asks or records opens none."""


def refusal(form: SignInForm, who: Caller) -> SignInRefused | None:
    """Return why a caller may not sign in by this form; None when it may."""
    if form is SignInForm.CONSOLE and CONSOLE_SCOPES.isdisjoint(who.scopes):
        return SignInRefused.SCOPE_MISSING
    if form is SignInForm.STAFF_NOTICE and who.kind is not CallerKind.PERSON:
        return SignInRefused.PERSONS_ONLY
    return None


async def sign_in(session: WriteSession, form: SignInForm, presented: Credential, uses: Uses) -> str | SignInRefused:
    """Begin a session; return its token (256 random bits, base64url), or why there is none.

    The audit trail records sessions that begin, and keys in force that may not begin one; other keys belong to no
    caller.
    """
    authenticated = await authenticate(session, presented)
    if authenticated is None:
        return SignInRefused.WRONG_KEY
    who = authenticated.caller
    refused = refusal(form, who)
    if refused is not None:
        await record_refusal(session, who.id, "POST", form.value, _PROBLEMS[refused])
        return refused
    uses.note(authenticated)
    token = (_FOR_THE_NOTICE if form is SignInForm.STAFF_NOTICE else "") + secrets.token_urlsafe(_TOKEN_BYTES)
    await begin_session(session, token, authenticated, await session.now())
    await record_act(session, _ACTS[form], who.id)
    return token


async def signed_in(
    database: Database, check: "TokenCheck | None", form: SignInForm, token: str
) -> Authenticated | None:
    """Return whose session that is, by the primary; None if unknown, over, of a revoked key, or not for this form.

    `check` knows the keys in force of issuers; None: no tokens are taken, and no session that began with one counts.

    Raises:
        DatabaseUnavailableError, IssuerUnavailableError: it cannot be known.

    """
    if form is SignInForm.CONSOLE and token.startswith(_FOR_THE_NOTICE):
        return None
    digest = session_digest(token)
    async with database.read() as session:
        now = await session.now()
        page_session = await find_session(session, digest, now)
    if page_session is None or refusal(form, page_session[0].caller) is not None:
        return None
    who, to_note = page_session
    if who.signed_by is not None and (check is None or not await check.still_rests(who)):
        return None
    if to_note:
        async with database.write() as session:
            await note_use(session, digest, now)
    return who


async def still_signed_in(session: WriteSession, token: str, who: Authenticated) -> None:
    """Keep the caller of a session as it is until the transaction ends, if it is unchanged since it was let in.

    Raises:
        CredentialEndedError: the session is over, or its caller was changed or revoked since.

    """
    await session.look_up(kept_as_they_are([who.caller.id]))
    page_session = await find_session(session, session_digest(token), await session.now())
    if page_session is None or page_session[0].caller != who.caller:
        raise CredentialEndedError


async def sign_out(session: WriteSession, token: str) -> None:
    """End a session."""
    await end_session(session, session_digest(token))
