"""The record of processing activities (GDPR 30) as a file, from the present register and in the article's order."""

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.core.article import Purpose
from app.core.processing import TOLD_FACTS, Status
from app.operations.register.report import COLUMNS, Activity, safe_cell
from app.register.records import VersionRecord
from tests.core.builders import processing as entry
from tests.core.builders import utc
from tests.core.page.test_told_facts import BEFORE, OTHER
from tests.support.api import put_controller
from tests.support.commands import run_command
from tests.support.two_persons import add

FULL = {
    "name": {"fr": "Publicité ciblée", "en": "Targeted advertising"},
    "categories_of_persons": ["abonnés"],
    "recipients": [{"name": "Régie SARL", "role": "processor", "country": "FR"}],
    "transfers": [{"country": "US", "safeguards": "standard contractual clauses"}],
    "storage_location": "Lyon",
    "security_measures": '=HYPERLINK("x")',
    "dpia_reference": "AIPD-7",
}
CONTROLLER = {
    "id": "exemple",
    "kind": "siren",
    "identifier": "732829320",
    "legal_name": "Exemple SAS",
    "postal_address": "1 rue de la Paix, 75002 Paris",
    "contact": "contact@exemple.example",
    "data_protection_officer": "dpo@exemple.example",
    "country": "FR",
}


@pytest.fixture
def written(api, database, tmp_path):
    """A register of three processings, exported in any form."""
    api.ok(*put_controller(CONTROLLER))
    body = {**FULL, "controller": None, "controllers": ["exemple"], "data_recipients": ["Régie SARL"]}
    api.register("ads", **body)
    assert add(api, "ads", **body, elements=["content"], reason="Less.").status_code == 201
    api.register("spam", purpose="unsolicited_content_detection")
    api.register("old", purpose="statistics")
    api.ok("PATCH", "/v1/processings/old", {"status": "retired"})

    def write(*words):
        status, errors, _ = run_command(database, "register", "export", "-o", tmp_path / "record", *words)
        assert (status, errors) == (0, "3 processings exported.\n"), errors
        return (tmp_path / "record").read_text(encoding="utf-8")

    return write


def test_a_row_for_each_processing_in_the_order_of_the_model(written):
    """The export has a row for each processing, with headings in either language and no formula."""
    text = written()
    assert text.startswith("\ufeff")
    french = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    assert french[0] == [heading["fr"] for heading in COLUMNS.values()]
    rows = {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in french[1:]}
    ads = rows["ads"]
    assert (ads["name"], ads["controllers"], ads["version"]) == ("Publicité ciblée", "Exemple SAS", "2")
    assert (ads["purpose"], ads["elements"], ads["status"]) == ("publicité", "contenu des messages", "actif")
    assert (ads["started_on"], ads["consent_validity"], ads["retention"]) == ("2020-01-01", "1 an", "30 jours")
    assert ads["contacts"] == "1 rue de la Paix, 75002 Paris, FR, contact@exemple.example"
    assert (ads["officers"], ads["recipients"]) == ("dpo@exemple.example", "Régie SARL, processor, FR")
    assert (ads["transfers"], ads["security"]) == ("US: standard contractual clauses", '\'=HYPERLINK("x")')
    assert ads["legal_basis"].startswith("Consentement (CPCE art. L32-3, IV")
    assert rows["spam"]["legal_basis"].startswith("CPCE art. L32-3, III : sans consentement ; base du RGPD")
    assert (rows["spam"]["consent_validity"], rows["old"]["status"]) == ("", "retiré")
    # Of a processing that names its controller only, the contact that it registered is for data protection.
    assert (rows["old"]["contacts"], rows["old"]["officers"]) == ("", "dpo@exemple.example")
    assert "Targeted advertising;ads;" in written("--language", "en")


def test_the_same_as_json_ld(written):
    """The export as JSON-LD is a record of processing activities in terms of DPV."""
    document = json.loads(written("--format", "json-ld", "--language", "en"))
    assert document["@type"] == "dpv:ROPA"
    ads = document["dpv:hasProcess"][0]
    assert (ads["dct:identifier"], ads["dct:title"], ads["dct:hasVersion"]) == ("ads", "Targeted advertising", 2)
    assert (ads["dpv:hasPurpose"], ads["dpv:hasLegalBasis"]) == ("dpv:Advertising", "eu-gdpr:A6-1-a")
    assert ads["transfers"] == [{"country": "US", "safeguards": "standard contractual clauses"}]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_is_a_formula(text):
    """A cell that a spreadsheet would compute gets an apostrophe; other text does not change."""
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(f"a{text}") == f"a{text}"


def _row(facts):
    version = VersionRecord(facts, {"fr": "Publicité"}, {"fr": "Texte."}, utc("2026-01-15"))
    record = SimpleNamespace(
        id="ads", registered_at=utc("2026-01-15"), purpose=Purpose.ADVERTISING, facts=entry(facts),
        names_of=lambda each: sorted(each.facts.controllers),
    )  # fmt: skip
    return Activity(cast("Any", record), version, Status.ACTIVE, ()).row("fr")


@pytest.mark.parametrize("name", [fact.name for fact in TOLD_FACTS])
def test_the_record_has_each_fact_that_people_are_told(name):
    """A told fact has its own column in the record of GDPR 30, and nothing but that cell differs with it."""
    before, after = _row(BEFORE), _row(replace(BEFORE, **{name: OTHER[name]}))
    assert [column for column in COLUMNS if before[column] != after[column]] == [name]
