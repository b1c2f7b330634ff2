"""Tiles of a log's tree (c2sp.org/tlog-tiles): 256 hashes each, and at each level one hash for a full tile below."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from app.proof.verifier.trees import node_hash

WIDTH: Final = 256
HEIGHT: Final = 8
HASH_BYTES: Final = 32
_LEVELS: Final = 64
_PATH: Final = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

ReadTile = Callable[[int, int], bytes]
"""Gives the hashes of a tile, one after the other, by its level and index; a partial tile as far as there is one."""


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile as it is asked for. `width`: how many hashes, 256 for a full one."""

    level: int
    index: int
    width: int

    @classmethod
    def parse(cls, path: str) -> "TileName | None":
        """Read `<level>/<index>[.p/<width>]`, such as `0/x001/234.p/17`; None where it is not that."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        level, index, width = int(found[1]), int(found[2].replace("x", "").replace("/", "")), int(found[3] or WIDTH)
        name = cls(level, index, width)
        return name if level < _LEVELS and width <= WIDTH and str(name) == path else None

    def __str__(self) -> str:
        """The path of it."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        path = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
        return f"{self.level}/{path}" + (f".p/{self.width}" if self.width < WIDTH else "")


def widths_at(size: int, level: int) -> tuple[int, int]:
    """How many full tiles a tree has at a level, and how wide the partial one behind them is (0: there is none)."""
    return divmod(size >> HEIGHT * level, WIDTH)


def subtree_of(read: ReadTile) -> Callable[[int, int], bytes]:
    """The root of a complete subtree, computed of tiles that are read as they are needed."""

    def subtree(level: int, index: int) -> bytes:
        tile_level, within = divmod(level, HEIGHT)
        count = 1 << within
        tile, start = divmod(index * count, WIDTH)
        hashes = read(tile_level, tile)[start * HASH_BYTES : (start + count) * HASH_BYTES]
        if len(hashes) != count * HASH_BYTES:
            raise ValueError("a tile is shorter than the tree")
        return _root([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)])

    return subtree


def tiles_needed(work: Callable[[Callable[[int, int], bytes]], object]) -> set[tuple[int, int]]:
    """The tiles, by level and index, that some work on the tree reads: it is given subtrees, and reads no values."""
    needed = set()

    def subtree(level: int, index: int) -> bytes:
        tile_level, within = divmod(level, HEIGHT)
        needed.add((tile_level, (index << within) // WIDTH))
        return bytes(HASH_BYTES)

    work(subtree)
    return needed


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def grown(size: int, leaves: Iterable[bytes], partial: Callable[[int], bytes]) -> dict[tuple[int, int], bytes]:
    """The tiles that change when leaves are added, whole, by level and index.

    Args:
        size: how many leaves the tree had.
        leaves: the hashes of the new ones.
        partial: gives the hashes of the last, partial tile of a level as it was (empty where there was none).

    """
    changed: dict[tuple[int, int], bytes] = {}
    level, added = 0, list(leaves)
    while added:
        start = size >> HEIGHT * level
        tile, width = divmod(start, WIDTH)
        hashes = (partial(level) if width else b"") + b"".join(added)
        full = []
        for at in range(0, len(hashes), WIDTH * HASH_BYTES):
            part = hashes[at : at + WIDTH * HASH_BYTES]
            changed[level, tile] = part
            tile += 1
            if len(part) == WIDTH * HASH_BYTES:
                full.append(_root([part[i : i + HASH_BYTES] for i in range(0, len(part), HASH_BYTES)]))
        level, added = level + 1, full
    return changed
