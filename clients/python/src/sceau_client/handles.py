"""Opaque handles of correspondences, which Sceau gets in the place of message ids.

A handle is HMAC-SHA-256, under a secret that only the mail or chat server has, over the message and the user, cut to
128 bits. A handle reveals neither its message, nor that two users had the same message.
"""

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from sceau_client.questions import Correspondence, Parties, Subject
from sceau_client.words import Channel

_CONTEXT: Final = b"sceau-client handle 1"
_SHORTEST_SECRET: Final = 32
_BYTES: Final = 16


class HandleMaker:
    """Makes handles with one secret, of at least 32 random bytes.

    Protect the secret as you protect message ids, and never give it to Sceau. Another secret makes other handles. No
    decision depends on a handle, only the correlation of decisions about one message of one user.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Use a secret (`ValueError` when it is shorter than 32 bytes)."""
        if not isinstance(secret, bytes):
            raise TypeError("the secret is bytes")
        if len(secret) < _SHORTEST_SECRET:
            raise ValueError("the secret has at least 32 bytes: secrets.token_bytes(32)")
        self._secret = secret

    @classmethod
    def from_file(cls, path: str | Path) -> "HandleMaker":
        """Use the secret in a file, in hexadecimal; a missing file is made, readable by its owner only."""
        file = Path(path)
        if not file.exists():
            _make_secret(file)
        return cls(bytes.fromhex(file.read_text(encoding="ascii")))

    def correspondence(
        self,
        message: str | bytes,
        *,
        parties: Parties | None = None,
        channel: Channel = Channel.ONLINE,
        private: bool = True,
        territory: str = "FR",
    ) -> Correspondence:
        """A message, by any id that your server has for it (a queue id, a Message-ID, an event id)."""
        inner = _bytes(message)

        def handle(user: Subject) -> str:
            parts = (_CONTEXT, inner, _bytes(user.type), _bytes(user.id))
            said = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
            return hmac.digest(self._secret, said, sha256)[:_BYTES].hex()

        return Correspondence(handle=handle, parties=parties, channel=channel, private=private, territory=territory)


def _make_secret(file: Path) -> None:
    """Write a new secret, unless another process was faster: then its secret stays."""
    descriptor, made = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as new:
            new.write(secrets.token_hex(_SHORTEST_SECRET) + "\n")
        with suppress(FileExistsError):
            os.link(made, file)
    finally:
        Path(made).unlink()


def _bytes(text: str | bytes) -> bytes:
    # What came over SMTP may hold bytes that are no UTF-8, as lone surrogates: they are no reason to fail here.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
