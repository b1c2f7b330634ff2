"""Follows a log from one key to the next: a note that both have signed says that the one follows the other.

Its text is the name of the log, the word `rotated`, and the two verifier keys, each in a line. It is no checkpoint, and
no checkpoint is one: the second line of a checkpoint is a number.
"""

from collections.abc import Iterable, Sequence

from app.proof.verifier.notes import SIGNATURE, Note, NoteError, VerifierKey

_WORD = "rotated"
_ROTATION_LINES = 5
"""Of the text: name, word, two keys, and nothing behind the last newline."""


def rotation_text(old: VerifierKey, new: VerifierKey) -> str:
    """What both keys sign."""
    return f"{old.name}\n{_WORD}\n{old}\n{new}\n"


def rotation_of(content: str) -> tuple[VerifierKey, VerifierKey]:
    """The old key and the new one, of a note that both have signed.

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
    """The keys that are trusted, and those that follow them.

    Raises:
        NoteError: a rotation is not what it should be.

    """
    known = list(trusted)
    for old, new in map(rotation_of, rotations):
        if old in known and new not in known:
            known.append(new)
    return known
