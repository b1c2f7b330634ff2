"""Proofs of a Merkle tree, made of the hashes of its complete subtrees (RFC 9162, sections 2.1.3.1 and 2.1.4.1)."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from app.proof.verifier.trees import node_hash, root_of_subtrees

Subtree = Callable[[int, int], bytes]
"""Gives the root of a complete subtree: of 2**level leaves, the index-th of that size."""


def complete_subtrees(size: int) -> list[tuple[int, int]]:
    """The complete subtrees that a tree of so many leaves is made of, the largest first, as (level, index)."""
    found, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def root_at(size: int, subtree: Subtree) -> bytes:
    """The root of the tree when it had so many leaves."""
    return root_of_subtrees([subtree(level, index) for level, index in complete_subtrees(size)])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The hashes that lead from a leaf to the root of a tree of that size.

    Raises:
        ValueError: there is no such leaf.

    """
    if not 0 <= index < size:
        raise ValueError("there is no such leaf")
    return _path(index, 0, size, subtree)


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """The hashes that show that a tree of the second size begins with that of the first.

    Raises:
        ValueError: the first is larger, or negative.

    """
    if not 0 <= first <= second:
        raise ValueError("the first size is larger than the second")
    return [] if first in {0, second} else _subproof(first, 0, second, subtree, whole=True)


def _path(index: int, start: int, end: int, subtree: Subtree) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, subtree), _range_root(middle, end, subtree)]
    return [*_path(index, middle, end, subtree), _range_root(start, middle, subtree)]


def _subproof(first: int, start: int, end: int, subtree: Subtree, *, whole: bool) -> list[bytes]:
    if first == end:
        return [] if whole else [_range_root(start, end, subtree)]
    middle = start + _split(end - start)
    if first <= middle:
        return [*_subproof(first, start, middle, subtree, whole=whole), _range_root(middle, end, subtree)]
    return [*_subproof(first, middle, end, subtree, whole=False), _range_root(start, middle, subtree)]


def _range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """The root of the leaves from one to another; each range that proofs ask for begins at a multiple of its parts."""
    width = end - start
    if width & (width - 1) == 0:
        return subtree(width.bit_length() - 1, start // width)
    middle = start + _split(width)
    return node_hash(_range_root(start, middle, subtree), _range_root(middle, end, subtree))


def _split(width: int) -> int:
    """The largest power of two that is smaller than the width."""
    return 1 << (width - 1).bit_length() - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes; SHA-256 of nothing where there are none (RFC 9162, 2.1.1)."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return root_at(len(leaves), lambda level, index: levels[level][index]) if leaves else sha256().digest()
