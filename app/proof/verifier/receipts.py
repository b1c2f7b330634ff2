"""Checks a receipt: a compact JWS with EdDSA (RFC 7515, RFC 8037), the entry that it opens, its proof in the log."""

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.proof.verifier.bodies import Findings
from app.proof.verifier.bundles import UnreadableError
from app.proof.verifier.notes import NoteError, VerifierKey
from app.proof.verifier.trees import LogProof, leaf_hash

RECEIPT_TYPE = "sceau-consent-receipt+jwt"
_PARTS = 3
RECEIPTS = "/receipts"
"""What the name of a key of receipts ends with; a key of the log has another."""


def consent_of(text: str) -> str | None:
    """The id of the consent that a receipt is of; None where the text is none."""
    try:
        return str(_record(_json(text.strip().split(".")[1]))["dct:identifier"])
    except (UnreadableError, IndexError, KeyError):
        return None


def check_receipt(text: str, trusted: list[VerifierKey], ended: dict[str, str]) -> Findings:
    """Check a receipt with the keys that are trusted: of receipts, and of the log. `ended`: as bundles beside it say.

    Raises:
        UnreadableError: it is no receipt.

    """
    found = Findings()
    parts = text.strip().split(".")
    if len(parts) != _PARTS:
        raise UnreadableError("it is no receipt")
    header, claims = _json(parts[0]), _json(parts[1])
    if header.get("typ") != RECEIPT_TYPE or header.get("alg") != "EdDSA":
        raise UnreadableError("it is no receipt of Sceau")
    _check_signature(header, parts, trusted, found)
    if found.wrong:
        return found  # what stands in it is somebody else's
    record = _record(claims)
    log = claims.get("log")
    if log is None:
        found.missing.append("the entry in the log: it was not there yet, or its body was destroyed")
    else:
        _check_entry(log, record, str(header["kid"]).partition("+")[0], trusted, found)
    if (by := ended.get(record["dct:identifier"])) is not None:
        found.wrong.append(f"the consent does not stand any more: it ended by {by}")
    found.missing.append("what the register said (purpose, recipients, how long, controllers): a bundle proves that")
    found.missing.append("whether the consent still stands: a receipt does not say that")
    return found


def _check_signature(header: dict[str, Any], parts: list[str], trusted: list[VerifierKey], found: Findings) -> None:
    try:
        named = VerifierKey.parse(str(header.get("kid")))
    except NoteError as error:
        raise UnreadableError("the receipt names no key") from error
    if not any(each.name.endswith(RECEIPTS) for each in trusted) and named.name.endswith(RECEIPTS):
        found.missing.append(f"no key of receipts was given: the receipt's own was taken (compare: {named})")
    elif named not in trusted or not named.name.endswith(RECEIPTS):
        found.wrong.append(f"the receipt is signed by a key that is not trusted: {named}")
        return
    try:
        Ed25519PublicKey.from_public_bytes(named.public).verify(_octets(parts[2]), f"{parts[0]}.{parts[1]}".encode())
    except InvalidSignature:
        found.wrong.append("the signature of the receipt is wrong: it was changed")
    else:
        found.checked.append(f"signed by {named.name}")


def _check_entry(
    log: dict[str, str], record: dict[str, Any], signer: str, trusted: list[VerifierKey], found: Findings
) -> None:
    entry, salt, body = json.loads(log["entry"]), bytes.fromhex(log["salt"]), log["body"].encode()
    if hashlib.sha256(salt + body).hexdigest() != entry["commitment"]:
        found.wrong.append("what the receipt says is not what its entry in the log commits to")
        return
    for line in _differences(json.loads(body), record):
        found.wrong.append(f"the receipt and the log differ: {line}")
    found.checked.append(f"the entry of {entry['at']} commits to what the receipt says")
    keys = [each for each in trusted if each.name == signer.removesuffix(RECEIPTS) + "/ledger"]
    if not keys:
        found.missing.append("the proof that the entry stands in the log: give the key of the same deployment's log")
        return
    proof = LogProof.parse(log["proof"])
    try:
        holds = proof.holds(leaf_hash(log["entry"].encode()), keys)
    except NoteError:
        found.wrong.append("the proof is of a log whose key is not trusted")
        return
    if holds:
        found.checked.append(f"the entry stands in the log, as number {proof.index}")
    else:
        found.wrong.append("the entry does not stand in the log")


def _differences(body: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """What of a record does not follow from the body that the log committed to."""
    status, process = record["dpv:hasConsentStatus"][0], record["dpv:hasProcess"]
    given = status["@type"] == ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"]
    evidence, notice = body["evidence"] or {}, record["dpv:hasNotice"]
    expires = status.get("dpv:hasDuration", {}).get("dct:valid")
    wanted = {
        "the consent": (record["dct:identifier"], body["id"]),
        "the person": (record["dpv:hasDataSubject"]["dct:identifier"], body["subject_ref"]),
        "the processing": (process["dct:identifier"], body["processing"]),
        "its version": (process["dct:hasVersion"], body["version"]),
        "the decision": (given, body["kind"] == "granted"),
        "the refusal": (status["@type"] == ["dpv:ConsentRefused"], body["kind"] == "refused"),
        "how it was given": (status["dpv:hasIndicationMethod"], evidence.get("method") or "unknown"),
        "the text that was shown": (notice.get("schema:sha256"), evidence.get("presented_text_sha256")),
        "its language": (notice["dct:language"], evidence.get("language") or "fr"),
        "when it was collected": (_second(status["dpv:isIndicatedAtTime"]), _second(body["collected_at"])),
        "when it expires": (_second(expires), _second(body["expires_at"])),
    }
    return [what for what, (said, known) in wanted.items() if said != known]


def _second(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def _record(claims: dict[str, Any]) -> dict[str, Any]:
    try:
        receipt = claims["receipt"]
        if receipt["@type"] != "dpv:ConsentReceipt":
            raise UnreadableError("it is no consent receipt")
        (record,) = receipt["dpv:hasRecordOfActivity"]
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableError("it is no consent receipt") from error
    if not isinstance(record, dict):
        raise UnreadableError("it is no consent receipt")
    return record


def _json(part: str) -> dict[str, Any]:
    try:
        said = json.loads(_octets(part))
    except ValueError as error:
        raise UnreadableError("a part of it is no JSON") from error
    if not isinstance(said, dict):
        raise UnreadableError("a part of it is no object")
    return said


def _octets(part: str) -> bytes:
    """Base64url without padding, in the one form that it has (RFC 7515, section 2)."""
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("a part of it is no base64url") from error
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != part:
        raise UnreadableError("a part of it is no base64url")
    return octets
