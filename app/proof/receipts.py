"""Receipts of consents: a record as ISO/IEC TS 27560 has it, in terms of the Data Privacy Vocabulary (DPV 2).

The fields are those of the guide "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV"
(https://w3id.org/dpv/guides/consent-27560). Pure: values in, JSON-LD out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.article import Purpose
from app.core.consent import EventKind, GivenBy

TYPE: Final = "sceau-consent-receipt+jwt"
"""`typ` of the JWS: a receipt is never taken for a decision, or for anything else that is signed (RFC 8725, 3.11)."""
CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
}
_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560"
_PURPOSES: Final = {
    Purpose.ADVERTISING: "dpv:Advertising",
    Purpose.STATISTICS: "dpv:ServiceUsageAnalytics",
    Purpose.SERVICE_IMPROVEMENT: "dpv:ImproveExistingProductsAndServices",
}
_STATUSES: Final = {
    EventKind.GRANTED: "dpv:ConsentGiven",
    EventKind.REFUSED: "dpv:ConsentRefused",
    EventKind.WITHDRAWN: "dpv:ConsentWithdrawn",
}
_ENDS: Final = {**_STATUSES, EventKind.GRANTED: "dpv:RenewedConsentGiven"}
_GIVERS: Final = {GivenBy.SELF: "dpv:DataSubject", GivenBy.PARENT: "dpv:ParentOfDataSubject"}
_RIGHTS: Final = {
    "A7-3": "Right to withdraw consent",
    "A15": "Right of access",
    "A16": "Right to rectification",
    "A17": "Right to erasure",
    "A18": "Right to restriction of processing",
    "A20": "Right to data portability",
    "A77": "Right to lodge a complaint with a supervisory authority",
}
NOT_AN_ANSWER: Final = (
    "This receipt says what was recorded, and when. It does not say whether the consent still stands, and nobody may "
    "analyse correspondence because of it: that is asked of the service, each time."
)


@dataclass(frozen=True, slots=True)
class ToldController:
    """A controller as a receipt names it. `kind`: siren, lei or other."""

    id: str
    name: str
    kind: str
    identifier: str | None = None
    address: str | None = None
    contact: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class ToldProcessing:
    """What the version of a processing said that the decision was about."""

    id: str
    version: int
    name: str
    purpose: Purpose
    service: str
    elements: Sequence[str]
    recipients: Sequence[str]
    retention: str | None
    storage_location: str | None
    automated: bool
    controllers: Sequence[ToldController]
    contact: str | None


@dataclass(frozen=True, slots=True)
class ToldConsent:
    """One decision, and what ended it if something did. `person`: what stands for the person in the log's entry."""

    id: UUID
    decision: EventKind
    collected_at: datetime
    recorded_at: datetime
    expires_at: datetime | None
    given_by: GivenBy
    evidence: Mapping[str, Any]
    person: str
    ended_by: EventKind | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentReceipt:
    """A receipt: its id, when it was made, where the service is, and what it is about."""

    id: UUID
    made_at: datetime
    service: str
    consent: ToldConsent
    processing: ToldProcessing
    extra: Mapping[str, Any] = field(default_factory=dict)

    def json_ld(self) -> dict[str, Any]:
        """The receipt as JSON-LD."""
        return {
            "@context": CONTEXT,
            "@id": f"urn:uuid:{self.id}",
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": f"{_SCHEMA}#receipt-eu-gdpr",
            "dpv:hasIdentifier": str(self.id),
            "dct:created": _time(self.made_at),
            "dct:description": NOT_AN_ANSWER,
            "dpv:hasRecordOfActivity": [self._record()],
        }

    def _record(self) -> dict[str, Any]:
        consent, processing, where = self.consent, self.processing, self._where()
        return {
            "@id": f"urn:uuid:{consent.id}",
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": f"{_SCHEMA}#record-eu-gdpr",
            "dct:identifier": str(consent.id),
            "dct:created": _time(consent.recorded_at),
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": consent.person},
            "dpv:hasNotice": _notice(consent, processing),
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a",
            "dpv:hasApplicableLaw": ["eu-gdpr:GDPR", "CPCE art. L32-3"],
            "dpv:hasJurisdiction": "loc:FR",
            "dpv:hasDataController": [_controller(each) for each in processing.controllers],
            "dpv:hasProcess": self._process(),
            "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": where},
            "dpv:hasRight": [
                {
                    "@type": ["dpv:DataSubjectRight", f"eu-gdpr:{name}"],
                    "dct:title": title,
                    "dpv:isExercisedAt": where,
                }
                for name, title in _RIGHTS.items()
            ],
            "dpv:hasConsentStatus": _statuses(consent),
        }

    def _where(self) -> list[str]:
        """Where a right is exercised: at the controller's contact, by way of a link that the service makes."""
        return [each for each in (self.processing.contact, self.service) if each]

    def _process(self) -> dict[str, Any]:
        told = self.processing
        storage: list[dict[str, Any]] = []
        if told.retention:
            storage.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": told.retention})
        if told.storage_location:
            storage.append({"@type": "dpv:StorageLocation", "dpv:hasLocation": told.storage_location})
        return {
            "@type": "dpv:Process",
            "dct:identifier": told.id,
            "dct:title": told.name,
            "dct:hasVersion": told.version,
            "dpv:hasService": told.service,
            "dpv:hasPurpose": _PURPOSES.get(told.purpose, "dpv:Purpose"),
            "dpv:hasProcessing": "dpv:Analyse",
            "dpv:hasPersonalData": [{"@type": "dpv:PersonalData", "dct:title": each} for each in told.elements],
            "dpv:hasRecipient": list(told.recipients) or [each.name for each in told.controllers],
            "dpv:hasStorageCondition": storage,
        }


