"""Proofs of a Merkle tree, made of the hashes of its complete subtrees (RFC 9162, sections 2.1.3.1 and 2.1.4.1)."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from app.proof.verifier.trees import node_hash, root_of, root_of_subtrees

Subtree = Callable[[int, int], bytes]
"""Returns the root of a complete subtree: of 2**level leaves, the index-th of that size."""


def complete_subtrees(size: int) -> list[tuple[int, int]]:
    """Return the complete subtrees that make up a tree of so many leaves, the largest first, as (level, index)."""
    subtrees, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            subtrees.append((level, start >> level))
            start += 1 << level
    return subtrees


def root_at(size: int, subtree: Subtree) -> bytes:
    """Return the root of the tree when it had so many leaves."""
    return root_of_subtrees([subtree(level, index) for level, index in complete_subtrees(size)])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the hashes that lead from a leaf to the root of a tree of that size.

    Raises:
        ValueError: there is no such leaf.

    """
    if not 0 <= index < size:
        raise ValueError("there is no such leaf")
    return _path(index, 0, size, subtree)


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """Return the hashes that show that a tree of the second size begins with that of the first.

    Raises:
        ValueError: the first is larger, or negative.

    """
    if not 0 <= first <= second:
        raise ValueError("the first size is larger than the second")
    return [] if first in {0, second} else _subproof(first, 0, second, subtree, complete=True)


def _path(index: int, start: int, end: int, subtree: Subtree) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, subtree), _range_root(middle, end, subtree)]
    return [*_path(index, middle, end, subtree), _range_root(start, middle, subtree)]


def _subproof(first: int, start: int, end: int, subtree: Subtree, *, complete: bool) -> list[bytes]:
    if first == end:
        return [] if complete else [_range_root(start, end, subtree)]
    middle = start + _split(end - start)
    if first <= middle:
        return [*_subproof(first, start, middle, subtree, complete=complete), _range_root(middle, end, subtree)]
    return [*_subproof(first, middle, end, subtree, complete=False), _range_root(start, middle, subtree)]


def _range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """Return the root of leaves from one to another; each range that proofs need begins at a multiple of its parts."""
    width = end - start
    if width & (width - 1) == 0:
        return subtree(width.bit_length() - 1, start // width)
    middle = start + _split(width)
    return node_hash(_range_root(start, middle, subtree), _range_root(middle, end, subtree))


def _split(width: int) -> int:
    """Return the largest power of two that is smaller than the width."""
    return 1 << (width - 1).bit_length() - 1


WIDTH: Final = 256
HEIGHT: Final = 8
HASH_BYTES: Final = 32
_LEVELS: Final = 64
_PATH: Final = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

ReadTile = Callable[[int, int], bytes]
"""Returns the hashes of a tile, one after the other, by its level and index; of a partial tile, those it has."""


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile as it is asked for. `width`: how many hashes, 256 for a full one."""

    level: int
    index: int
    width: int

    @classmethod
    def parse(cls, path: str) -> "TileName | None":
        """Read `<level>/<index>[.p/<width>]`, such as `0/x001/234.p/17`; return None for anything else."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        level, index, width = int(match[1]), int(match[2].replace("x", "").replace("/", "")), int(match[3] or WIDTH)
        name = cls(level, index, width)
        return name if level < _LEVELS and width <= WIDTH and str(name) == path else None

    def __str__(self) -> str:
        """Return its path."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        path = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
        return f"{self.level}/{path}" + (f".p/{self.width}" if self.width < WIDTH else "")


def widths_at(size: int, level: int) -> tuple[int, int]:
    """Return how many full tiles a tree has at a level, and how wide the partial one behind them is (0: none)."""
    return divmod(size >> HEIGHT * level, WIDTH)


def subtree_of(read: ReadTile) -> Subtree:
    """Return a function that computes the root of a complete subtree, from tiles that are read as they are needed."""

    def subtree(level: int, index: int) -> bytes:
        tile_level, within = divmod(level, HEIGHT)
        count = 1 << within
        tile, start = divmod(index * count, WIDTH)
        hashes = read(tile_level, tile)[start * HASH_BYTES : (start + count) * HASH_BYTES]
        if len(hashes) != count * HASH_BYTES:
            raise ValueError("a tile is shorter than the tree")
        return root_of([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)])

    return subtree


def tiles_needed(work: Callable[[Subtree], object]) -> set[tuple[int, int]]:
    """Return the tiles (level, index) that `work` on the tree reads, by running it on subtrees without real values."""
    needed = set()

    def subtree(level: int, index: int) -> bytes:
        tile_level, within = divmod(level, HEIGHT)
        needed.add((tile_level, (index << within) // WIDTH))
        return bytes(HASH_BYTES)

    work(subtree)
    return needed


def grown(size: int, leaves: Iterable[bytes], partial: Callable[[int], bytes]) -> dict[tuple[int, int], bytes]:
    """Return the tiles that change when leaves are added, whole, by level and index.

    Args:
        size: how many leaves the tree had.
        leaves: the hashes of the new ones.
        partial: returns the hashes of the last, partial tile of a level as it was (empty where there was none).

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
                full.append(root_of([part[i : i + HASH_BYTES] for i in range(0, len(part), HASH_BYTES)]))
        level, added = level + 1, full
    return changed
