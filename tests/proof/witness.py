"""A witness for tests (c2sp.org/tlog-cosignature)."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.proof.verifier.notes import COSIGNATURE, Note, VerifierKey

SEEN_AT = 1_790_000_000


class Witness:
    """An outside party with its own key, which cosigns what it sees."""

    def __init__(self, name):
        """Make a key."""
        self.private = Ed25519PrivateKey.generate()
        self.key = VerifierKey(name, COSIGNATURE, self.private.public_key().public_bytes_raw())

    def cosigned(self, note, *, signed=SEEN_AT, stated=SEEN_AT):
        """A note with a cosignature behind it. `signed`: the time that is signed; `stated`: the one that it states."""
        message = f"cosignature/v1\ntime {signed}\n{Note.parse(note).text}"
        value = self.key.id + stated.to_bytes(8, "big") + self.private.sign(message.encode())
        return f"{note}— {self.key.name} {base64.b64encode(value).decode()}\n"
