"""Read the log of proofs: checkpoints, tiles and anchors."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from app.db.session import ReadSession
from app.proof import anchors, store
from app.proof.anchors import Anchor, AnchorWay
from app.proof.tree import HASH_BYTES, WIDTH, TileName, widths_at


async def read_checkpoint(session: ReadSession, *, cosigned: bool = False) -> str | None:
    """The last checkpoint, with the cosignatures of it that are kept; None while there is none.

    `cosigned`: the last one that a witness has cosigned.
    """
    if cosigned:
        size = await anchors.cosigned_size(session)
        head = None if size is None else await store.latest_checkpoint(session, at_least=size)
    else:
        head = await store.latest_checkpoint(session)
    return None if head is None else head.note + await cosignature_lines(session, head.size)


async def read_tile(session: ReadSession, name: TileName) -> bytes | None:
    """The hashes of a tile as wide as it was asked for; None where the log at its last head has none so wide."""
    head = await store.latest_checkpoint(session)
    if head is None:
        return None
    full, partial = widths_at(head.size, name.level)
    if name.width > (WIDTH if name.index < full else partial if name.index == full else 0):
        return None
    found = (await store.tiles(session, [(name.level, name.index)])).get((name.level, name.index), b"")
    hashes = found[: name.width * HASH_BYTES]
    return hashes if len(hashes) == name.width * HASH_BYTES else None


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
