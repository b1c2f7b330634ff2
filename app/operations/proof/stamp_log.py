"""Have the newest checkpoint of the log stamped by an authority outside, and keep the answer.

Three steps, so that no transaction and no connection waits for the authority: what is to be stamped is read, the
authority is asked, and what it answers is kept.
"""

from datetime import timedelta
from typing import Final

from app.db.session import ReadSession, WriteSession
from app.proof import anchors, store
from app.proof.anchors import Anchor, AnchorWay
from app.proof.authority import AuthorityError, StampAnswer
from app.proof.store import StoredCheckpoint

_EVERY: Final = timedelta(minutes=55)
"""How old the last stamp is before there is another: with a look each five minutes, one an hour."""
_CLOCKS_DIFFER: Final = timedelta(minutes=10)


async def checkpoint_to_stamp(session: ReadSession, *, at_once: bool = False) -> StoredCheckpoint | None:
    """The newest checkpoint, if it is not stamped and an hour went by since the last stamp; or `at_once`."""
    newest, last = await store.latest_checkpoint(session), await anchors.last_stamped(session)
    if newest is None or last is None:
        return newest
    size, kept_at = last
    if size >= newest.size or (not at_once and await session.now() - kept_at < _EVERY):
        return None
    return newest


async def keep_stamp(session: WriteSession, checkpoint: StoredCheckpoint, answer: StampAnswer) -> bool:
    """Keep the stamp of a checkpoint; the log states it with its next entries.

    Returns: False where another run was faster, or the checkpoint is not that of the log any more.

    Raises:
        AuthorityError: it is of a time at which the checkpoint was not there yet, or of one that has not come.

    """
    now = await session.now()
    if not checkpoint.signed_at - _CLOCKS_DIFFER <= answer.stamp.at <= now + _CLOCKS_DIFFER:
        raise AuthorityError("time")
    if (await anchors.notes_of(session, [checkpoint.size])).get(checkpoint.size) != checkpoint.note:
        return False  # it was read from a server that is no primary any more, whose log went another way
    anchor = Anchor(checkpoint.size, AnchorWay.STAMP, answer.stamp.at, answer.content)
    return await anchors.add_anchor(session, session.new_id(now), now, anchor)
