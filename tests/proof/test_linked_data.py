"""Receipts, exports of a person and the register as JSON-LD: expanded without a network, they name terms of DPV."""

import json

import pytest
from pyld import jsonld

from app.core.article import Purpose
from app.register.records import PURPOSES
from tests.support.api import processing, put_controller, running, subject
from tests.support.commands import run_command
from tests.support.databases import new_database

DPV = "https://w3id.org/dpv"
NAMESPACES = {
    "#": """
        Advertising Analyse ConsentGiven ConsentNotice ConsentReceipt ConsentRecord ConsentRefused ConsentWithdrawn
        DataController DataSubject DataSubjectRight EnforceSecurity ExplicitlyExpressedConsent
        ImproveExistingProductsAndServices Law LegalEntity MisusePreventionAndDetection ParentOfDataSubject PersonalData
        Process Purpose ROPA RecordsOfActivities RightExerciseNotice ServiceUsageAnalytics StorageDuration
        StorageLocation TechnicalServiceProvision TemporalDuration WithdrawConsent
        hasApplicableLaw hasConsentControl hasConsentStatus hasContact hasCountry hasDataController
        hasDataProtectionOfficer hasDataSubject hasDuration hasIdentifier hasIndicationMethod hasJurisdiction
        hasLegalBasis hasLocation hasName hasNotice hasPersonalData hasProcess hasProcessing hasPurpose hasRecipient
        hasRecordOfActivity hasRight hasService hasStorageCondition hasTechnicalOrganisationalMeasure
        isExercisedAt isIndicatedAtTime isIndicatedBy
    """,
    "/legal/eu/gdpr#": "A15 A16 A17 A18 A20 A6-1-a A7-3 A77",
    "/legal/eu#": "law-GDPR",
    "/loc#": "FR",
    "/schema/dpv-27560#": "receipt-eu-gdpr record-eu-gdpr",
}
TERMS = {f"{DPV}{space}{name}" for space, names in NAMESPACES.items() for name in names.split()}
"""Each was looked up in DPV 2.2 (https://github.com/w3c/dpv, folders 2.2 and schema). Look up whatever you add."""
OF_DPV = ("hasPurpose", "hasLegalBasis", "hasProcessing", "hasJurisdiction")
NODES = (
    *(f"{DPV}#{name}" for name in (*OF_DPV, "hasApplicableLaw", "hasCountry", "isExercisedAt", "isIndicatedBy")),
    "http://purl.org/dc/terms/conformsTo",
    "https://schema.org/additionalType",
)
CONTROLLER = {
    "id": "exemple",
    "kind": "siren",
    "identifier": "732829320",
    "legal_name": "Exemple SAS",
    "contact": "contact@exemple.example",
    "country": "FR",
}


def _register(api, name, contact):
    body = processing(name, controllers=["exemple"], data_protection_contact=contact)
    del body["controller"]
    api.ok("POST", "/v1/processings", body)


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """One of each, of a register with two kinds of processing and of somebody who answered."""
    with new_database() as database, running(database) as api:
        api.ok(*put_controller(CONTROLLER))
        for name, contact in (("ads", "dpo@exemple.example"), ("stats", "DPO, 1 rue de la Paix, Paris")):
            _register(api, name, contact)
        api.register("spam", purpose="unsolicited_content_detection")
        consents = [api.decide("alice", "ads")["id"], api.decide("alice", "stats", "refused")["id"]]
        api.withdraw("alice", "ads")
        accept = {"Accept": "application/ld+json"}
        receipts = [api.ok("GET", f"/v1/consents/{each}/receipt", headers=accept) for each in consents]
        export = api.call("POST", "/v1/subjects/exports", {"subject": subject("alice")}).json()
        file = tmp_path_factory.mktemp("register") / "register.json"
        run_command(database, "register", "export", "-o", file, "--format", "json-ld")
        yield {
            "receipt": receipts[0],
            "refusal": receipts[1],
            "person": export,
            "register": json.loads(file.read_text(encoding="utf-8")),
        }


DOCUMENTS = pytest.mark.parametrize("name", ["receipt", "refusal", "person", "register"])


def expanded(document):
    """The document expanded by JSON-LD processing, which may not ask the network for a context."""

    def refuse(address, _):
        raise AssertionError(f"it loads {address}")

    return jsonld.expand(document, {"documentLoader": refuse})


def members(value):
    """Every member of every object within, with its value."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from each.items()
            for inner in each.values():
                yield from members(inner)


def values(document, name):
    """All values of a property, at any depth."""
    return [each for member, value in members(document) if member == name for each in value]


@DOCUMENTS
def test_what_is_asked_of_linked_data_is_a_term_of_dpv(documents, name):
    """Purposes, legal bases, processings and jurisdictions are IRIs of DPV, at any depth."""
    document = expanded(documents[name])
    for wanted in OF_DPV:
        terms = values(document, f"{DPV}#{wanted}")
        assert terms, wanted
        assert [each for each in terms if not each.get("@id", "").startswith(DPV)] == [], wanted


@DOCUMENTS
def test_the_words_alone_are_no_terms(documents, name):
    """Control: with its prefixes alone a purpose is a text, and without a context it is not in the vocabulary."""
    document = documents[name]
    prefixes = {each: to for each, to in document["@context"].items() if isinstance(to, str)}
    (purpose, *_) = values(expanded({**document, "@context": prefixes}), f"{DPV}#hasPurpose")
    assert ("@id" in purpose, "@value" in purpose) == (False, True)
    bare = expanded({member: value for member, value in document.items() if member != "@context"})
    assert values(bare, f"{DPV}#hasPurpose") == []


@DOCUMENTS
def test_what_names_a_thing_is_no_text(documents, name):
    """Laws, countries, schemas, persons and places to exercise rights are IRIs, or things with a type."""
    document = expanded(documents[name])
    for each in (value for member in NODES for value in values(document, member)):
        assert ":" in each.get("@id", "") or "@type" in each, each
        assert "@value" not in each, each


@DOCUMENTS
def test_no_term_is_made_up(documents, name):
    """Each name in DPV's namespaces in a document is a term of DPV 2.2."""
    terms = set()
    for member, value in members(expanded(documents[name])):
        terms |= {member, *(value if member == "@type" else [value] if member == "@id" else [])}
    assert {each for each in terms if each.startswith(DPV)} <= TERMS


def test_each_purpose_of_the_article_has_a_term():
    """Each purpose of the article has a DPV term."""
    assert {f"{DPV}#{PURPOSES[each].removeprefix('dpv:')}" for each in Purpose} <= TERMS


def test_a_contact_is_an_address_or_words(documents):
    """A contact that is an e-mail address is an IRI, and another contact is a notice in words."""
    where = f"{DPV}#isExercisedAt"
    assert {"@id": "mailto:dpo@exemple.example"} in values(expanded(documents["receipt"]), where)
    (status, *_) = [each for each in values(expanded(documents["refusal"]), where) if "@id" not in each]
    assert status["@type"] == [f"{DPV}#RightExerciseNotice"]
    assert status["http://purl.org/dc/terms/description"] == [{"@value": "DPO, 1 rue de la Paix, Paris"}]
