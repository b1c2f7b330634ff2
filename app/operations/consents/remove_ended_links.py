"""Remove links to the consent page that have ended: expired, with nothing left that they could withdraw or show."""

from typing import Final

from app.db.session import WriteSession
from app.ledger.link_store import remove_ended_links as remove_some
from app.operations.consents.open_consent_link import ANSWERS_SHOWN

AT_ONCE: Final = 1_000


async def remove_ended_links(session: WriteSession, *, limit: int = AT_ONCE) -> int:
    """Remove some ended links with the nonces of their forms; how many. Fewer than `limit`: there were no more.

    Consents stay: only the way to a page that says "this link has ended" goes, and is answered 404 from then on.
    """
    now = await session.now()
    return await remove_some(session, at=now, answered_before=now - ANSWERS_SHOWN, limit=limit)
