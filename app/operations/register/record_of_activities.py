"""The record of processing activities (GDPR art. 30(1)): one row for each processing, in the order of that article.

Pure: register entries in, a table or JSON-LD out. Behind name and dates: who is responsible (a), purpose (b), persons
and data (c), recipients (d), transfers (e), time limits (f), security (g).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.register.records import ControllerRecord, ControllerVersion, ProcessingRecord, VersionRecord
from app.register.vocabulary import PURPOSES

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("Nom du traitement", "Processing"),
    "reference": ("Référence", "Reference"),
    "registered_at": ("Date de création", "Registered on"),
    "changed_at": ("Dernière mise à jour", "Last changed on"),
    "status": ("Statut", "Status"),
    "controllers": ("Responsables du traitement", "Controllers"),
    "contacts": ("Coordonnées des responsables", "Contacts of the controllers"),
    "officers": ("Délégués à la protection des données", "Data protection officers"),
    "service": ("Service", "Service"),
    "purpose": ("Finalité", "Purpose"),
    "notice": ("Description", "Description"),
    "legal_basis": ("Base légale", "Legal basis"),
    "persons": ("Catégories de personnes", "Categories of data subjects"),
    "data": ("Catégories de données", "Categories of personal data"),
    "recipients": ("Destinataires", "Recipients"),
    "transfers": ("Transferts hors UE et garanties", "Transfers out of the Union and safeguards"),
    "retention": ("Délai d’effacement", "Time limit for erasure"),
    "derived": ("Effacement des données déduites après un retrait", "Erasure of derived data after a withdrawal"),
    "storage": ("Lieu de conservation", "Storage location"),
    "security": ("Mesures de sécurité", "Security measures"),
    "automated_decisions": ("Décisions automatisées", "Automated decisions"),
    "dpia": ("Analyse d’impact", "Impact assessment"),
    "consent_validity": ("Durée d’un consentement", "Validity of a consent"),
}
"""French and English headings, in their order."""
_CONSENT: Final = (
    "Consentement (CPCE art. L32-3, IV ; RGPD art. 6-1-a)",
    "Consent (CPCE art. L32-3, IV; GDPR art. 6(1)(a))",
)
_EXEMPT: Final = "CPCE art. L32-3, III"
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Activity:
    """One processing with the version in force, and its controllers."""

    record: ProcessingRecord
    version: VersionRecord
    status: str
    controllers: Sequence[ControllerRecord]

    @property
    def _now(self) -> list[ControllerVersion]:
        return [each.versions[-1] for each in self.controllers]

    def row(self, language: str) -> dict[str, str]:
        """Its cells, by the names of `COLUMNS`; `language`: `fr` or `en`."""
        facts, more = self.version.facts, self.version.particulars
        recipients = [
            ", ".join(part for part in (each.name, each.role, each.country) if part) for each in more.recipients
        ] or sorted(facts.data_recipients)
        cells = {
            "name": _in(self.version.name, language),
            "reference": self.record.id,
            "registered_at": _day(self.record.registered_at),
            "changed_at": _day(self.version.recorded_at),
            "status": self.status,
            "controllers": "; ".join(self.record.names_of(self.version)),
            "contacts": "; ".join(filter(None, (_contact(each) for each in self._now))) or self.version.contact or "",
            "officers": "; ".join(each.data_protection_officer for each in self._now if each.data_protection_officer),
            "service": facts.service,
            "purpose": self.record.purpose.value,
            "notice": _in(self.version.notice, language),
            "legal_basis": self._legal_basis(language),
            "persons": "; ".join(more.categories_of_persons),
            "data": "; ".join(sorted(facts.elements)),
            "recipients": "; ".join(recipients),
            "transfers": "; ".join(f"{each.country}: {each.safeguards}" for each in more.transfers),
            "retention": str(facts.retention) if facts.retention is not None else "",
            "derived": more.derived_data_erased_within or "",
            "storage": more.storage_location or "",
            "security": more.security_measures or "",
            "automated_decisions": more.automated_decisions or "",
            "dpia": more.dpia_reference or "",
            "consent_validity": str(facts.consent_validity) if self.record.facts.rests_on_consent else "",
        }
        return {name: " ".join(cells[name].split()) for name in COLUMNS}

    def _legal_basis(self, language: str) -> str:
        """What the article allows it by; empty for a purpose that is in neither of its lists."""
        if self.record.facts.rests_on_consent:
            return _CONSENT[language == "en"]
        return _EXEMPT if self.record.facts.is_exempt else ""

    def json_ld(self, language: str) -> dict[str, Any]:
        """It as a process, in terms of DPV 2.2."""
        cells = self.row(language)
        told = {
            "@type": "dpv:Process",
            "dct:identifier": cells["reference"],
            "dct:title": cells["name"],
            "dct:description": cells["notice"],
            "dct:created": cells["registered_at"],
            "dct:modified": cells["changed_at"],
            "dct:hasVersion": self.version.facts.number,
            "dpv:hasDataController": [
                {"@type": "dpv:DataController", "dpv:hasName": name} for name in self.record.names_of(self.version)
            ],
            "dpv:hasContact": cells["contacts"],
            "dpv:hasDataProtectionOfficer": cells["officers"],
            "dpv:hasService": cells["service"],
            "dpv:hasPurpose": PURPOSES.get(self.record.purpose, cells["purpose"]),
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a" if self.record.facts.rests_on_consent else cells["legal_basis"],
            "dpv:hasDataSubject": list(self.version.particulars.categories_of_persons),
            "dpv:hasPersonalData": sorted(self.version.facts.elements),
            "dpv:hasRecipient": cells["recipients"].split("; ") if cells["recipients"] else [],
            "dpv:hasStorageCondition": {"dpv:hasDuration": cells["retention"], "dpv:hasLocation": cells["storage"]},
            "dpv:hasTechnicalOrganisationalMeasure": cells["security"],
            "status": cells["status"],
            "transfers": [
                {"country": each.country, "safeguards": each.safeguards} for each in self.version.particulars.transfers
            ],
        }
        return {name: value for name, value in told.items() if value not in ("", [])}


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that begins so gets an apostrophe (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _in(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language) or next(iter(texts.values()), "")


def _contact(version: ControllerVersion) -> str:
    return ", ".join(part for part in (version.postal_address, version.country, version.contact) if part)


def _day(at: datetime) -> str:
    return at.date().isoformat()
