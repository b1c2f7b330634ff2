"""Say that a restore has been dealt with: the database begins another epoch, and is answered from again."""

from app.audit.trail import ActKind, Target, record_act
from app.db.session import WriteSession
from app.journal.store import NewEpoch, begin_epoch


async def accept_restore(session: WriteSession, begun: NewEpoch, *, known: int = 1) -> int:
    """Begin another epoch, for a reason that stays in the audit trail; its number, which is later than `known`.

    Every process of the deployment looks at the database again within a second or two, and answers from it then.
    """
    number = await begin_epoch(session, begun, known=known)
    told = {"epoch": number, "replayed": begun.replayed, "by_hand": begun.by_hand}
    await record_act(session, ActKind.RESTORE_ACCEPTED, begun.by, Target(), told)
    return number
