"""The words of a receipt: a record as ISO/IEC TS 27560 has it, in terms of the Data Privacy Vocabulary (DPV 2.2).

The fields are those of the guide "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV"
(https://w3id.org/dpv/guides/consent-27560). Pure: values in, JSON-LD out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.consent import ConsentEvent, EventKind, GivenBy
from app.core.page.passages import COMPLAINTS
from app.core.projection import ConsentRow
from app.ledger.entries import LedgerEntry
from app.register.records import ControllerRecord, ProcessingRecord, VersionRecord
from app.register.vocabulary import CONTEXT, PURPOSES

_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560"
_STATUSES: Final = {
    EventKind.GRANTED: "dpv:ConsentGiven",
    EventKind.REFUSED: "dpv:ConsentRefused",
    EventKind.WITHDRAWN: "dpv:ConsentWithdrawn",
    EventKind.CLOSED: "dpv:ConsentExpired",  # the account ended, nobody said no
}
_GIVERS: Final = {
    GivenBy.SELF: ["dpv:DataSubject"],
    GivenBy.PARENT: ["dpv:ParentOfDataSubject"],
    GivenBy.BOTH: ["dpv:DataSubject", "dpv:ParentOfDataSubject"],
    GivenBy.ADMINISTRATOR: ["dpv:Entity"],  # nobody whose word is a consent
}
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
class ConsentReceipt:
    """One receipt, of the records that it tells of.

    `service` is the public address. `person` stands for the person, as in the log's entry. `row` tells what ended the
    decision, if anything did. `version` is the one of `processing` that was decided about, `controllers` are its own.
    `acts`: what was said, and what the other side of a joint consent said before. `is_completed`: whether the other
    side said it afterwards.
    """

    id: UUID
    made_at: datetime
    service: str
    entry: LedgerEntry
    person: str
    row: ConsentRow | None
    processing: ProcessingRecord
    version: VersionRecord
    controllers: Sequence[ControllerRecord]
    acts: Sequence[ConsentEvent]
    is_completed: bool

    def json_ld(self) -> dict[str, Any]:
        """The receipt as JSON-LD."""
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
        """The record in it."""
        event, where = self.entry.event, self._where()
        return {
            "@id": f"urn:uuid:{event.id}",
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": f"{_SCHEMA}#record-eu-gdpr",
            "dct:identifier": str(event.id),
            "dct:created": _time(self.entry.recorded_at),
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": self.person},
            "dpv:hasNotice": self._notice(),
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a",
            "dpv:hasApplicableLaw": ["eu-gdpr:GDPR", "CPCE art. L32-3"],
            "dpv:hasJurisdiction": "loc:FR",
            "dpv:hasDataController": [_controller(each) for each in self.controllers],
            "dpv:hasProcess": self._process(),
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

    def _where(self) -> list[str]:
        """Where a right is exercised: at the controller's contact, by way of a link that the service makes."""
        return [each for each in (self.version.contact, self.service) if each]

    def _notice(self) -> dict[str, Any]:
        """The text that was shown, by its SHA-256 where the evidence has one, and by its version in the register."""
        said = self.entry.evidence or {}
        return {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": f"{self.processing.id}/{said.get('notice_version') or self.version.facts.number}",
            "dct:language": said.get("language") or "fr",
            **({"schema:sha256": said["presented_text_sha256"]} if said.get("presented_text_sha256") else {}),
        }

    def _process(self) -> dict[str, Any]:
        facts, names = self.version.facts, self.version.name
        language = str((self.entry.evidence or {}).get("language") or "fr").split("-")[0]
        storage: list[dict[str, Any]] = []
        if facts.retention is not None:
            storage.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": str(facts.retention)})
        if self.version.facts.storage_location:
            location = self.version.facts.storage_location
            storage.append({"@type": "dpv:StorageLocation", "dpv:hasLocation": location})
        return {
            "@type": "dpv:Process",
            "dct:identifier": self.processing.id,
            "dct:title": names.get(language) or next(iter(names.values()), self.processing.id),
            "dct:hasVersion": facts.number,
            "dpv:hasService": facts.service,
            "dpv:hasPurpose": PURPOSES.get(self.processing.purpose, "dpv:Purpose"),
            "dpv:hasProcessing": "dpv:Analyse",
            "dpv:hasPersonalData": [
                {"@type": "dpv:PersonalData", "dct:title": each} for each in sorted(facts.elements)
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
        told = [first, *self._invalidated()]
        if row is None or row.ended_by is None or row.ended_at is None:
            return told
        renewed = (event.kind, row.ended_by) == (EventKind.GRANTED, EventKind.GRANTED)
        if renewed and self.is_completed:
            return told  # the second act of a joint consent ended nothing
        ended = "dpv:RenewedConsentGiven" if renewed else _STATUSES[row.ended_by]
        return [*told, {"@type": [ended], "dpv:isIndicatedAtTime": _time(row.ended_at)}]

    def _invalidated(self) -> list[dict[str, Any]]:
        """That what was consented to was invalidated, while nothing had ended the consent yet."""
        event, ended = self.entry.event, self.row.ended_at if self.row is not None else None
        if event.kind is not EventKind.GRANTED:
            return []
        acts = [(act.version or 0, act.collection.text) for act in self.acts]
        struck = [each.at for each in self.processing.invalidations if any(each.strikes(*act) for act in acts)]
        return [
            {"@type": ["dpv:ConsentInvalidated"], "dpv:isIndicatedAtTime": _time(at)}
            for at in struck[:1]
            if ended is None or at < ended
        ]


def _controller(record: ControllerRecord) -> dict[str, Any]:
    latest = record.versions[-1]
    known = {
        "schema:address": latest.postal_address,
        "dpv:hasCountry": latest.country,
        "schema:contactPoint": latest.contact,
    }
    return {
        "@type": "dpv:DataController",
        "dpv:hasName": record.legal_name,
        "dpv:hasIdentifier": record.identifier or record.id,
        "schema:additionalType": record.kind,
        **{name: value for name, value in known.items() if value},
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
