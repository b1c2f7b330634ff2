"""Verify webhooks of Sceau (Standard Webhooks 1.0.0): their sender, and that they are recent.

Keys that begin with `whpk_` are public (Ed25519, needs `sceau-client[webhooks]`), those with `whsec_` shared secrets.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, Final

_TOLERANCE: Final = 300.0
_PUBLIC, _SECRET = "whpk_", "whsec_"
_RAW_BYTES: Final = 32


class InvalidWebhookError(Exception):
    """A message is not Sceau's, or too old; the message says why, and nothing of what was sent."""


class WebhookVerifier:
    """Verifies messages with the keys of one receiver, as Sceau shows them; several while one replaces another."""

    def __init__(self, keys: Collection[str], *, receiver: str | None = None, tolerance: float = _TOLERANCE) -> None:
        """Keep the keys.

        Args:
            keys: texts that begin with `whpk_` or `whsec_`.
            receiver: the id of your endpoint. Public keys sign for every receiver of a deployment: without it another
                one could hand you what it was sent.
            tolerance: how many seconds a message may be old, or ahead of this machine's clock.

        Raises:
            ValueError: there is no key, or one is none.

        """
        if isinstance(keys, str) or not keys:
            raise ValueError("keys are a collection, of one at least")
        self._tolerance, self._receiver = tolerance, receiver
        self._secrets = [_raw(each, _SECRET) for each in keys if each.startswith(_SECRET)]
        self._public = [_public_key(_raw(each, _PUBLIC)) for each in keys if each.startswith(_PUBLIC)]
        if len(self._secrets) + len(self._public) != len(keys):
            raise ValueError(f"a key begins with {_PUBLIC} or {_SECRET}")

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> dict[str, Any]:
        """The event of a message: CloudEvents 1.0.

        Args:
            headers: those of the request; their names in any case.
            body: exactly what came, not parsed and written again.
            now: seconds since 1970; this machine's clock when left out.

        Raises:
            InvalidWebhookError: it is not to be believed.

        """
        named = {name.lower(): value for name, value in headers.items()}
        try:
            message, stamp = named["webhook-id"], named["webhook-timestamp"]
            signatures = named["webhook-signature"].split(" ")
        except KeyError:
            raise InvalidWebhookError("a header of the signature is missing") from None
        if not (stamp.isascii() and stamp.isdecimal()):
            raise InvalidWebhookError("its time is none")
        if abs((time.time() if now is None else now) - int(stamp)) > self._tolerance:
            raise InvalidWebhookError("it is too old, or this machine's clock is wrong")
        signed = f"{message}.{stamp}.".encode() + body
        if not any(self._is_good(*each.partition(",")[::2], signed) for each in signatures):
            raise InvalidWebhookError("no signature is good")
        event = json.loads(body)
        if not isinstance(event, dict) or event.get("id") != message:
            raise InvalidWebhookError("its event is another one than it says")
        if self._receiver is not None and event.get("receiver") != self._receiver:
            raise InvalidWebhookError("it was sent to another receiver")
        return event

    def _is_good(self, version: str, text: str, signed: bytes) -> bool:
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return False
        if version == "v1":
            return any(hmac.compare_digest(hmac.digest(each, signed, sha256), signature) for each in self._secrets)
        return version == "v1a" and any(_verifies(each, signature, signed) for each in self._public)


def _raw(text: str, prefix: str) -> bytes:
    try:
        raw = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key is not base64") from None
    if len(raw) < _RAW_BYTES - 8:
        raise ValueError("a key is too short")
    return raw


def _public_key(raw: bytes) -> Any:  # noqa: ANN401 - cryptography is there only where public keys are used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    return Ed25519PublicKey.from_public_bytes(raw)


def _verifies(key: Any, signature: bytes, signed: bytes) -> bool:  # noqa: ANN401 - as `_public_key` gives it
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
