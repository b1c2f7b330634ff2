"""Pseudonyms: the only form in which a subject is stored in clear or logged.

`subject_ref` is HMAC-SHA-256 under SCEAU_PSEUDONYM_KEY over the type and the normalised id. It stands in append-only
primary keys, so **this key can never be rotated**, and the way ids are normalised can never change. A keyed hash is a
pseudonym, not anonymous data (GDPR art. 4(5)).
"""

import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from struct import Struct
from typing import Final

_LENGTH: Final = Struct(">I")


class Normalisation(StrEnum):
    """How ids of a subject type are compared: by NFC and case folding, or exactly."""

    CASEFOLD = "casefold"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class SubjectIds:
    """How the ids of each subject type are normalised (SCEAU_SUBJECT_IDS)."""

    default: Normalisation = Normalisation.CASEFOLD
    by_type: Mapping[str, Normalisation] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "SubjectIds":
        """Read `casefold`, `exact`, or a default with exceptions: `casefold,mxid=exact`.

        Raises:
            ValueError: a word is neither, or there is more than one default.

        """
        words = [word.strip() for word in text.split(",")]
        defaults = [Normalisation(word) for word in words if "=" not in word]
        if len(defaults) > 1:
            message = "one default at most"
            raise ValueError(message)
        pairs = (word.split("=", 1) for word in words if "=" in word)
        by_type = {subject_type.strip(): Normalisation(word.strip()) for subject_type, word in pairs}
        return cls(defaults[0] if defaults else Normalisation.CASEFOLD, by_type)

    def normalise(self, subject_type: str, identifier: str) -> str:
        """The form of an id under which it is one and the same subject."""
        if self.by_type.get(subject_type, self.default) is Normalisation.EXACT:
            return identifier
        if identifier.isascii():
            return identifier.lower()  # what follows does the same to ASCII
        return unicodedata.normalize("NFC", unicodedata.normalize("NFD", identifier).casefold())

    def __str__(self) -> str:
        """A canonical form, to compare two deployments by."""
        exceptions = (f"{name}={word}" for name, word in sorted(self.by_type.items()) if word is not self.default)
        return ",".join([self.default.value, *exceptions])


class Pseudonyms:
    """Makes subject_refs and other keyed hashes; holds the key, and never shows it."""

    def __init__(self, key: bytes, ids: SubjectIds | None = None) -> None:
        """Keep the key (at least 32 bytes) and the way ids are normalised."""
        self.ids = ids or SubjectIds()
        self._keyed = hmac.new(key, digestmod="sha256")  # copied for each hash: the key is hashed once
        self._of_subjects = self._begun("subject")
        self._of_purpose: dict[str, hmac.HMAC] = {}

    def ref(self, subject_type: str, identifier: str) -> bytes:
        """The pseudonym (32 bytes) of a subject."""
        kind, name = subject_type.encode(), self.ids.normalise(subject_type, identifier).encode()
        made = self._of_subjects.copy()
        made.update(_LENGTH.pack(len(kind)) + kind + _LENGTH.pack(len(name)) + name)
        return made.digest()

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

    def check_value(self) -> str:
        """What tells this key from another, and nothing about it: stored to refuse a wrong key at start."""
        return self._mac("check", "pseudonym", str(self.ids)).hex()

    def _mac(self, *parts: str) -> bytes:
        return self._begun(*parts).digest()

    def _begun(self, *parts: str) -> hmac.HMAC:
        made = self._keyed.copy()
        for part in parts:
            encoded = part.encode()
            # Length-prefixed, so that no two different tuples give the same message.
            made.update(_LENGTH.pack(len(encoded)) + encoded)
        return made
