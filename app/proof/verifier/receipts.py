"""Checks a receipt: a compact JWS with EdDSA (RFC 7515, RFC 8037), the entry that it opens, its proof in the log."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.proof.verifier.bodies import Findings, UnreadableError, commits, differences, parsed
from app.proof.verifier.bundles import Beside, PromisedAct
from app.proof.verifier.notes import NoteError, VerifierKey, opened
from app.proof.verifier.trees import LogProof, leaf_hash

RECEIPT_TYPE = "sceau-consent-receipt+jwt"
_PARTS = 3
_SAID = {
    "dpv:ConsentGiven": "consent given",
    "dpv:ConsentRefused": "consent refused",
    "dpv:ConsentWithdrawn": "consent withdrawn",
}
RECEIPTS = "/receipts"
"""The end of the name of a key that signs receipts. The name of a log's key ends differently."""


@dataclass(frozen=True)
class SignedReceipt:
    """A receipt, split into its parts. `signer`: the key that it names; `log`: its entry with proof, or None.

    `size`: how many entries the log had when the receipt was made, if its act had no entry yet.
    """

    signed: bytes
    signature: bytes
    signer: VerifierKey
    record: dict[str, Any]
    log: dict[str, str] | None
    size: int

    @classmethod
    def parse(cls, text: str) -> "SignedReceipt":
        """Split the JWS into its parts, without verifying anything.

        Raises:
            UnreadableError: it is no receipt.

        """
        parts = text.strip().split(".")
        if len(parts) != _PARTS:
            raise UnreadableError("it is no receipt")
        header, claims = _json(parts[0]), _json(parts[1])
        if header.get("typ") != RECEIPT_TYPE or header.get("alg") != "EdDSA":
            raise UnreadableError("it is no receipt of Sceau")
        try:
            signer = VerifierKey.parse(str(header.get("kid")))
        except NoteError as error:
            raise UnreadableError("the receipt names no key") from error
        signed, size = f"{parts[0]}.{parts[1]}".encode(), int(claims.get("log_size", 0))
        return cls(signed, _octets(parts[2]), signer, _record(claims), claims.get("log"), size)

    def is_signed(self) -> bool:
        """Whether the key that it names has signed it, and is by its name a key that signs receipts."""
        try:
            Ed25519PublicKey.from_public_bytes(self.signer.public).verify(self.signature, self.signed)
        except InvalidSignature:
            return False
        return self.signer.name.endswith(RECEIPTS)

    def _origin(self) -> str:
        """The name of the log of the deployment that signed it."""
        return self.signer.name.removesuffix(RECEIPTS) + "/ledger"

    def _is_consent(self) -> bool:
        return bool(self.record["dpv:hasConsentStatus"][0]["@type"][0] == "dpv:ConsentGiven")

    def stand_beside(self, file: str, beside: Beside, trusted: list[VerifierKey]) -> None:
        """Add what it says of its log to `beside`: its head and entry, or the act that had no entry yet.

        If it is of a consent, the bundles of the run are asked whether that ended. A receipt that no trusted key has
        signed is ignored.
        """
        if self.signer not in trusted or not self.is_signed():
            return
        identifier, origin = self.record["dct:identifier"], self._origin()
        if self._is_consent():
            beside.consents |= {identifier}
        if self.log is None:
            act = PromisedAct(file, origin, self.record, self.size)
            beside.acts.setdefault(identifier, []).append(act)
            return
        proof, entry = LogProof.parse(self.log["proof"]), self.log["entry"].encode()
        head = opened(proof.checkpoint, [each for each in trusted if each.name == origin])
        if proof.leads_to(leaf_hash(entry), head):
            beside.heads.append((file, proof.checkpoint, False))
            beside.add_entry(file, origin, proof.index, entry)

    def check(
        self,
        trusted: list[VerifierKey],
        beside: Beside,
        file: str,
        ended: Mapping[tuple[str, str], str],
        parts: Sequence[tuple[str, int, int]],
    ) -> Findings:
        """Check it with the trusted keys of receipts and of the log.

        `ended`: what ended a consent, by log and id, as the good bundles of the run say; `parts`: what these hold.
        """
        report = Findings()
        signer = self.signer
        if not any(each.name.endswith(RECEIPTS) for each in trusted) and signer.name.endswith(RECEIPTS):
            report.missing.append(f"no key of receipts was given: the receipt's own was taken (compare: {signer})")
        elif signer not in trusted or not signer.name.endswith(RECEIPTS):
            report.wrong.append(f"the receipt is signed by a key that is not trusted: {signer}")
            return report  # another party wrote the rest of it
        if not self.is_signed():
            report.wrong.append("the signature of the receipt is wrong: it was changed")
            return report
        report.checked += [f"signed by {signer.name}", f"it tells: {self._summary()}"]
        if self.log is None:
            report.missing.append("the entry in the log: it was not there yet, or its body was destroyed")
        else:
            self._check_entry(self.log, trusted, beside, file, report)
        origin = self._origin()
        if (by := ended.get((origin, self.record["dct:identifier"]))) is not None:
            self._tell_of_end(by, report)
        elif self._is_consent():
            report.missing.append("whether the consent still stands: a receipt does not say that")
        place = LogProof.parse(self.log["proof"]).index if self.log is not None else -1
        if not any(name == origin and first <= place < size for name, first, size in parts):
            report.missing.append(
                "what the register said (purpose, recipients, how long, controllers): a bundle proves that"
            )
        return report

    def _summary(self) -> str:
        """What the person did, about which processing, and when."""
        process, status = self.record.get("dpv:hasProcess") or {}, self.record["dpv:hasConsentStatus"][0]
        act, about = _SAID.get(status["@type"][0], "an act"), process.get("dct:identifier") or "every processing"
        return f"{act}, {about}, {status['dpv:isIndicatedAtTime']}"

    def _tell_of_end(self, by: str, report: Findings) -> None:
        """Report that the consent has ended. A receipt that states this itself is still good."""
        if len(self.record["dpv:hasConsentStatus"]) > 1:
            report.checked.append(f"the consent ended by {by}, as the receipt says too")
        else:
            report.over.append(f"the consent does not stand any more: it ended by {by}")

    def _check_entry(
        self, log: dict[str, str], trusted: list[VerifierKey], beside: Beside, file: str, report: Findings
    ) -> None:
        entry, body = parsed(log["entry"]), log["body"].encode()
        if entry["kind"] != "consent_event" or not commits(entry["commitment"], log["salt"], body):
            report.wrong.append("what the receipt says is not what its entry in the log commits to")
            return
        for line in differences(parsed(body), self.record):
            report.wrong.append(f"the receipt and the log differ: {line}")
        report.checked.append(f"the entry of {entry['at']} commits to what the receipt says")
        keys = [each for each in trusted if each.name == self._origin()]
        if not keys:
            report.missing.append(
                "the proof that the entry stands in the log: give the key of the same deployment's log"
            )
            return
        proof = LogProof.parse(log["proof"])
        try:
            head = opened(proof.checkpoint, keys)
        except NoteError:
            report.wrong.append("the proof is of a log whose key is not trusted")
            return
        beside.known[file, head] = None
        if proof.leads_to(leaf_hash(log["entry"].encode()), head):
            report.checked.append(f"the entry stands in the log, as number {proof.index}")
        else:
            report.wrong.append("the entry does not stand in the log")


def body_in(text: str) -> tuple[str, bytes] | None:
    """The commitment in a receipt's entry, and the body; None if it has no entry, or the body does not match."""
    log = SignedReceipt.parse(text).log
    if log is None:
        return None
    commitment, body = parsed(log["entry"])["commitment"], log["body"].encode()
    return (commitment, body) if commits(commitment, log["salt"], body) else None


def _record(claims: dict[str, Any]) -> dict[str, Any]:
    with suppress(KeyError, ValueError, TypeError):
        receipt = claims["receipt"]
        (record,) = receipt["dpv:hasRecordOfActivity"]
        if receipt["@type"] == "dpv:ConsentReceipt" and isinstance(record, dict):
            return record
    raise UnreadableError("it is no consent receipt")


def _json(part: str) -> dict[str, Any]:
    octets = _octets(part)
    with suppress(ValueError):
        value = parsed(octets)
        if isinstance(value, dict):
            return value
    raise UnreadableError("a part of it is no object of JSON")


def _octets(part: str) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2), and accept only the one canonical form."""
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("a part of it is no base64url") from error
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != part:
        raise UnreadableError("a part of it is no base64url")
    return octets
