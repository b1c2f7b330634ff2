"""Receipts: what a person or an auditor is given of one consent, and how it is made."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import DECISIONS, ConsentEvent, EventKind, GivenBy
from app.core.errors import NotFoundError
from app.core.fold import CONSENTS, ConsentRow, account_of, accounts
from app.core.wording import COMPLAINTS, reached
from app.db.session import ReadSession, WriteSession, uuid7
from app.keyring import RECEIPT_KEYS, keys_in_force, signed_jws
from app.ledger.projection import LedgerEntry, load_rows
from app.ledger.store import find_entry, load_entries
from app.operations.proof.append_entries import name_of_log, receipts_name
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import opened
from app.proof import store
from app.proof.entries import body_of, subject_in_body
from app.proof.notes import tlog_proof
from app.proof.store import StoredCheckpoint
from app.proof.tree import inclusion_proof
from app.proof.verifier.bodies import MERGE_DELAY
from app.proof.verifier.notes import SIGNATURE, VerifierKey
from app.register.records import CONTEXT, PURPOSES, ControllerRecord, ProcessingRecord, VersionRecord
from app.register.store import load_controllers, load_processings


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry of the log, what opens it, and the proof that it stands there (c2sp.org/tlog-proof)."""

    entry: str
    salt: str
    body: str
    proof: str

    def json(self) -> dict[str, str]:
        """Return it as it stands in a receipt and on the wire."""
        return {"entry": self.entry, "salt": self.salt, "body": self.body, "proof": self.proof}


async def prove_consent(session: WriteSession, caller: Caller, identifier: UUID) -> EntryProof | None:
    """Return the proof of a decision; None while it is not in the log. The audit trail records which caller read it.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.

    """
    entry = await find_decision(session, caller, identifier)
    proof = await prove_event(session, identifier)
    if proof is not None:
        await record_reading(session, caller, entry)
    return proof


async def prove_event(session: ReadSession, identifier: UUID) -> EntryProof | None:
    """Return the proof of a consent event; None while it is not in the log, or once its salt was destroyed."""
    return await prove_entry(session, "consent_event", str(identifier))


async def prove_entry(
    session: ReadSession, kind: str, identifier: str, head: StoredCheckpoint | None = None
) -> EntryProof | None:
    """Return the proof of a row of a queued kind; None while it is not in the log, or once its salt is gone.

    `head`: the checkpoint that the proof is to lead to; None for the first one that has the entry.
    """
    name = (kind, identifier)
    entry = await store.entry_named(session, *name)
    if entry is None or entry.salt is None:
        return None
    head = head or await store.latest_checkpoint(session, at_least=entry.position + 1)
    record = (await store.records(session, [name])).get(name)
    if head is None or record is None:
        return None
    position, size = entry.position, head.size
    proof = await store.from_tiles(session, lambda subtree: inclusion_proof(position, size, subtree))
    body = body_of(record, entry.salt).decode()
    return EntryProof(entry.content.decode(), entry.salt.hex(), body, tlog_proof(position, proof, head.note))


async def find_decision(session: ReadSession, caller: Caller, identifier: UUID) -> LedgerEntry:
    """Return a consent, a refusal or a withdrawal that the caller may see.

    Raises:
        NotFoundError: there is no such act, or the caller may not ask about its processing.

    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in DECISIONS or not caller.may_ask_about(entry.event.processing or ""):
        raise NotFoundError
    return entry


async def record_reading(session: WriteSession, caller: Caller, entry: LedgerEntry) -> None:
    """Record that a caller read an entry of a person's history."""
    target = Target(TargetKind.CONSENT, str(entry.event.id), entry.subject_ref)
    await record_act(
        session, ActKind.CONSENT_HISTORY_READ, caller.id, target, {"processing": entry.event.processing or ""}
    )


# The words of a receipt: a record as ISO/IEC TS 27560 has it, in terms of the Data Privacy Vocabulary (DPV 2.2).
# The fields are those of the guide "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV"
# (https://w3id.org/dpv/guides/consent-27560). Pure: values in, JSON-LD out.

