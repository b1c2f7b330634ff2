"""Whose consent it is, and to which processing: for a caller that knows a consent by its id and not the user."""

from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import EventKind
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.locators import find_ref
from app.ledger.store import find_entry
from app.ledger.vault_store import names_of
from app.operations.service.deployment import Deployment, SubjectName


async def whose_consent(
    session: WriteSession, deployment: Deployment, caller: Caller, identifier: UUID
) -> tuple[SubjectName, tuple[str, ...]]:
    """The user of a consent and its processing, told to this process alone: no answer names the user.

    Raises:
        NotFoundError: there is no such consent, the caller may not name its processing, or its user left.

    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in {EventKind.GRANTED, EventKind.REFUSED}:
        raise NotFoundError("No such consent.", field="consent")
    processing = entry.event.processing or ""
    names = await names_of(session, entry.subject_ref)
    if not names or not caller.may_ask_about(processing):
        raise NotFoundError("No such consent.", field="consent")
    name = SubjectName(names[0].type, deployment.vault.open(names[0].sealed))
    # Whoever has the address since the account was closed is another person.
    if await find_ref(session, deployment.pseudonyms.locator(name.type, name.id)) != entry.subject_ref:
        raise NotFoundError("No such consent.", field="consent")
    return name, (processing,)
