"""Entries of the log: canonical JSON (RFC 8785) with a salted commitment to a body that stays in the database.

No identifier, pseudonym or text stands in an entry. Destroying its salt leaves its proofs valid, and leaves nothing
that a guess could be tried against.
"""

import hashlib
import hmac
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import IO, Any, Final, Protocol, Self

import rfc8785

from app.proof.verifier.trees import leaf_hash

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class Sink(Protocol):
    """Something that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""
        ...


class _Hashed:
    """Writes to a file of the bag, and hashes what is written."""

    def __init__(self, sink: Sink) -> None:
        self.digest, self.octets = hashlib.sha256(), 0
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self.digest.update(data)
        self.octets += len(data)


class Bag:
    """One bag. Leave it by its `with` block: that writes the lists without which it is not a bag."""

    def __init__(self, target: IO[bytes]) -> None:
        """Write to an open file."""
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._listed: dict[str, str] = {}
        self._octets = 0
        self._tags: dict[str, bytes] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[_Hashed]:
        """Open a file of the payload; its name begins with `data/`."""
        with self._zip.open(name, "w", force_zip64=True) as file:
            hashed = _Hashed(file)
            yield hashed
        self._listed[name] = hashed.digest.hexdigest()
        self._octets += hashed.octets

    def put(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        with self.open(name) as file:
            file.write(content)

    def __enter__(self) -> Self:
        """Return the bag as it is."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Write the declaration and the lists."""
        if kind is None:
            oxum = f"{self._octets}.{len(self._listed)}"
            self.put_tag("bagit.txt", _DECLARATION)
            about = f"Payload-Oxum: {oxum}\nExternal-Description: Proofs of a Sceau deployment\n"
            self.put_tag("bag-info.txt", about.encode())
            self.put_tag("manifest-sha256.txt", _manifest(self._listed))
            listed = {name: hashlib.sha256(content).hexdigest() for name, content in self._tags.items()}
            self.put_tag("tagmanifest-sha256.txt", _manifest(listed))
            for name, content in self._tags.items():
                self._zip.writestr(name, content)
        self._zip.close()

    def put_tag(self, name: str, content: bytes) -> None:
        """Add a file that stands beside the payload, and that the list of the payload does not name."""
        self._tags[name] = content

    def manifest_sha256(self) -> str:
        """Return the SHA-256 of `manifest-sha256.txt`, which lists the payload, as it is now."""
        return hashlib.sha256(_manifest(self._listed)).hexdigest()


def read_me(language: str) -> str:
    """Return what a bundle says of itself: what to run, what it means, and what it cannot prove."""
    return (files("app.proof") / f"README.{language}.md").read_text(encoding="utf-8")


def _manifest(listed: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in listed.items()).encode()


FORMAT: Final = 1
SALT_BYTES: Final = 32
LONGEST: Final = 65_535
"""The most bytes of an entry."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an entry commits to, as the database has it.

    `subjects` are the pseudonyms in it, by the name of their member. They stand in the body under a hash that is keyed
    by the salt, so that the holder of two bodies cannot tell that they are about one person.
    """

    kind: str
    id: str
    at: str
    facts: Mapping[str, Any]
    subjects: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: the bytes that are hashed, and the salt that opens its commitment."""

    content: bytes
    salt: bytes

    @property
    def leaf(self) -> bytes:
        """Its hash in the tree."""
        return leaf_hash(self.content)


def body_of(record: Record, salt: bytes) -> bytes:
    """Return the body that an entry commits to, as canonical JSON."""
    hidden = {name: subject_in_body(salt, ref) for name, ref in record.subjects.items()}
    return canonical({**record.facts, **hidden, "v": FORMAT})


def canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """Return JSON in the one form that RFC 8785 gives it."""
    return rfc8785.dumps(value)


def subject_in_body(salt: bytes, reference: bytes) -> str:
    """Return a pseudonym as it stands in a body: HMAC-SHA-256 of it under the salt, as hex."""
    return hmac.new(salt, reference, hashlib.sha256).hexdigest()


def commitment(salt: bytes, body: bytes) -> str:
    """Return the SHA-256 of salt and body, as hex."""
    return hashlib.sha256(salt + body).hexdigest()


def entry_of(record: Record, salt: bytes, entered: datetime, *, late: bool) -> LogEntry:
    """Return the entry of a record.

    Args:
        record: what it commits to; its `at` is the time that the row claims.
        salt: 32 random bytes, for this entry alone.
        entered: when it is entered.
        late: whether it claims to be older than an entry before it by more than `MERGE_DELAY`.

    Raises:
        ValueError: the entry would be too long.

    """
    members = {
        "v": FORMAT,
        "kind": record.kind,
        "id": record.id,
        "at": record.at,
        "entered": entered.isoformat(),
        "commitment": commitment(salt, body_of(record, salt)),
        **({"late": True} if late else {}),
    }
    content = canonical(members)
    if len(content) > LONGEST:
        raise ValueError("the entry is too long")
    return LogEntry(content, salt)


def record_of(kind: str, row: Mapping[str, Any], hidden: tuple[str, ...]) -> Record:
    """Return a record of a row as PostgreSQL gives it as JSON, bytes in its hexadecimal form.

    Args:
        kind: the entry's kind, unless the row has one itself (`entry_kind`).
        row: its members; `entry_id` and `entry_at` are those of the entry.
        hidden: the members that hold pseudonyms.

    """
    facts = {name: value for name, value in row.items() if name not in {"entry_id", "entry_at", "entry_kind", *hidden}}
    subjects = {name: bytes.fromhex(row[name].removeprefix("\\x")) for name in hidden if row[name] is not None}
    return Record(row.get("entry_kind") or kind, row["entry_id"], row["entry_at"], facts, subjects)
