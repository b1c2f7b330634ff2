import re
from hashlib import sha256
from html import unescape
from typing import Any

import pytest

from app.core.processing import TOLD_FACTS
from tests.support.api import processing
from tests.support.two_persons import add

ALL: dict[str, Any] = {
    "categories_of_persons": ["Abonnés", "Correspondants"],
    "recipients": [{"name": "Régie", "role": "processor", "country": "IE"}, {"name": "Hébergeur"}],
    "transfers": [{"country": "US", "safeguards": "Standard contractual clauses of 2021"}],
    "storage_location": "Roubaix, France",
    "security_measures": "Encrypted at rest",
    "dpia_reference": "AIPD-2026-04",
    "automated_decisions": "None",
    "privacy_policy": "https://www.exemple.example/privacy",
    "legal_notice": "https://www.exemple.example/legal",
    "accessibility_statement": "https://www.exemple.example/accessibility",
    "logo": "https://www.exemple.example/logo.svg",
    "consequences": {"fr": "Rien ne change.", "en": "Nothing changes."},
    "conditional": False,
    "derived_data_erased_within": "P7D",
}

UNTOLD = ["location", "dpia", "security"]


def body(identifier, **more):
    """A processing whose recipients are named with their roles."""
    made = {**processing(identifier), **more}
    if "recipients" in more and "data_recipients" not in more:
        del made["data_recipients"]
    return made


def field(answer):
    """Status and the first field at fault."""
    return answer.status_code, answer.json()["errors"][0]["field"].split(".")[0]


def test_what_gdpr_30_asks_is_kept_as_it_was_said(pap):
    """Each particular of a version is returned as it was given; its recipients' names are its data recipients."""
    version = pap.ok("POST", "/v1/processings", body("told", **ALL))["version"]
    assert version["data_recipients"] == ["Hébergeur", "Régie"]
    assert {name: version[name] for name in ALL} == {**ALL, "recipients": [{"name": "Hébergeur"}, ALL["recipients"][0]]}
    assert pap.ok("GET", "/v1/processings/told")["version"] == version


def test_every_told_fact_is_asked_for():
    """Each told fact is among the particulars above, or in the body that every test registers."""
    assert {fact.name for fact in TOLD_FACTS} - ALL.keys() - processing("told").keys() == {"controllers"}


def test_a_new_recipient_is_material_however_it_is_named(pap):
    """Another recipient, or another role of a recipient, is a material change."""
    pap.ok("POST", "/v1/processings", body("shared", recipients=[{"name": "Régie"}]))
    more = {"recipients": [{"name": "Régie"}, {"name": "Courtier"}], "data_recipients": None}
    assert field(add(pap, "shared", **more)) == (422, "recipients")
    role = {"recipients": [{"name": "Régie", "role": "joint controller"}], "data_recipients": None}
    assert field(add(pap, "shared", **role)) == (422, "recipients")


@pytest.mark.parametrize(
    ("at_fault", "more"),
    [
        ("data_recipients", {"recipients": [{"name": "Régie"}], "data_recipients": ["Courtier"]}),
        ("data_recipients", {"data_recipients": None}),
        ("privacy_policy", {"privacy_policy": "http://www.exemple.example/"}),
        ("legal_notice", {"legal_notice": "https://user@exemple.example/"}),
        ("logo", {"logo": "javascript:alert(1)"}),
        ("accessibility_statement", {"accessibility_statement": "https://"}),
        ("transfers", {"transfers": [{"country": "US"}]}),
        ("recipients", {"recipients": [{"name": "Régie", "country": "us"}]}),
        ("conditional", {"conditional": "no"}),
        ("consequences", {"consequences": {"en": "English alone"}}),
        ("derived_data_erased_within", {"derived_data_erased_within": "a week"}),
    ],
)
def test_a_wrong_particular_is_refused(pap, at_fault, more):
    """A wrong address, duration or country, or recipients that disagree with data recipients, are refused."""
    assert field(pap.call("POST", "/v1/processings", body("wrong", **more))) == (422, at_fault)


@pytest.mark.parametrize(
    ("warning", "more"),
    [("data_recipients", {"data_recipients": ["Régie"]}), ("retention", {"retention": "P31D"})],
)
def test_what_is_unusual_under_iii_is_justified_and_warned_of(pap, warning, more):
    """A purpose of III with a recipient or a long retention is refused without a justification, else warned of."""
    name = f"filter-{warning}".replace("_", "-")
    filtering = body(name, purpose="sorting", **more)
    assert field(pap.call("POST", "/v1/processings", filtering)) == (422, "justification")
    entry = pap.ok("POST", "/v1/processings", {**filtering, "justification": "Shared block list."})
    assert warning in entry["warnings"]
    assert entry["version"]["justification"] == "Shared block list."
    assert warning not in pap.register(f"{name}-iv", **more)["warnings"]


