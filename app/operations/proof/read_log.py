"""What of the log is open to everybody: its head, and the tiles of its tree up to that head."""

from app.db.session import ReadSession
from app.operations.proof.read_anchors import cosignature_lines
from app.proof import anchors, store
from app.proof.tiles import HASH_BYTES, WIDTH, TileName, widths_at


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
