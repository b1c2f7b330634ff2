"""Make a caller that is known by an issuer's tokens. A token without such a caller opens nothing."""

from typing import TYPE_CHECKING

from app.auth.callers import Authenticated, Caller, Identity
from app.auth.store import add_caller
from app.core.errors import IdentityTakenError, UnknownIssuerError
from app.db.session import WriteSession
from app.operations.callers.create_key import NewCaller, hold_maker, tell_of_caller

if TYPE_CHECKING:
    from app.auth.token_check import TokenCheck


async def register_identity(
    session: WriteSession, by: Authenticated | None, wanted: NewCaller, identity: Identity, check: "TokenCheck | None"
) -> Caller:
    """Make a caller whose credentials are the tokens of an identity.

    Args:
        session: the transaction.
        by: who makes it; None is an operator at the command line, who holds everything.
        wanted: what the caller is to be; tokens bring their own end.
        identity: whose tokens.
        check: what knows whose tokens this deployment takes; None where it takes none.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        ScopeNotHeldError: `by` would hand out a scope or a processing that it does not have itself.
        UnknownIssuerError: no token of that issuer is taken.
        IdentityTakenError: another caller in force is known by it.

    """
    maker = await hold_maker(session, by, wanted)
    if check is None or identity.issuer not in check.issuers:
        raise UnknownIssuerError(field="identity.issuer")
    now = await session.now()
    caller = Caller(
        id=session.new_id(now),
        name=wanted.name,
        scopes=wanted.scopes,
        processings=wanted.processings,
        created_at=now,
        created_by=maker.id if maker is not None else None,
        kind=wanted.kind,
        identity=identity,
    )
    if not await add_caller(session, caller, check.ref(identity.issuer, identity.subject)):
        raise IdentityTakenError(field="identity.subject")
    await tell_of_caller(session, caller, known_by="token")
    return caller