def test_a_later_version_is_justified_too(pap):
    """A later version that keeps data longer under III is refused without a justification."""
    pap.register("kept", purpose="sorting")
    longer = {"purpose": "sorting", "retention": "P1Y", "material": True}
    assert field(add(pap, "kept", **longer)) == (422, "justification")
    assert add(pap, "kept", **longer, justification="Investigations.").json()["warnings"] == ["retention", *UNTOLD]


def test_what_an_officer_should_look_at_stands_in_the_register(pap):
    """The register warns of facts that are not stated, and of a text of III that speaks of advertising."""
    assert pap.register("says-nothing")["warnings"] == UNTOLD
    stated = {"storage_location": "Lyon", "dpia_reference": "DPIA-1", "security_measures": "Encrypted at rest."}
    assert pap.register("says-all", **stated)["warnings"] == []
    notice = {"fr": "Nous établissons votre profil publicitaire.", "en": "We sort."}
    assert pap.register("sort", purpose="sorting", notice=notice, **stated)["warnings"] == ["advertising_words"]


def test_a_preview_is_the_text_that_will_be_shown(pap):
    """A preview has each language's text and its hash, as the page will hash it, and records nothing."""
    entry = body("previewed", controller="Essai & Cie", notice={"fr": "Texte <b>", "en": "Text"})
    texts = pap.ok("POST", "/v1/processings", {**entry, "dry_run": True})["texts"]
    assert set(texts) == {"fr", "en"}
    for preview in texts.values():
        assert preview["sha256"] == sha256(preview["plain"].encode()).hexdigest()
        assert "Essai & Cie" in preview["plain"]
        assert "Essai &amp; Cie" in preview["html"]
    assert "Texte &lt;b&gt;" in texts["fr"]["html"]
    assert pap.call("GET", "/v1/processings/previewed").status_code == 404
    assert "Essai & Cie" not in str(pap.ok("GET", "/v1/controllers"))


def told_in(html):
    """The lines of text of a preview's HTML, with one space for every run of white space."""
    lines = [unescape(re.sub(r"<[^>]+>", "", line)) for line in html.split("\n")]
    return [" ".join(line.split()) for line in lines if line]


def badly_spaced(html):
    """Places where a line could end before high punctuation or within guillemets, and typewriter apostrophes."""
    return re.findall(r".{0,9}(?: [?!:;»]|« |')", unescape(html))


def test_a_preview_is_spaced_as_the_page_is(pap):
    """A preview has the page's typesetting: no-break spaces and curly apostrophes in French, none in English."""
    notice = {"fr": "Pourquoi ? Pour « mesurer » : 10 000 envois.", "en": "Why? To measure : all."}
    texts = pap.ok("POST", "/v1/processings", body("previewed", notice=notice, dry_run=True))["texts"]
    assert badly_spaced(texts["fr"]["html"]) == []
    assert "Pourquoi\xa0? Pour «\xa0mesurer\xa0»\xa0: 10\xa0000 envois." in texts["fr"]["html"]
    assert "Qu’est-ce qui est analysé\xa0?" in texts["fr"]["html"]
    assert "\xa0" not in texts["en"]["html"]
    for preview in texts.values():
        assert set(told_in(preview["html"])) <= set(preview["plain"].split("\n"))


def test_bad_spacing_is_seen():
    """Control: the check finds ordinary spaces at French punctuation and typewriter apostrophes."""
    assert len(badly_spaced("Pourquoi ? ... « oui ... l'an ... l&#x27;an")) == 4
    assert badly_spaced("Pourquoi\xa0? «\xa0oui\xa0» l’an") == []


def test_a_preview_names_joint_controllers(pap):
    """A preview calls several controllers joint ones."""
    for name in ("Un", "Deux"):
        pap.ok("PUT", f"/v1/controllers/{name.lower()}", {"kind": "other", "legal_name": name})
    entry = body("previewed", controller=None, controllers=["un", "deux"])
    texts = pap.ok("POST", "/v1/processings", {**entry, "dry_run": True})["texts"]
    assert "Un et Deux, responsables conjoints de ce traitement." in texts["fr"]["plain"]


def test_nobody_is_shown_a_text_under_iii(pap):
    """A dry run of a purpose of III shows no text and registers nothing."""
    assert pap.ok("POST", "/v1/processings", body("previewed", purpose="sorting", dry_run=True)) == {"texts": {}}
    assert pap.call("GET", "/v1/processings/previewed").status_code == 404
