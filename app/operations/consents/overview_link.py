"""Links to the page about everything that is held about a person: an operator makes one, the person opens it."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller, Scope
from app.auth.store import is_key_revoked, load_caller
from app.core.errors import ConsentLinkEndedError, NotFoundError
from app.core.page.link import LinkKind, account_hint
from app.db.session import ReadSession, WriteSession
from app.ledger.link_store import ConsentLink, add_link, find_link, token_digest
from app.ledger.link_store import remove_ended_links as remove_some
from app.ledger.locators import find_name
from app.ledger.store import load_entries
from app.ledger.vault import load_name
from app.operations.consents.create_consent_link import TOKEN_BYTES, MadeLink, WantedLink
from app.operations.consents.open_consent_link import ANSWERS_SHOWN, account_closed
from app.operations.service.deployment import Deployment, SubjectName

VALIDITY: Final = timedelta(days=7)
"""How long a link shows what is held: long enough to be read, short enough to be forgotten in a mailbox."""


@dataclass(frozen=True, slots=True)
class OpenedOverview:
    """A link that works: whose it is, what tells them that it is theirs (`account`, never the whole id), until when."""

    ref: bytes
    name: SubjectName
    account: str
    now: datetime
    expires_at: datetime


async def create_overview_link(
    session: WriteSession, deployment: Deployment, caller: Caller, wanted: WantedLink
) -> MadeLink:
    """Make a link by which a person reads everything that is held about them (GDPR art. 15), for a week.

    The audit trail records it as an export of that person's data, for whoever holds the link can read it.

    Raises:
        ScopeMissingError: the caller may not read consents.
        ProcessingNotAllowedError: the caller may name some processings only.
        NotFoundError: nothing is recorded about the person.

    """
    caller.require(Scope.CONSENTS_READ)
    caller.require_processing(None)
    found = await find_name(session, deployment.pseudonyms.locator(wanted.subject.type, wanted.subject.id))
    if found is None:
        raise NotFoundError("Nothing is recorded about this user.", field="subject")
    ref, name = found
    entries, now = await load_entries(session, ref), await session.now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = ConsentLink(
        token_sha256=token_digest(token),
        id=session.new_id(now),
        subject_ref=ref,
        name=name,
        kind=LinkKind.OVERVIEW,
        processings=(),
        authentication=wanted.authentication,
        by_person=wanted.by_person,
        age_band=None,
        created_at=now,
        created_by=caller.id,
        expires_at=now + VALIDITY,
        ledger_order=max((entry.event.order for entry in entries), default=0),
        credential=wanted.credential,
    )
    await add_link(session, link)
    await record_act(session, ActKind.SUBJECT_EXPORTED, caller.id, Target(subject_ref=ref))
    return MadeLink(token, link.id, (), link.expires_at, ())


async def open_overview_link(
    session: ReadSession, deployment: Deployment, token_sha256: bytes
) -> OpenedOverview | None:
    """What a link of this kind opens; None for a link of another kind.

    Raises:
        NotFoundError: there is no such link.
        ConsentLinkEndedError: it has expired; or the account was closed or erased since it was made; or who made it may
            no longer read.

    """
    link = await find_link(session, token_sha256)
    if link is None:
        raise NotFoundError
    if link.kind is not LinkKind.OVERVIEW:
        return None
    entries, now = await load_entries(session, link.subject_ref), await session.now()
    kept = await load_name(session, link.subject_ref, link.name)
    if kept is None or now >= link.expires_at or account_closed(link, entries) or not await _may(session, link):
        raise ConsentLinkEndedError
    name = SubjectName(kept.type, deployment.vault.open(kept.sealed))
    return OpenedOverview(link.subject_ref, name, account_hint(name.id, name.type), now, link.expires_at)


async def _may(session: ReadSession, link: ConsentLink) -> bool:
    """Whether who made the link may still read, and what it was made with was not revoked."""
    caller = await load_caller(session, link.created_by)
    if caller is None or caller.revoked_at is not None or Scope.CONSENTS_READ not in caller.scopes:
        return False
    if caller.processings is not None:
        return False
    return link.credential == caller.id or not await is_key_revoked(session, link.credential)


# Remove links to the consent page that have ended: expired, with nothing left that they could withdraw or show.

AT_ONCE: Final = 1_000


async def remove_ended_links(session: WriteSession, *, limit: int = AT_ONCE) -> int:
    """Remove some ended links with the nonces of their forms; how many. Fewer than `limit`: there were no more.

    Consents stay: only the way to a page that says "this link has ended" goes, and is answered 404 from then on.
    """
    now = await session.now()
    return await remove_some(session, at=now, answered_before=now - ANSWERS_SHOWN, limit=limit)
