"""Keep the cosignatures of witnesses (c2sp.org/tlog-cosignature) that an administrator hands in with a checkpoint."""

from collections.abc import Sequence

from app.db.session import WriteSession
from app.operations.proof.log_keys import verifier_keys
from app.proof import anchors, store
from app.proof.anchors import Anchor, AnchorWay
from app.proof.verifier.anchors import cosignatures_of
from app.proof.verifier.notes import Note, NoteError, VerifierKey, opened


class CosignatureRefusedError(Exception):
    """Nothing was kept; the message is one line that says why."""


async def keep_cosignatures(session: WriteSession, content: str, witnesses: Sequence[VerifierKey]) -> list[str]:
    """Keep what witnesses that are known have cosigned, of a checkpoint of this log; the names of those that are new.

    Raises:
        CosignatureRefusedError: it is no checkpoint of this log, no witness that is known has cosigned it, or the
            cosignature of one is wrong.

    """
    try:
        head = opened(content, await verifier_keys(session, ""))
        signed = cosignatures_of(content, witnesses)
    except NoteError as error:
        raise CosignatureRefusedError(str(error)) from error
    own = await store.latest_checkpoint(session, at_least=head.size)
    if own is None or Note.parse(own.note).text != Note.parse(content).text:
        raise CosignatureRefusedError(f"this log has signed no such checkpoint of {head.size} entries")
    if not signed:
        raise CosignatureRefusedError("no witness of SCEAU_WITNESS_KEYS has cosigned it")
    new, now = [], await session.now()
    for each in signed:
        anchor = Anchor(head.size, AnchorWay.COSIGNATURE, each.at, each.line.encode(), str(each.key))
        if await anchors.add_anchor(session, session.new_id(now), now, anchor):
            new.append(each.key.name)
    return new
