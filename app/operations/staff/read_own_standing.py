"""How a person stands towards the staff notice of today, by what they acknowledged themselves.

What somebody else recorded for them on paper does not count: who has access reads and acknowledges it themselves.
Neither does an acknowledgement of a version that leaves out what staff must be told.
"""

from dataclasses import dataclass
from datetime import datetime

from app.auth.callers import Caller
from app.core.staff.completeness import lacking
from app.core.staff.coverage import Notice
from app.db.session import ReadSession
from app.staff.notices import load_notice
from app.staff.store import load_acknowledgements


@dataclass(frozen=True, slots=True)
class OwnStanding:
    """The notice of today, and what one person acknowledged themselves: the latest version that counts, and when."""

    notice: Notice | None
    acknowledged: int | None = None
    acknowledged_at: datetime | None = None


async def read_own_standing(session: ReadSession, caller: Caller) -> OwnStanding:
    """How a person stands towards the notice of today."""
    notice = await load_notice(session)
    own = [each for each in await load_acknowledgements(session, caller.id) if each.way.is_own]
    for each in reversed(own):  # by version, the latest first: mostly the first one counts
        version = await load_notice(session, each.notice)
        if version is not None and not lacking(version.texts):
            return OwnStanding(notice, each.notice, each.acknowledged_at)
    return OwnStanding(notice)
