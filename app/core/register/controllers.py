"""Who answers for a processing: a legal person known by an identifier, whose names may change.

A SIREN is nine digits whose Luhn sum is a multiple of ten (INSEE; ISO/IEC 7812-1 annex B). A LEI is 18 characters and
two check digits (ISO 17442), right when the whole, letters read as 10 to 35, is 1 modulo 97 (ISO/IEC 7064, MOD 97-10).
"""

import re
import unicodedata
from enum import StrEnum
from hashlib import sha256
from typing import Final

_SIREN: Final = re.compile(r"[0-9]{9}", re.ASCII)
_LEI: Final = re.compile(r"[A-Z0-9]{18}[0-9]{2}", re.ASCII)
_READABLE: Final = 60
_HASH: Final = 12
_TEN: Final = 10
_NINE: Final = 9


class ControllerKind(StrEnum):
    """Which register a controller's identifier is of; `other`: none that is checked here."""

    SIREN = "siren"
    LEI = "lei"
    OTHER = "other"


def is_siren(text: str) -> bool:
    """Whether a text is a SIREN, written without spaces."""
    if _SIREN.fullmatch(text) is None or not text.strip("0"):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(text)))
    return sum(each if each < _TEN else each - _NINE for each in doubled) % _TEN == 0


def is_lei(text: str) -> bool:
    """Whether a text is a LEI, in capitals and without spaces."""
    return _LEI.fullmatch(text) is not None and int("".join(str(int(each, 36)) for each in text)) % 97 == 1


def is_identifier(kind: ControllerKind, identifier: str | None) -> bool:
    """Whether an identifier is one of its kind; a controller of kind `other` may have none."""
    if kind is ControllerKind.OTHER:
        return True
    return identifier is not None and {ControllerKind.SIREN: is_siren, ControllerKind.LEI: is_lei}[kind](identifier)


def id_of_name(legal_name: str) -> str:
    """The id of the record that stands for a legal name which came without one.

    The name in lower case without accents, its letters and digits joined by hyphens and cut at 60 characters, then a
    hyphen and the first 12 hexadecimal digits of the SHA-256 of the name (Unicode NFC, UTF-8). Two names never share
    one, and one name always has the same.
    """
    plain = unicodedata.normalize("NFKD", legal_name).encode("ascii", "ignore").decode().lower()
    readable = "-".join(re.findall(r"[a-z0-9]+", plain))[:_READABLE].strip("-") or "controller"
    return f"{readable}-{sha256(unicodedata.normalize('NFC', legal_name).encode()).hexdigest()[:_HASH]}"
