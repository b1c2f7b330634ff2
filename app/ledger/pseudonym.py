"""Keyed hashes of what must not be stored in clear, above all the locators of subjects.

A *locator* is HMAC-SHA-256 under SCEAU_PSEUDONYM_KEY over the type and the normalised id. It leads through one row
(`app.ledger.locators`) to the subject's random `subject_ref`, under which all else is stored. Erasing a person deletes
that row: afterwards even a holder of the key cannot find the past by the id. The key can be exchanged for another by
writing the rows anew. A keyed hash is a pseudonym, not anonymous data (GDPR art. 4(5)).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Final, Self

import idna

from app.core.errors import InvalidSubjectError

if TYPE_CHECKING:
    import hashlib

# When two ids are one subject: how ids are normalised before they are looked up. Two people are never merged. Domains
# are compared as A-labels (UTS #46 non-transitional, IDNA 2008; RFC 5890 section 2.3.2.1), so `straße.example` and
# `strasse.example` are two; everything else by Unicode form C and lower case, without folding (RFC 6530 leaves the
# local part to its domain). The algorithm has a version, which is stored and checked at start: another version would
# find other people.

ALGORITHM: Final = "idna2008-1"
"""The version of the normalisation that this module implements."""

# A domain of letters, digits and single hyphens is its own A-label; tests compare this with the library. Nearly every
# domain is of that form, and the library takes 40 microseconds for it, about as long as a whole decision.
_PLAIN: Final = re.compile(r"[a-z0-9]++(?:[-.][a-z0-9]++)*+\.?", re.ASCII)
_LONGEST_DOMAIN, _LONGEST_LABEL = 253, 63


class Normalisation(StrEnum):
    """How ids of a subject type are compared.

    `address`: a part and a domain, as in `alice@example.fr` or `@alice:example.fr`; ids without a domain as `lower`.
    `lower`: form C and lower case. `exact`: form C.
    """

    ADDRESS = "address"
    LOWER = "lower"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class SubjectIds:
    """How the ids of each subject type are normalised (SCEAU_SUBJECT_IDS)."""

    default: Normalisation = Normalisation.ADDRESS
    by_type: Mapping[str, Normalisation] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "SubjectIds":
        """Parse `address`, `lower` or `exact`, or a default with exceptions: `address,mxid=exact`.

        Raises:
            ValueError: a word is none of these, or there is more than one default.

        """
        words = [word.strip() for word in text.split(",")]
        defaults = [Normalisation(word) for word in words if "=" not in word]
        if len(defaults) > 1:
            message = "one default at most"
            raise ValueError(message)
        pairs = (word.split("=", 1) for word in words if "=" in word)
        by_type = {subject_type.strip(): Normalisation(word.strip()) for subject_type, word in pairs}
        return cls(defaults[0] if defaults else Normalisation.ADDRESS, by_type)

    def normalise(self, subject_type: str, identifier: str) -> str:
        """Return the normalised form of an id; ids with the same form are one subject.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        how = self.by_type.get(subject_type, self.default)
        if how is Normalisation.EXACT:
            return unicodedata.normalize("NFC", identifier)
        if how is Normalisation.LOWER:
            return _lower(identifier)
        if identifier.isascii():
            lowered = identifier.lower()
            if _is_plain(_split(lowered)[2]):
                return lowered
        name, mark, domain = _split(identifier)
        return f"{_lower(name)}{mark}{_a_labels(domain)}" if mark else _lower(identifier)

    def __str__(self) -> str:
        """Return a canonical form for comparing two deployments; it includes the algorithm's version."""
        exceptions = (f"{name}={word}" for name, word in sorted(self.by_type.items()) if word is not self.default)
        return ",".join([self.default.value, *exceptions, ALGORITHM])


def _split(identifier: str) -> tuple[str, str, str]:
    """Return the part before the domain, the separator and the domain; without a domain, the separator is empty."""
    if identifier.startswith("@"):  # a Matrix id: the first colon ends the local part
        return identifier.partition(":")
    return identifier.rpartition("@")


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _is_plain(domain: str) -> bool:
    """Return whether a domain in lower case is its own A-label, judged by `_PLAIN` and the lengths of RFC 1035."""
    length = len(domain)
    if _PLAIN.fullmatch(domain) is None or length > _LONGEST_DOMAIN:
        return False
    return length <= _LONGEST_LABEL or max(map(len, domain.split("."))) <= _LONGEST_LABEL


