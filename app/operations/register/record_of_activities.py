"""The record of processing activities (GDPR art. 30(1)): one row for each processing, in the order of that article.

Pure: register entries in, a table or JSON-LD out. Behind name and dates: who is responsible (a), purpose (b), persons
and data (c), recipients (d), transfers (e), time limits (f), security (g).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.core.durations import period_in_words, retention_in_words
from app.core.processing import Status
from app.core.retention import Retention
from app.core.wording import ELEMENT_WORDS, PURPOSE_WORDS, STATUS_WORDS
from app.register.records import ControllerRecord, ControllerVersion, ProcessingRecord, VersionRecord
from app.register.vocabulary import PURPOSES

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("Nom du traitement", "Processing"),
    "reference": ("Référence", "Reference"),
    "registered_at": ("Date de création", "Registered on"),
    "changed_at": ("Dernière mise à jour", "Last changed on"),
    "version": ("Version", "Version"),
    "started_on": ("Mis en œuvre depuis", "Carried out since"),
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
    "consequences": ("Conséquences d’un refus", "Consequences of a refusal"),
    "conditional": ("Le service en dépend", "The service depends on it"),
    "justification": ("Justification (III)", "Justification (III)"),
}
"""French and English headings, in their order."""
_CONSENT: Final = (
    "Consentement (CPCE art. L32-3, IV ; RGPD art. 6-1-a)",
    "Consent (CPCE art. L32-3, IV; GDPR art. 6(1)(a))",
)
_EXEMPT: Final = (
    "CPCE art. L32-3, III : sans consentement ; base du RGPD (art. 6) à préciser par le responsable",
    "CPCE art. L32-3, III: no consent is needed; the controller is to state the basis of GDPR art. 6",
)
_NONE: Final = (
    "Aucune : l’article L32-3 ne permet pas cette analyse, même avec un consentement",
    "None: article L32-3 does not allow this analysis, even with consent",
)
_YES_NO: Final = {True: ("oui", "yes"), False: ("non", "no"), None: ("", "")}
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Activity:
    """One processing with the version in force, and its controllers."""

    record: ProcessingRecord
    version: VersionRecord
    status: Status
    controllers: Sequence[ControllerRecord]

    @property
    def _now(self) -> list[ControllerVersion]:
        return [each.versions[-1] for each in self.controllers]

    def row(self, language: str) -> dict[str, str]:
        """Its cells, by the names of `COLUMNS`; `language`: `fr` or `en`."""
        facts, more = self.version.facts, self.version.particulars
        recipients = [
            ", ".join(part for part in (each.name, each.role, each.country) if part)
            for each in sorted(facts.recipients)
        ]
        cells = {
            "name": _in(self.version.name, language),
            "reference": self.record.id,
            "registered_at": _day(self.record.registered_at),
            "changed_at": _day(self.version.recorded_at),
            "version": str(facts.number),
            "started_on": facts.started_on.isoformat(),
            "status": STATUS_WORDS[self.status][language],
            "controllers": "; ".join(self.record.names_of(self.version)),
            "contacts": "; ".join(filter(None, (_contact(each) for each in self._now))),
            "officers": "; ".join(each.data_protection_officer for each in self._now if each.data_protection_officer)
            or self.version.contact
            or "",
            "service": facts.service,
            "purpose": PURPOSE_WORDS[self.record.purpose][language],
            "notice": _in(self.version.notice, language),
            "legal_basis": self._legal_basis(language),
            "persons": "; ".join(facts.categories_of_persons),
            "data": "; ".join(ELEMENT_WORDS[each][language] for each in sorted(facts.elements)),
            "recipients": "; ".join(recipients),
            "transfers": "; ".join(f"{each.country}: {each.safeguards}" for each in sorted(facts.transfers)),
            "retention": _kept(facts.retention, language),
            "derived": _kept(facts.derived_data_erased_within, language),
            "storage": facts.storage_location or "",
            "security": more.security_measures or "",
            "automated_decisions": facts.automated_decisions or "",
            "dpia": more.dpia_reference or "",
            "consent_validity": period_in_words(facts.consent_validity, language)
            if self.record.facts.rests_on_consent
            else "",
            "consequences": _in(more.consequences or {}, language),
            "conditional": _YES_NO[facts.conditional][language == "en"],
            "justification": more.justification or "",
        }
        return {name: " ".join(cells[name].split()) for name in COLUMNS}

    def _legal_basis(self, language: str) -> str:
        """What the article allows it by, and the GDPR as far as the register knows."""
        facts = self.record.facts
        return (_CONSENT if facts.rests_on_consent else _EXEMPT if facts.is_exempt else _NONE)[language == "en"]

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
            "dpv:hasDataSubject": list(self.version.facts.categories_of_persons),
            "dpv:hasPersonalData": sorted(self.version.facts.elements),
            "dpv:hasRecipient": cells["recipients"].split("; ") if cells["recipients"] else [],
            "dpv:hasStorageCondition": self._storage(),
            "dpv:hasTechnicalOrganisationalMeasure": cells["security"],
            "status": self.status.value,
            "transfers": [
                {"country": each.country, "safeguards": each.safeguards}
                for each in sorted(self.version.facts.transfers)
            ],
        }
        return {name: value for name, value in told.items() if value not in ("", [], {})}

    def _storage(self) -> dict[str, str]:
        """For how long (ISO 8601) and where data is kept, as far as the register knows."""
        retention, location = self.version.facts.retention, self.version.facts.storage_location
        return {
            **({"dpv:hasDuration": str(retention)} if retention is not None else {}),
            **({"dpv:hasLocation": location} if location else {}),
        }


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that begins so gets an apostrophe (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _in(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language) or next(iter(texts.values()), "")


def _contact(version: ControllerVersion) -> str:
    return ", ".join(part for part in (version.postal_address, version.country, version.contact) if part)


def _kept(retention: Retention | None, language: str) -> str:
    """How long data is kept, in words; empty where the register does not say."""
    if retention is None:
        return ""
    return retention_in_words(retention, language) or ("rien n’est conservé", "nothing is kept")[language == "en"]


def _day(at: datetime) -> str:
    return at.date().isoformat()
