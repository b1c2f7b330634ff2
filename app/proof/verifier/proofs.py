"""Checks that an entry stands in a log, by a proof as c2sp.org/tlog-proof writes it."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from app.proof.verifier.notes import NoteError, VerifierKey, opened
from app.proof.verifier.trees import is_included

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = "index "


@dataclass(frozen=True)
class LogProof:
    """The place of an entry, the hashes that lead from it to a root, and the checkpoint that has that root."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str) -> "LogProof":
        """Read the text form; a line of extra data is left aside.

        Raises:
            NoteError: it is not that.

        """
        head, blank, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if lines and lines[0].startswith("extra "):
            lines = lines[1:]
        number = lines[0].removeprefix(_INDEX) if lines and lines[0].startswith(_INDEX) else ""
        if first != _FIRST or not blank or not number.isascii() or not number.isdigit() or str(int(number)) != number:
            raise NoteError("this is no proof of a log")
        try:
            hashes = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
        except (binascii.Error, ValueError):
            raise NoteError("a hash of the proof is no base64") from None
        return cls(int(number), hashes, checkpoint)

    def holds(self, leaf: bytes, keys: Iterable[VerifierKey]) -> bool:
        """Whether an entry of that leaf hash stands in the log of one of these keys.

        Raises:
            NoteError: the checkpoint is not signed by a key that is trusted.

        """
        head = opened(self.checkpoint, keys)
        return is_included(leaf, self.index, head.size, self.hashes, head.root)
