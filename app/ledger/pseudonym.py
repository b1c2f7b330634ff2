"""Keyed hashes of what must not be stored in clear, the locators of subjects first among them.

A *locator* is HMAC-SHA-256 under SCEAU_PSEUDONYM_KEY over the type and the normalised id. It leads through one row
(`app.ledger.locators`) to the subject's random `subject_ref`, under which all else stands. The row goes with the
person, so that afterwards nobody finds the past by the id, whoever holds the key; and the key can be exchanged for
another by writing the rows anew. A keyed hash is a pseudonym, not anonymous data (GDPR art. 4(5)).
"""

import hmac
from struct import Struct
from typing import Final

from app.ledger.subject_ids import ALGORITHM, SubjectIds

_LENGTH: Final = Struct(">I")
_KEY_ID: Final = 16
"""Hexadecimal digits that tell one key from another; they tell nothing about it."""


class Pseudonyms:
    """Makes locators and other keyed hashes; holds the keys, and never shows them.

    `other` is a second key, during an exchange of keys: whoever is written down is found by both.
    """

    def __init__(self, key: bytes, ids: SubjectIds | None = None, *, other: bytes | None = None) -> None:
        """Keep the key (at least 32 bytes) and the way ids are normalised."""
        self.ids = ids or SubjectIds()
        self.other = None if other is None else Pseudonyms(other, self.ids)
        self._keyed = hmac.new(key, digestmod="sha256")  # copied for each hash: the key is hashed once
        self._of_subjects = self._begun("subject")
        self._of_purpose: dict[str, hmac.HMAC] = {}

    def locator(self, subject_type: str, identifier: str) -> bytes:
        """What a subject is found by (32 bytes).

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        kind, name = subject_type.encode(), self.ids.normalise(subject_type, identifier).encode()
        made = self._of_subjects.copy()
        made.update(_LENGTH.pack(len(kind)) + kind + _LENGTH.pack(len(name)) + name)
        return made.digest()

    def locators(self, subject_type: str, identifier: str) -> tuple[bytes, ...]:
        """The locators that a subject is written down under: one for each key, the one that is asked by first."""
        own = self.locator(subject_type, identifier)
        return (own,) if self.other is None else (own, self.other.locator(subject_type, identifier))

    def makers(self) -> tuple[str, ...]:
        """What is noted beside each of `locators`: how ids were normalised, and by which key it was made."""
        own = f"{ALGORITHM} {self._mac('check', 'locator').hex()[:_KEY_ID]}"
        return (own,) if self.other is None else (own, *self.other.makers())

    def opaque(self, purpose: str, value: str) -> bytes:
        """A keyed hash (32 bytes) of something that must not be stored in clear, apart for each purpose.

        `purpose` is a word of the code, never of a request: what is hashed of it is kept.
        """
        begun = self._of_purpose.get(purpose)
        if begun is None:
            begun = self._of_purpose[purpose] = self._begun("opaque", purpose)
        encoded, made = value.encode(), begun.copy()
        made.update(_LENGTH.pack(len(encoded)) + encoded)
        return made.digest()

    def check_value(self, ids: str) -> str:
        """What tells this key from another, and nothing about it: stored to refuse a wrong key at start.

        `ids`: how ids were normalised when the database was first used.
        """
        return self._mac("check", "pseudonym", ids).hex()

    def _mac(self, *parts: str) -> bytes:
        return self._begun(*parts).digest()

    def _begun(self, *parts: str) -> hmac.HMAC:
        made = self._keyed.copy()
        for part in parts:
            encoded = part.encode()
            # Length-prefixed, so that no two different tuples give the same message.
            made.update(_LENGTH.pack(len(encoded)) + encoded)
        return made
