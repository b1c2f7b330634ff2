"""Signed notes, verifier keys and checkpoints, as C2SP specifies them (c2sp.org/signed-note, /tlog-checkpoint).

Cosignatures of witnesses are those with Ed25519 (c2sp.org/tlog-cosignature). Signatures of other keys are ignored.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE = 0x01
"""A key that signs a note's text (Ed25519)."""
COSIGNATURE = 0x04
"""A key of a witness, which signs the text and the time at which the witness saw it (Ed25519)."""
_DASH = "\u2014 "
_MOST_SIGNATURES = 64
_HASH_BYTES = 32
_ID_BYTES = 4
_EPOCH = "epoch "
_SIGNED = "signed "
_LINES = 4
"""The fewest lines of a checkpoint when split: origin, size, root, and the empty text after the last newline."""


class NoteError(Exception):
    """A text is no note, no verifier key or no checkpoint; or no trusted key has signed it."""


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name. `kind`: SIGNATURE or COSIGNATURE; `public`: 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The text form: `<name>+<hex id>+<base64 of kind and key>`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read the text form.

        Raises:
            NoteError: the text is no verifier key, or one of another algorithm.

        """
        name, _, rest = text.strip().partition("+")
        identifier, _, encoded = rest.partition("+")
        material = _base64(encoded)
        if not _is_name(name) or len(material) != 1 + _HASH_BYTES or material[0] not in {SIGNATURE, COSIGNATURE}:
            raise NoteError("this is no verifier key of Ed25519 (<name>+<id>+<key>)")
        key = cls(name, material[0], material[1:])
        if key.id.hex() != identifier:
            raise NoteError("the id of the verifier key is not that of its name and key")
        return key


@dataclass(frozen=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A text that ends with a newline, and its signatures, which are not verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, content: str) -> "Note":
        """Split a note into its text and its signatures.

        Raises:
            NoteError: the content is no signed note, or has too many signatures.

        """
        text, blank, lines = content.rpartition("\n\n")
        if not blank or not lines.endswith("\n") or any(ord(each) < ord(" ") and each != "\n" for each in content):
            raise NoteError("this is no signed note")
        signatures = tuple(_signature(line) for line in lines.removesuffix("\n").split("\n"))
        if len(signatures) > _MOST_SIGNATURES:
            raise NoteError("the note has too many signatures")
        return cls(text + "\n", signatures)

    def signed_by(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Return those of the keys that have signed it.

        Raises:
            NoteError: a signature that names one of the keys is wrong.

        """
        signers = []
        for key in keys:
            for signature in self.signatures:
                if (signature.name, signature.key_id) == (key.name, key.id):
                    self._verify(key, signature.value)
                    signers.append(key)
        return signers

    def _verify(self, key: VerifierKey, value: bytes) -> None:
        message = self.text.encode()
        if key.kind == COSIGNATURE:
            value, seconds = value[8:], int.from_bytes(value[:8], "big")
            message = f"cosignature/v1\ntime {seconds}\n".encode() + message
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(value, message)
        except InvalidSignature:
            raise NoteError(f"the signature of {key.name} is wrong") from None


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: the log's name, how many entries it has, and the root of their tree.

    `epoch`: the epoch of the database that signed it; an extension line states it once a restore was dealt with.
    `signed_at`: when it was signed, in another such line; of two heads of a log the later one never has fewer entries.
    """

    origin: str
    size: int
    root: bytes
    epoch: int = 1
    signed_at: datetime | None = None

    @property
    def text(self) -> str:
        """The text that is signed."""
        head = f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
        head += "" if self.epoch == 1 else f"{_EPOCH}{self.epoch}\n"
        return head if self.signed_at is None else f"{head}{_SIGNED}{self.signed_at.isoformat()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note as a checkpoint; of the lines after the third, only epoch and time are read.

        Raises:
            NoteError: the text is no checkpoint.

        """
        lines = text.split("\n")
        if len(lines) < _LINES or not lines[0] or not lines[1].isascii() or not lines[1].isdigit():
            raise NoteError("this is no checkpoint")
        size, root = int(lines[1]), _base64(lines[2])
        if str(size) != lines[1] or len(root) != _HASH_BYTES:
            raise NoteError("this is no checkpoint")
        epoch = next((each.removeprefix(_EPOCH) for each in lines[3:] if each.startswith(_EPOCH)), "1")
        signed = next((each.removeprefix(_SIGNED) for each in lines[3:] if each.startswith(_SIGNED)), None)
        return cls(lines[0], size, root, int(epoch[:9]) if epoch.isascii() and epoch.isdigit() else 1, _instant(signed))