_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560"
_STATUSES: Final = {
    EventKind.GRANTED: "dpv:ConsentGiven",
    EventKind.REFUSED: "dpv:ConsentRefused",
    EventKind.WITHDRAWN: "dpv:ConsentWithdrawn",
    EventKind.CLOSED: "dpv:ConsentExpired",  # the account ended; the person did not say no
}
_GIVERS: Final = {
    GivenBy.SELF: ["dpv:DataSubject"],
    GivenBy.PARENT: ["dpv:ParentOfDataSubject"],
    GivenBy.BOTH: ["dpv:DataSubject", "dpv:ParentOfDataSubject"],
    GivenBy.ADMINISTRATOR: ["dpv:Entity"],  # an administrator's word is no consent
}
_LAWS: Final = (
    "legal-eu:law-GDPR",
    # DPV has no term for this code; the id is that of Légifrance.
    {
        "@id": "https://www.legifrance.gouv.fr/codes/id/LEGITEXT000006070987",
        "@type": "dpv:Law",
        "dct:title": "CPCE art. L32-3",
    },
)
_COMPLAINT: Final = "A77"
_RIGHTS: Final = {
    "A7-3": "Right to withdraw consent",
    "A15": "Right of access",
    "A16": "Right to rectification",
    "A17": "Right to erasure",
    "A18": "Right to restriction of processing",
    "A20": "Right to data portability",
    _COMPLAINT: "Right to lodge a complaint with a supervisory authority",
}
_NOT_AN_ANSWER: Final = (
    "This receipt says what was recorded, and when. It does not say whether the consent still stands, and nobody may "
    "analyse correspondence because of it: that is asked of the service, each time."
)


@dataclass(frozen=True, slots=True)
class DecidedAbout:
    """The processing that a person decided about, and its version; for a withdrawal, the version of that time."""

    processing: ProcessingRecord
    version: VersionRecord


@dataclass(frozen=True, slots=True)
class ConsentReceipt:
    """One receipt, with the records that it rests on.

    `service` is the public address. `person` stands for the person, as in the log's entry. `row` says what ended the
    decision, if anything did. `about`: None for a withdrawal from every processing, whose `controllers` are those of
    all that the person had decided about. `acts`: what was said, and what the other side of a joint consent said
    before. `is_completed`: whether the other side said it afterwards.
    """

    id: UUID
    made_at: datetime
    service: str
    entry: LedgerEntry
    person: str
    row: ConsentRow | None
    about: DecidedAbout | None
    controllers: Sequence[ControllerRecord]
    acts: Sequence[ConsentEvent]
    is_completed: bool

    def json_ld(self) -> dict[str, Any]:
        """Return the receipt as JSON-LD."""
        return {
            "@context": CONTEXT,
            "@id": f"urn:uuid:{self.id}",
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": f"{_SCHEMA}#receipt-eu-gdpr",
            "dpv:hasIdentifier": str(self.id),
            "dct:created": _time(self.made_at),
            "dct:description": _NOT_AN_ANSWER,
            "dpv:hasRecordOfActivity": [self.record()],
        }

    def record(self) -> dict[str, Any]:
        """Return the record in it."""
        event, where = self.entry.event, self._where()
        return {
            "@id": f"urn:uuid:{event.id}",
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": f"{_SCHEMA}#record-eu-gdpr",
            "dct:identifier": str(event.id),
            "dct:created": _time(self.entry.recorded_at),
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": self.person},
            **({"dpv:hasNotice": self._notice(self.about)} if event.kind in CONSENTS and self.about else {}),
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a",
            "dpv:hasApplicableLaw": list(_LAWS),
            "dpv:hasJurisdiction": "loc:FR",
            "dpv:hasDataController": [_controller(each) for each in self.controllers],
            **({"dpv:hasProcess": self._process(self.about)} if self.about else {}),
            "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": where},
            "dpv:hasRight": [
                {
                    "@type": ["dpv:DataSubjectRight", f"eu-gdpr:{name}"],
                    "dct:title": title,
                    "dpv:isExercisedAt": [f"https://{COMPLAINTS}"] if name == _COMPLAINT else where,
                }
                for name, title in _RIGHTS.items()
            ],
            "dpv:hasConsentStatus": self._statuses(),
        }

    def _where(self) -> list[str | dict[str, str]]:
        """Return where a right is exercised: at the controller's contact, and through a link that the service makes.

        A contact that is an address is given as its IRI (`mailto:`, `tel:`, `https:`), any other one in words.
        """
        contact = self.about.version.contact if self.about is not None else None
        if not contact:
            return [self.service]
        leads = next((mark.address for mark in reached(contact) if mark.text == contact), None)
        return [leads or {"@type": "dpv:RightExerciseNotice", "dct:description": contact}, self.service]

    def _notice(self, about: DecidedAbout) -> dict[str, Any]:
        """Return the text that was shown: its SHA-256 where the evidence has one, and its version in the register."""
        evidence = self.entry.evidence or {}
        return {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": f"{about.processing.id}/{evidence.get('notice_version') or about.version.facts.number}",
            "dct:language": evidence.get("language") or "fr",
            **({"schema:sha256": evidence["presented_text_sha256"]} if evidence.get("presented_text_sha256") else {}),
        }

    def _process(self, about: DecidedAbout) -> dict[str, Any]:
        """Return the processing; for a withdrawal, without a version."""
        facts, names = about.version.facts, about.version.name
        language = str((self.entry.evidence or {}).get("language") or "fr").split("-")[0]
        storage: list[dict[str, Any]] = []
        if facts.retention is not None:
            storage.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": str(facts.retention)})
        if facts.storage_location:
            storage.append({"@type": "dpv:StorageLocation", "dpv:hasLocation": facts.storage_location})
        return {
            "@type": "dpv:Process",
            "dct:identifier": about.processing.id,
            "dct:title": names.get(language) or next(iter(names.values()), about.processing.id),
            **({"dct:hasVersion": facts.number} if self.entry.event.version is not None else {}),
            "dpv:hasService": facts.service,
            "dpv:hasPurpose": PURPOSES[about.processing.purpose],
            "dpv:hasProcessing": "dpv:Analyse",
            "dpv:hasPersonalData": [
                {"@type": "dpv:PersonalData", "dct:title": element} for element in sorted(facts.elements)
            ],
            "dpv:hasRecipient": sorted(each.name for each in facts.recipients)
            or [each.legal_name for each in self.controllers],
            "dpv:hasStorageCondition": storage,
        }

    def _statuses(self) -> list[dict[str, Any]]:
        event, row = self.entry.event, self.row
        kind = ["dpv:ExplicitlyExpressedConsent"] if event.kind is EventKind.GRANTED else []
        first: dict[str, Any] = {
            "@type": [_STATUSES[event.kind], *kind],
            "dpv:isIndicatedBy": _GIVERS[event.collection.given_by],
            "dpv:hasIndicationMethod": (self.entry.evidence or {}).get("method") or "unknown",
            "dpv:isIndicatedAtTime": _time(event.collected_at),
        }
        if event.expires_at is not None:
            first["dpv:hasDuration"] = {"@type": "dpv:TemporalDuration", "dct:valid": _time(event.expires_at)}
        statuses = [first, *self._invalidated()]
        if row is None or row.ended_by is None or row.ended_at is None:
            return statuses
        renewed = (event.kind, row.ended_by) == (EventKind.GRANTED, EventKind.GRANTED)
        if renewed and self.is_completed:
            return statuses  # the second act of a joint consent ended nothing
        ended = "dpv:RenewedConsentGiven" if renewed else _STATUSES[row.ended_by]
        return [*statuses, {"@type": [ended], "dpv:isIndicatedAtTime": _time(row.ended_at)}]

    def _invalidated(self) -> list[dict[str, Any]]:
        """Return the status of an invalidation that came before anything ended the consent; empty without one."""
        event, ended = self.entry.event, self.row.ended_at if self.row is not None else None
        if event.kind is not EventKind.GRANTED or self.about is None:
            return []
        acts = [(act.version or 0, act.collection.text) for act in self.acts]
        struck = [each.at for each in self.about.processing.invalidations if any(each.strikes(*act) for act in acts)]
        return [
            {"@type": ["dpv:ConsentInvalidated"], "dpv:isIndicatedAtTime": _time(at)}
            for at in struck[:1]
            if ended is None or at < ended
        ]


