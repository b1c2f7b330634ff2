"""The tree of the log against published vectors and a reference written from RFC 9162, with proofs that fail."""

import hashlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.proof.tree import (
    HASH_BYTES,
    WIDTH,
    TileName,
    complete_subtrees,
    consistency_proof,
    grown,
    inclusion_proof,
    root_at,
    subtree_of,
    tiles_needed,
)
from app.proof.verifier.trees import (
    EMPTY_ROOT,
    Frontier,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

# The entries and roots of the test vectors of the first implementation of RFC 6962 (certificate-transparency-go).
ENTRIES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def _root(entries):
    """MTH as section 2.1.1 of RFC 9162 defines it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf_hash(entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return node_hash(_root(entries[:split]), _root(entries[split:]))


class Log:
    """A tree kept in tiles, grown in steps."""

    def __init__(self, steps):
        self.entries: list[bytes] = []
        self.tiles: dict[tuple[int, int], bytes] = {}
        for step in steps:
            new = [b"%d" % number for number in range(len(self.entries), len(self.entries) + step)]
            size = len(self.entries)
            changed = grown(size, [leaf_hash(each) for each in new], partial(self._partial, size))
            self.tiles.update(changed)
            self.entries += new
        self.subtree = subtree_of(lambda level, index: self.tiles[level, index])

    def _partial(self, size, level):
        return self.tiles.get((level, (size >> 8 * level) // WIDTH), b"")

    def root(self, size):
        """The root at a size, by the definition."""
        return _root(self.entries[:size])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size):
    """A tree of the first n published entries has the published root."""
    assert root_of(leaf_hash(each) for each in ENTRIES[:size]).hex() == ROOTS[size - 1]
    assert root_of([]) == EMPTY_ROOT


@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.data())
def test_proofs_from_tiles_hold_at_every_size(steps, data):
    """Inclusion and consistency hold for any leaf and any two sizes, from the tiles that are said to be needed."""
    log = Log(steps)
    size = data.draw(st.integers(1, len(log.entries)))
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))

    def work(subtree):
        return (
            root_at(size, subtree),
            inclusion_proof(index, size, subtree),
            consistency_proof(first, size, subtree),
        )

    tiles = {name: log.tiles[name] for name in tiles_needed(work)}
    root, included, consistent = work(subtree_of(lambda level, tile: tiles[level, tile]))
    assert root == log.root(size)
    leaf = leaf_hash(log.entries[index])
    assert is_included(leaf, index, size, included, root)
    assert is_consistent(first, size, consistent, log.root(first), root)
    assert not is_included(leaf_hash(b"another"), index, size, included, root)
    assert not is_included(leaf, index, size, [*included, bytes(32)], root)
    assert not is_included(leaf, size, size, included, root)
    if index + 1 < size:
        assert not is_included(leaf, index + 1, size, included, root)
    if 0 < first < size:
        assert not is_consistent(first, size, consistent, leaf_hash(b"fork"), root)
        assert not is_consistent(first, size, consistent[:-1], log.root(first), root)
    for at in range(len(included)):
        changed = [*included[:at], bytes(32), *included[at + 1 :]]
        assert not is_included(leaf, index, size, changed, root)


@given(st.integers(0, 700), st.integers(1, 300))
def test_a_frontier_goes_on_from_any_size(first, more):
    """A tree of which only the roots of complete subtrees were kept grows to the same root."""
    log = Log([first, more] if first else [more])
    tree = Frontier(first, [log.subtree(*each) for each in complete_subtrees(first)])
    for entry in log.entries[first:]:
        tree.append(leaf_hash(entry))
    assert tree.root() == log.root(len(log.entries))
    with pytest.raises(ValueError, match="subtrees"):
        Frontier(first + 1, [bytes(32)] * 20)


def test_a_tile_that_is_short_is_no_tree():
    """A tile that is too short is an error."""
    log = Log([300])
    log.tiles[0, 1] = log.tiles[0, 1][: -2 * HASH_BYTES]
    with pytest.raises(ValueError, match="shorter"):
        root_at(300, log.subtree)


@pytest.mark.parametrize(
    ("path", "level", "index", "width"),
    [
        ("0/000", 0, 0, 256),
        ("0/x001/x234/067", 0, 1_234_067, 256),
        ("3/x001/000.p/17", 3, 1_000, 17),
        ("63/999.p/255", 63, 999, 255),
    ],
)
def test_tile_paths(path, level, index, width):
    """The paths of c2sp.org/tlog-tiles, forth and back."""
    assert TileName.parse(path) == TileName(level, index, width)
    assert str(TileName(level, index, width)) == path


@pytest.mark.parametrize(
    "path",
    ["", "0", "64/000", "0/0000", "0/x000/000", "00/000", "0/001.p/0", "0/001.p/256", "0/001.p/", "0/x1/001", "-1/000"],
)
def test_other_paths_name_no_tile(path):
    """A path that is not written as the specification says names no tile."""
    assert TileName.parse(path) is None
