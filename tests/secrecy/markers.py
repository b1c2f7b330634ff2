"""Identifiers that are found again in whatever form they come out: as text, encoded, or hashed with no key."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Marker:
    """A unique word, for one kind of place in a request; `address` is an id that a person could have."""

    place: str
    word: str

    @classmethod
    def of(cls, place: str) -> "Marker":
        """The marker of a place: capitals and small letters, and nothing that occurs by chance."""
        return cls(place, f"Zq7{place.title()}{hashlib.sha256(place.encode()).hexdigest()[:10].upper()}Kx")

    @property
    def address(self) -> str:
        """The word within an address."""
        return f"{self.word}@Marque.example"

    def forms(self) -> Iterator[tuple[str, bytes, bool]]:
        """What to look for: its name, the bytes, and whether case makes no difference."""
        for name, text in (("text", self.word), ("hex", self.word.encode().hex())):
            yield name, text.lower().encode(), True
            yield f"{name} in UTF-16", text.lower().encode("utf-16-le"), True
        yield "hex, case-folded", self.word.casefold().encode().hex().encode(), True
        yield "percent-encoded", "".join(f"%{byte:02x}" for byte in self.word.encode()).encode(), True
        yield "escaped", "".join(f"\\u{ord(letter):04x}" for letter in self.word).encode(), True
        for form in (self.word, self.word.casefold(), self.word.upper()):
            for offset in range(3):
                yield "base64", _inner_base64(form.encode(), offset), False
        for form in (self.word, self.address, quote(self.address)):
            for each in {form, form.casefold()}:
                for hashed in (hashlib.sha256, hashlib.sha1, hashlib.md5):
                    digest = hashed(each.encode())
                    yield f"{digest.name} with no key", digest.hexdigest().encode(), True
                    yield f"{digest.name} with no key, raw", digest.digest(), False


def _inner_base64(content: bytes, offset: int) -> bytes:
    """The part of a base64 text that does not depend on what stands before and after."""
    encoded = base64.b64encode(b"\0" * offset + content)
    return encoded[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]


def leaks(sinks: Mapping[str, bytes], markers: Mapping[str, Marker]) -> list[str]:
    """Each marker found in each sink, with the form in which it stood there and what stood around it."""
    leaked = []
    for sink, raw in sinks.items():
        lowered = raw.lower()
        for marker in markers.values():
            for form, wanted, any_case in marker.forms():
                at = (lowered if any_case else raw).find(wanted)
                if at >= 0:
                    leaked.append(f"{marker.place} in {sink}, as {form}: {raw[max(0, at - 200) : at + 120]!r}")
    return leaked


PLACES = (
    "subject",
    "participant",
    "resource",
    "context",
    "idempotency",
    "requestid",
    "query",
    "member",
    "malformed",
    "path",
    "header",
    "apikey",
    "processing",
    "exception",
    "token",
    "staff",
)
MARKERS = {place: Marker.of(place) for place in PLACES}
PLANTED = {"planted": Marker.of("planted")}
