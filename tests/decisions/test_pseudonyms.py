"""A locator is the HMAC that finds a subject, and no earlier hash changes it."""

import hmac
import struct
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.ledger.identifiers import KeyedHash, Pseudonyms, SubjectIds

KEY = b"k" * 32
EXACT = SubjectIds.parse("exact")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def slowly(*parts):
    """HMAC-SHA-256 over the parts, each behind its length in four bytes."""
    encoded = [part.encode() for part in parts]
    return hmac.digest(KEY, b"".join(struct.pack(">I", len(each)) + each for each in encoded), "sha256")


@given(st.lists(st.tuples(st.sampled_from(["user", "item", "é"]), texts), min_size=1, max_size=6))
def test_a_locator_depends_on_its_own_type_and_id(subjects):
    """Each of several subjects has the locator that it has alone, in any order of types."""
    pseudonyms = Pseudonyms(KEY, EXACT)
    for kind, name in subjects * 2:
        assert pseudonyms.locator(kind, name) == slowly("subject", kind, unicodedata.normalize("NFC", name))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), texts), min_size=1, max_size=6))
def test_an_opaque_hash_depends_on_its_own_purpose_and_value(values):
    """Earlier hashes for one purpose change no later hash, for that purpose or for another."""
    pseudonyms = Pseudonyms(KEY)
    for purpose, value in values * 2:
        assert pseudonyms.opaque(purpose, value) == slowly("opaque", purpose, value)


@given(st.binary(max_size=200), st.lists(st.binary(max_size=100), max_size=3), st.binary(max_size=200))
def test_a_keyed_hash_is_the_hmac_of_the_library(key, beginnings, rest):
    """For keys of all lengths, below and beyond a block, and messages of any beginning."""
    keyed = KeyedHash.by(key)
    for each in beginnings:
        keyed = keyed.after(each)
    assert keyed.of(rest) == hmac.digest(key, b"".join(beginnings) + rest, "sha256")


def test_parts_are_kept_apart():
    """The same letters split differently are other hashes; another key gives another hash."""
    pseudonyms = Pseudonyms(KEY, EXACT)
    assert pseudonyms.locator("ab", "c") != pseudonyms.locator("a", "bc")
    assert pseudonyms.opaque("ab", "c") != pseudonyms.opaque("a", "bc")
    assert pseudonyms.locator("a", "b") != Pseudonyms(b"x" * 32, EXACT).locator("a", "b")
