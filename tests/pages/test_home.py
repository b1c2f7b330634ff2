"""The page at `/`: how to withdraw and how to reach the controllers, and nothing else of the deployment."""

import re

import pytest

from app.pages.rendering import PAGE_HEADERS
from tests.pages.test_errors_for_people import BROWSER
from tests.support.api import put_controller, running
from tests.support.consent_page import Page

MAIL = {"id": "mail", "kind": "other", "legal_name": "Exemple Courriel SAS", "country": "FR"}
MORE = {
    "postal_address": "12 rue des Archives, 75004 Paris",
    "contact": "+33 1 23 45 67 89",
    "data_protection_officer": "Mme Martin, martin@exemple-courriel.example",
}


def _home(api, lang="fr", **headers):
    return api.with_key(None).call("GET", f"/?lang={lang}", headers={**BROWSER, **headers})


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("fr", ("votre accord", "Ouvrez le lien par lequel vous avez répondu", "www.cnil.fr/fr/plaintes")),
        ("en", ("your consent", "Open the link by which you answered", "www.cnil.fr/fr/plaintes")),
    ],
)
def test_it_is_a_page_for_people(shared, lang, words):
    """200 in either language under the headers of pages: no cookie, no script, nothing to load from elsewhere."""
    answer = _home(shared, lang)
    page = Page(answer)
    assert (page.status, f'<html lang="{lang}">' in page.html) == (200, True)
    assert {name: answer.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert "set-cookie" not in answer.headers
    assert [each for each in (*words, "Exemple SAS", "dpo@exemple.example") if each not in page.text()] == []
    assert "mailto:dpo@exemple.example" in page.links
    assert page.forms == []
    assert not re.search(r"<script|src=|<link[^>]+https?:", page.html)


def test_it_tells_who_can_be_reached_and_how(api):
    """Name, postal address, contact, officer and data-protection contact of a controller, each once."""
    api.ok(*put_controller({**MAIL, **MORE}))
    for each, contact in (("ads", "dpo@exemple-courriel.example"), ("stats", "dpo@exemple-courriel.example")):
        api.register(each, controller=None, controllers=["mail"], data_protection_contact=contact)
    text = Page(_home(api)).text()
    for words in ("Exemple Courriel SAS, 12 rue des Archives, 75004 Paris", "+33 1 23 45 67 89", "Mme Martin"):
        assert text.count(words) == 1, words
    assert text.count("dpo@exemple-courriel.example") == 1


def test_it_tells_nothing_else_of_the_deployment(api):
    """No processing, recipient or key's name, nothing of an exempt processing, not which software this is."""
    api.register("spam-filter", purpose="unsolicited_content_detection", controller="Filtre SA", retention="P7D")
    api.register("ads", data_recipients=["Régie SA"])
    html = _home(api, "en").text
    assert "Exemple SAS" in html  # the control
    names = ("Filtre SA", "spam-filter", "Régie SA", ">ads", "Processing", "bootstrap", "Sceau")
    assert [each for each in names if each in html] == []


def test_what_nobody_approved_yet_is_not_told(database):
    """The page shows nothing of a proposal: not its name, its controller or its contact."""
    with running(database, register_approval="two") as api:
        both = {"kind": "person", "scopes": ["register:approve", "register:write"]}
        keys = [api.ok("POST", "/v1/keys", {"name": name, **both})["key"] for name in ("Ada", "Bob")]
        ada = api.with_key(keys[0])
        ada.ok(*put_controller(MAIL))
        proposed = {"controller": None, "controllers": ["mail"], "data_protection_contact": "planned@exemple.example"}
        ada.register("secret-project", **proposed)
        html = _home(api).text
        assert "Aucun responsable" in html
        assert [each for each in ("secret", "planned@", "Courriel SAS") if each in html] == []


def test_software_finds_what_it_found(shared):
    """For programs, `/` is a 404 with a problem document, by any method."""
    for method in ("GET", "HEAD", "POST", "DELETE"):
        for accept in ("application/json", "*/*", "application/problem+json"):
            answer = shared.client.request(method, "/", headers={"Accept": accept})
            outcome = answer.status_code, answer.headers["content-type"], "allow" in answer.headers
            assert outcome == (404, "application/problem+json", False), (method, accept)


def test_what_was_read_is_remembered_for_a_minute(clocked, clock):
    """The page at `/` is remembered for a minute, and shows the present register after that."""
    services = clocked.client.app.state.services
    assert "Aucun responsable" in _home(clocked).text
    clocked.register("ads")
    assert "Aucun responsable" in _home(clocked).text
    services.reachable.keep((), 0)  # as long ago as a minute
    assert "Exemple SAS" in _home(clocked).text


def test_it_shows_the_name_that_people_know(database):
    """With SCEAU_BRAND the name stands above every page for people, and the colour is in the style sheet."""
    with running(database, brand="Exemple Messagerie, #0b5d4e") as api:
        assert '<p dir="auto">Exemple Messagerie</p>' in _home(api).text
        assert '<p dir="auto">Exemple Messagerie</p>' in api.client.get("/consent/none", headers=BROWSER).text
        style = api.client.get("/assets/sceau.css")
        assert (style.headers["content-type"], "--act: #0b5d4e;" in style.text) == ("text/css; charset=utf-8", True)
    with running(database) as api:
        assert "0b5d4e" not in api.client.get("/assets/sceau.css").text