def _a_labels(domain: str) -> str:
    """Return a domain as A-labels in lower case; a port or an address literal is only put in lower case."""
    lowered = domain.lower()
    if _is_plain(lowered):
        return lowered
    host, colon, port = lowered.partition(":")
    if lowered.startswith("[") and lowered.isascii():  # RFC 5321 section 4.1.3
        return lowered
    try:
        return idna.encode(host, uts46=True, transitional=False).decode() + colon + port
    except idna.IDNAError:
        raise InvalidSubjectError(field="subject.id") from None


_LENGTH: Final = Struct(">I")
_KEY_ID: Final = 16
"""Hexadecimal digits of a key's id: enough to distinguish keys, and they reveal nothing about the key."""


_BLOCK: Final = 64
_INNER_PAD: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER_PAD: Final = bytes(each ^ 0x5C for each in range(256))


class KeyedHash:
    """HMAC-SHA-256 (RFC 2104) of messages with a common beginning: the key and that beginning are hashed once.

    Keeping the two hash states takes two thirds of the time of a copied `hmac.HMAC`; every question computes one.
    """

    def __init__(self, inner: "hashlib._Hash", outer: "hashlib._Hash") -> None:
        """Continue from the inner and outer hash states of RFC 2104."""
        self._inner = inner
        self._outer = outer

    @classmethod
    def by(cls, key: bytes) -> Self:
        """Begin with the key alone."""
        block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        return cls(sha256(block.translate(_INNER_PAD)), sha256(block.translate(_OUTER_PAD)))

    def after(self, beginning: bytes) -> "KeyedHash":
        """Return a hash for messages that continue with this beginning."""
        inner = self._inner.copy()
        inner.update(beginning)
        return KeyedHash(inner, self._outer)

    def of(self, rest: bytes) -> bytes:
        """Return the hash (32 bytes) of the message that ends with this."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.digest()


class Pseudonyms:
    """Makes locators and other keyed hashes; holds the keys, and never shows them.

    `other` is the second key during an exchange of keys: each subject then has rows by both keys. `maker` is noted
    beside a locator: it says how ids were normalised, and which key made it.

    Only locators are made with these keys, because their rows can be written anew. All other hashes use `lasting`,
    which is never exchanged: what another key hashed could not be found afterwards.
    """

    def __init__(
        self, key: bytes, ids: SubjectIds | None = None, *, other: bytes | None = None, lasting: bytes | None = None
    ) -> None:
        """Keep the keys (at least 32 bytes; without `lasting`, one for everything) and the way ids are normalised."""
        self.ids = ids or SubjectIds()
        self.other = None if other is None else Pseudonyms(other, self.ids)
        self._keyed = KeyedHash.by(key)
        self._lasting = KeyedHash.by(lasting or key)
        self._of_subjects = self._begun("subject")
        self.maker = f"{ALGORITHM} {self._begun('check', 'locator').of(b'').hex()[:_KEY_ID]}"
        self._of_purpose: dict[str, KeyedHash] = {}

    def locator(self, subject_type: str, identifier: str) -> bytes:
        """Return the locator (32 bytes) by which a subject is found.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        kind, name = subject_type.encode(), self.ids.normalise(subject_type, identifier).encode()
        return self._of_subjects.of(b"%b%b%b%b" % (_LENGTH.pack(len(kind)), kind, _LENGTH.pack(len(name)), name))

    def found_by(self, subject_type: str, identifier: str) -> Mapping[bytes, str]:
        """Return the locators under which a subject has rows, that of the first key first, each with its maker.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        keys = (self,) if self.other is None else (self, self.other)
        return {each.locator(subject_type, identifier): each.maker for each in keys}

    def makers(self) -> tuple[str, ...]:
        """Return what identifies the keys, the first key first."""
        return (self.maker,) if self.other is None else (self.maker, self.other.maker)

    def opaque(self, purpose: str, value: str) -> bytes:
        """Return a keyed hash (32 bytes) of a value that must not be stored in clear, different for each purpose.

        `purpose` is a word of the code, never of a request, because a hash state is kept for each purpose.
        """
        begun = self._of_purpose.get(purpose)
        if begun is None:
            begun = self._of_purpose[purpose] = self._lasting.after(_prefixed("opaque") + _prefixed(purpose))
        return begun.of(_prefixed(value))

    def check_value(self) -> str:
        """Return what identifies the lasting key; it is stored so that another key is refused at start."""
        return self.opaque("check", "lasting").hex()[:_KEY_ID]

    def _begun(self, *parts: str) -> KeyedHash:
        return self._keyed.after(b"".join(map(_prefixed, parts)))


def _prefixed(part: str) -> bytes:
    """Return a part of a message prefixed with its length, so that different tuples give different messages."""
    encoded = part.encode()
    return _LENGTH.pack(len(encoded)) + encoded
