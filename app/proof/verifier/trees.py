"""Merkle trees as RFC 6962 and RFC 9162 (both section 2.1) define them: hashes, and proofs that are checked."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.proof.verifier.notes import Checkpoint, NoteError

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = "index "


@dataclass(frozen=True)
class LogProof:
    """The place of an entry, the hashes that lead from it to a root, and the checkpoint that has that root."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str) -> "LogProof":
        """Read the text form; a line of extra data is ignored.

        Raises:
            NoteError: the text is no such proof.

        """
        head, blank, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if lines and lines[0].startswith("extra "):
            lines = lines[1:]
        number = lines[0].removeprefix(_INDEX) if lines and lines[0].startswith(_INDEX) else ""
        if first != _FIRST or not blank or not number.isascii() or not number.isdigit() or str(int(number)) != number:
            raise NoteError("this is no proof of a log")
        try:
            hashes = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
        except (binascii.Error, ValueError):
            raise NoteError("a hash of the proof is no base64") from None
        return cls(int(number), hashes, checkpoint)

    def leads_to(self, leaf: bytes, head: Checkpoint) -> bool:
        """Whether an entry with that leaf hash stands in the log under a head."""
        return is_included(leaf, self.index, head.size, self.hashes, head.root)


EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node: SHA-256 of 0x01 and the hashes of its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows leaf by leaf, of which only the roots of its complete subtrees are kept, the largest first."""

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        """Start from a tree of `size` leaves.

        Args:
            size: how many leaves it has.
            roots: the roots of its complete subtrees, the largest first: one for each bit that is set in `size`.

        """
        self.size, self.roots = size, list(roots)
        if len(self.roots) != size.bit_count():
            raise ValueError("a tree of that size has another number of complete subtrees")

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        self.roots.append(leaf)
        complete = self.size
        while complete & 1:
            right = self.roots.pop()
            self.roots[-1] = node_hash(self.roots[-1], right)
            complete >>= 1
        self.size += 1

    def root(self) -> bytes:
        """The root of the whole tree."""
        return root_of_subtrees(self.roots)


def root_of_subtrees(roots: Sequence[bytes]) -> bytes:
    """The root of a tree, computed from the roots of its complete subtrees, the largest first."""
    if not roots:
        return EMPTY_ROOT
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree of these leaf hashes."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether an inclusion proof holds (RFC 9162, section 2.1.3.2).

    Args:
        leaf: the hash of the leaf.
        index: its place, from 0.
        size: how many leaves the tree has.
        proof: hashes from the leaf's sibling up.
        root: the root of the tree.

    """
    climbed = _climbed(index, size - 1, leaf, proof) if 0 <= index < size else None
    return climbed is not None and climbed[1] == root


def _climbed(node: int, last: int, start: bytes, siblings: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots to which the hashes of a proof lead from a node: of the tree that ends with it, and of the whole tree.

    None if they are too many or too few. `node`, `last`: the places of the node and of the last one on its level.
    """
    old = new = start
    for sibling in siblings:
        if last == 0:
            return None
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None


def is_consistent(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether a consistency proof holds between two sizes of a tree (RFC 9162, section 2.1.4.2).

    Args:
        first: the smaller size.
        second: the larger size, or the same.
        proof: the hashes of the proof.
        first_root: the root at the smaller size.
        second_root: the root at the larger size.

    """
    if not 0 <= first <= second:
        return False
    if first in {0, second}:
        return not proof and (first_root == second_root if first else first_root == EMPTY_ROOT)
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    return _climbed(node, last, path[0], path[1:]) == (first_root, second_root)
