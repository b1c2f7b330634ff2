"""Checks a time-stamp (RFC 3161): that an authority has signed that some bytes were there at some time.

The library `rfc3161-client` checks it, where that is installed. Without the library nothing is said of a time-stamp but
how to check it with OpenSSL.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec

from cryptography.x509 import Certificate, ObjectIdentifier

_LIBRARY = "rfc3161_client"
_GRANTED = 0
_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


class StampError(Exception):
    """A time-stamp is not what it should be; the message is a word of `STAMP_FAULTS`."""


STAMP_FAULTS = {
    "refused": "the authority has refused it",
    "form": "it is no time-stamp",
    "imprint": "it is of something else",
    "nonce": "it answers another request",
    "policy": "it is given under another policy",
    "signature": "no authority that is trusted has signed it",
}


@dataclass(frozen=True)
class StampTerms:
    """What a time-stamp must be. `roots`: who is trusted. `nonce`, `policy`: those that it must have; None: any."""

    roots: Sequence[Certificate]
    nonce: int | None = None
    policy: ObjectIdentifier | None = None


@dataclass(frozen=True)
class Stamp:
    """When an authority has signed, and under which of its policies."""

    at: datetime
    policy: str


def can_check_stamps() -> bool:
    """Whether the library is there that checks signatures."""
    return find_spec(_LIBRARY) is not None


def stamp_of(answer: bytes, content: bytes, terms: StampTerms) -> Stamp:
    """What an authority has signed of a content: that it was there at a time.

    The certificates must have been in force at that time. Whether one was revoked is not looked at.

    Args:
        answer: a TimeStampResp, in DER.
        content: what is stamped, by its SHA-256.
        terms: what the answer must be.

    Raises:
        StampError: it is not that.

    """
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response  # noqa: PLC0415

    try:
        response = decode_timestamp_response(answer)
        if response.status != _GRANTED:
            raise StampError("refused")
        info = response.tst_info
        imprint = info.message_imprint
        if (imprint.hash_algorithm, imprint.message) != (_SHA256, hashlib.sha256(content).digest()):
            raise StampError("imprint")
        if terms.nonce is not None and info.nonce != terms.nonce:
            raise StampError("nonce")
        if terms.policy is not None and info.policy != terms.policy:
            raise StampError("policy")
        # The library adds to a list that it is given.
        VerifierBuilder(roots=list(terms.roots)).build().verify_message(response, content)
    except VerificationError:
        raise StampError("signature") from None
    except (ValueError, TypeError, OverflowError):
        raise StampError("form") from None
    return Stamp(info.gen_time, info.policy.dotted_string)