def _notice(consent: ToldConsent, processing: ToldProcessing) -> dict[str, Any]:
    """The text that was shown, by its SHA-256 where the evidence has one, and by its version in the register."""
    said = consent.evidence
    return {
        "@type": "dpv:ConsentNotice",
        "dct:identifier": f"{processing.id}/{said.get('notice_version') or processing.version}",
        "dct:language": said.get("language") or "fr",
        **({"schema:sha256": said["presented_text_sha256"]} if said.get("presented_text_sha256") else {}),
    }


def _controller(told: ToldController) -> dict[str, Any]:
    said: dict[str, Any] = {
        "@type": "dpv:DataController",
        "dpv:hasName": told.name,
        "dpv:hasIdentifier": told.identifier or told.id,
        "schema:additionalType": told.kind,
    }
    if told.address:
        said["schema:address"] = told.address
    if told.country:
        said["dpv:hasCountry"] = told.country
    if told.contact:
        said["schema:contactPoint"] = told.contact
    return said


def _statuses(consent: ToldConsent) -> list[dict[str, Any]]:
    kind = "dpv:ExplicitlyExpressedConsent" if consent.decision is EventKind.GRANTED else None
    giver = _GIVERS.get(consent.given_by, "dpv:DataSubject")
    first: dict[str, Any] = {
        "@type": [each for each in (_STATUSES[consent.decision], kind) if each],
        "dpv:isIndicatedBy": giver,
        "dpv:hasIndicationMethod": consent.evidence.get("method") or "unknown",
        "dpv:isIndicatedAtTime": _time(consent.collected_at),
    }
    if consent.expires_at is not None:
        first["dpv:hasDuration"] = {"@type": "dpv:TemporalDuration", "dct:valid": _time(consent.expires_at)}
    if consent.ended_by is None or consent.ended_at is None:
        return [first]
    last = {"@type": [_ENDS.get(consent.ended_by, "dpv:ConsentTerminated")]}
    return [first, {**last, "dpv:isIndicatedAtTime": _time(consent.ended_at)}]


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