def _controller(record: ControllerRecord) -> dict[str, Any]:
    latest = record.versions[-1]
    details = {
        "schema:address": latest.postal_address,
        "dpv:hasCountry": latest.country and f"loc:{latest.country}",
        "schema:contactPoint": latest.contact,
    }
    return {
        "@type": "dpv:DataController",
        "dpv:hasName": record.legal_name,
        "dpv:hasIdentifier": record.identifier or record.id,
        "schema:additionalType": "dpv:LegalEntity",
        "kind": record.kind,
        **{name: value for name, value in details.items() if value},
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


TYPE: Final = "sceau-consent-receipt+jwt"
"""The JWS's `typ`: a receipt is never taken for a decision, or for anything else that is signed (RFC 8725, 3.11)."""


async def make_receipt(
    session: WriteSession, deployment: Deployment, caller: Caller, identifier: UUID, *, service: str, origin: str
) -> tuple[str, Mapping[str, Any]]:
    """Return a receipt of a consent, a refusal or a withdrawal: as a compact JWS, and the JSON-LD in it.

    The audit trail records the caller that asked for it.

    Args:
        session: where to read.
        deployment: the one whose key signs.
        caller: the caller that asks.
        identifier: that of the consent event.
        service: the public address.
        origin: names the log where it has no checkpoint yet.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.
        VaultError: the master key that wraps the newest key of receipts is not held.

    """
    entry = await find_decision(session, caller, identifier)
    made = await signed_receipt(session, deployment, entry, service=service, origin=origin)
    await record_reading(session, caller, entry)
    return made


async def receipt_for_the_person(
    session: ReadSession, deployment: Deployment, ref: bytes, processing: str, *, service: str, origin: str
) -> str:
    """Return a receipt of the last decision of a person on a processing, as a compact JWS, for that person.

    Raises:
        NotFoundError: they decided nothing about it.
        VaultError: the master key that wraps the newest key of receipts is not held.

    """
    decided = [
        entry
        for entry in await load_entries(session, ref)
        if entry.event.concerns(processing) and entry.event.kind in DECISIONS
    ]
    if not decided:
        raise NotFoundError
    jws, _ = await signed_receipt(session, deployment, decided[-1], service=service, origin=origin)
    return jws


async def signed_receipt(
    session: ReadSession, deployment: Deployment, entry: LedgerEntry, *, service: str, origin: str
) -> tuple[str, Mapping[str, Any]]:
    """Return the receipt of an entry: as a compact JWS, and its JSON-LD. Arguments and errors as of `make_receipt`."""
    head = await store.latest_checkpoint(session)  # read first: an entry without a proof is not in this head
    proof = await prove_event(session, entry.event.id)
    receipt = receipt_of(await records_of(session, entry.subject_ref), entry, proof, service)
    json_ld = receipt.json_ld()
    key = (await keys_in_force(session, RECEIPT_KEYS, receipt.made_at))[0]
    private = Ed25519PrivateKey.from_private_bytes(opened(deployment, RECEIPT_KEYS, key))
    named = VerifierKey(receipts_name(await name_of_log(session, origin)), SIGNATURE, key.public)
    within = int(MERGE_DELAY.total_seconds())
    claims = {
        "iss": service,
        "iat": int(receipt.made_at.timestamp()),
        "jti": str(receipt.id),
        "receipt": json_ld,
        "log": proof.json() if proof is not None else None,
        **({} if proof is not None else {"entered_within": within, "log_size": head.size if head is not None else 0}),
    }
    return signed_jws(private, str(named), TYPE, claims), json_ld


@dataclass(frozen=True, slots=True)
class PersonRecords:
    """What the receipts of one person rest on, read together: a person may have given hundreds of consents.

    `acts`: what each grant consists of, by its id: two acts where it is a joint consent.
    """

    at: datetime
    events: Sequence[ConsentEvent]
    rows: Mapping[UUID, ConsentRow]
    register: Mapping[str, ProcessingRecord]
    controllers: Mapping[str, ControllerRecord]
    acts: Mapping[UUID, tuple[ConsentEvent, ...]]


async def records_of(session: ReadSession, ref: bytes) -> PersonRecords:
    """Read what a person's receipts rest on."""
    events, now = [each.event for each in await load_entries(session, ref)], await session.now()
    register = await load_processings(session, sorted({each.processing for each in events if each.processing}))
    versions = (version for record in register.values() for version in record.versions)
    controllers = await load_controllers(session, {who for version in versions for who in version.controllers})
    acts: dict[UUID, tuple[ConsentEvent, ...]] = {}
    for identifier in register:
        had = accounts(events, identifier, now)
        grants = [each for each in events if (each.kind, each.processing) == (EventKind.GRANTED, identifier)]
        acts |= {each.id: account_of(had, each).grant_of(each).acts for each in grants}
    return PersonRecords(now, events, await load_rows(session, ref), register, controllers, acts)


def receipt_of(records: PersonRecords, entry: LedgerEntry, proof: EntryProof | None, service: str) -> ConsentReceipt:
    """Return the receipt of an entry.

    Raises:
        NotFoundError: the register does not have what was decided about.

    """
    event = entry.event
    about = None if event.processing is None else _version_of(records, event.processing, event)
    named = {each.processing for each in records.events if each.order < event.order and each.processing is not None}
    decided_about = [about] if about is not None else [_version_of(records, each, event) for each in sorted(named)]
    controllers = {who for each in decided_about for who in each.version.controllers}
    # Without an entry in the log, the person gets a name that no other receipt has and that leads nowhere.
    salt = bytes.fromhex(proof.salt) if proof is not None else hashlib.sha256(event.id.bytes).digest()
    return ConsentReceipt(
        id=uuid7(records.at),
        made_at=records.at,
        service=service,
        entry=entry,
        person=subject_in_body(salt, entry.subject_ref),
        row=records.rows.get(event.id),
        about=about,
        controllers=tuple(record for name, record in records.controllers.items() if name in controllers),
        acts=records.acts.get(event.id, (event,)),
        # The other side of a joint consent acted after this one: it completed the consent, and renewed none.
        is_completed=any(act.id == event.id for acts in records.acts.values() for act in acts[:-1]),
    )


def _version_of(records: PersonRecords, processing: str, event: ConsentEvent) -> DecidedAbout:
    """Return the version of a processing that an act names, or the one in force when it was said.

    Raises:
        NotFoundError: the register does not have it.

    """
    record = records.register.get(processing)
    in_force = record.facts.version_at(event.collected_at) if record is not None else None
    number = event.version if event.processing == processing else None
    version = record.version(number or (in_force.number if in_force is not None else 1)) if record is not None else None
    if record is None or version is None:
        raise NotFoundError
    return DecidedAbout(record, version)