def _instant(text: str | None) -> datetime | None:
    """The time of a checkpoint; None if it states no time, or one that is malformed or has no zone."""
    try:
        at = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def contradiction(one: Checkpoint, other: Checkpoint) -> str | None:
    """Why no honest log can have signed both heads; None if one can, or they are of two logs.

    The heads of an honest log agree: those of one size have one root, and a later head has no fewer entries.
    """
    if one.origin != other.origin:
        return None
    if one.size == other.size:
        return None if one.root == other.root else f"{one.origin} was forked: of {one.size} entries it has two heads"
    few, many = sorted((one, other), key=lambda each: each.size)
    if few.signed_at is None or many.signed_at is None or many.signed_at >= few.signed_at:
        return None
    return (
        f"{one.origin} was set back: it had {many.size} entries at {many.signed_at.isoformat()}, "
        f"and {few.size} at {few.signed_at.isoformat()}"
    )


def opened(content: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of these keys has signed, of the log that has that key's name.

    Raises:
        NoteError: it is no checkpoint of such a log, none of the keys has signed it, or a signature is wrong.

    """
    note = Note.parse(content)
    names = {each.name for each in note.signed_by(keys)}
    if not names:
        raise NoteError("the checkpoint is not signed by a key that is trusted")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin not in names:
        raise NoteError(f"the checkpoint is of another log, {checkpoint.origin}")
    return checkpoint


def _is_name(name: str) -> bool:
    """Whether a key may have that name: it has no spaces, no plus sign, and nothing that a terminal would interpret."""
    return bool(name) and name.isprintable() and not any(each.isspace() or each == "+" for each in name)


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
    value = _base64(encoded)
    if not line.startswith(_DASH) or not name or len(value) <= _ID_BYTES:
        raise NoteError("a signature line of the note is wrong")
    return Signature(name, value[:_ID_BYTES], value[_ID_BYTES:])


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("what should be base64 is not") from None


# A rotation leads from one key of a log to the next: a note that both have signed states that one replaces the other.
#
# Its text is the name of the log, the word `rotated`, and the two verifier keys, each on a line. It cannot be mistaken
# for a checkpoint, or a checkpoint for it: the second line of a checkpoint is a number.

_WORD = "rotated"
_ROTATION_LINES = 5
"""The lines of that text when split: name, word, two keys, and the empty text after the last newline."""


def rotation_text(old: VerifierKey, new: VerifierKey) -> str:
    """The text that both keys sign."""
    return f"{old.name}\n{_WORD}\n{old}\n{new}\n"


def rotation_of(content: str) -> tuple[VerifierKey, VerifierKey]:
    """The old key and the new one in a note that both have signed.

    Raises:
        NoteError: it is no such note, or a signature is missing or wrong.

    """
    note = Note.parse(content)
    lines = note.text.split("\n")
    if len(lines) != _ROTATION_LINES:
        raise NoteError("a rotation of keys is not what it should be")
    old, new = VerifierKey.parse(lines[2]), VerifierKey.parse(lines[3])
    alike = old.name == new.name and {old.kind, new.kind} == {SIGNATURE}
    if not alike or note.text != rotation_text(old, new):
        raise NoteError("a rotation of keys is not what it should be")
    if not {old, new} <= set(note.signed_by([old, new])):
        raise NoteError("a rotation of keys is not signed by both")
    return old, new


def followed(trusted: Sequence[VerifierKey], rotations: Iterable[str]) -> list[VerifierKey]:
    """The trusted keys, and the keys that replaced them by these rotations, which stand in order.

    Raises:
        NoteError: a rotation is not what it should be.

    """
    keys = list(trusted)
    for old, new in map(rotation_of, rotations):
        if old in keys and new not in keys:
            keys.append(new)
    return keys
