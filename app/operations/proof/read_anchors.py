"""What others have said of the log's checkpoints, as it is given out: lines of notes, and the files of a bundle."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from app.db.session import ReadSession
from app.proof import anchors
from app.proof.anchors import Anchor, AnchorWay

_TOGETHER: Final = 200


async def cosignature_lines(session: ReadSession, size: int) -> str:
    """The signature lines of those who have cosigned the checkpoint of a size; empty where nobody has."""
    return _lines(await anchors.anchors_of(session, [size]))


async def anchor_files(session: ReadSession, first: int, last: int) -> AsyncIterator[tuple[str, bytes]]:
    """The files of a bundle about checkpoints from one size to another, both included, by their names.

    Beside each stamp stands the checkpoint as it was stamped: without cosignatures, which came later.
    """
    sizes = await anchors.sizes_anchored(session, first, last)
    for at in range(0, len(sizes), _TOGETHER):
        some = sizes[at : at + _TOGETHER]
        notes = await anchors.notes_of(session, some)
        kept = await anchors.anchors_of(session, some)
        for size in some:
            of_it, note = [each for each in kept if each.size == size], notes.get(size, "")
            for stamp in (each for each in of_it if each.way is AnchorWay.STAMP):
                yield f"data/stamps/{size}.checkpoint", note.encode()
                yield f"data/stamps/{size}.tsr", stamp.content
            if lines := _lines(of_it):
                yield f"data/cosigned/{size}.checkpoint", f"{note}{lines}".encode()


def _lines(kept: Sequence[Anchor]) -> str:
    return "".join(each.content.decode() for each in kept if each.way is AnchorWay.COSIGNATURE)
