"""What a person can keep of their answers, and the page that is kept as evidence."""

import base64
import hashlib
import json
import re

from tests.support.api import utc
from tests.support.consent_page import Page, Person, history, link
from tests.support.databases import rows


def receipt(person, form="html"):
    """The receipt by a link."""
    return person.api.client.get(f"{person.path}?lang={person.lang}&receipt={form}")


def test_the_receipt_tells_the_whole_answer(clocked, clock):
    """What, who, when, until when, the number of the answer, the version, the text shown and its hash: as a file."""
    clocked.register("ads-mail")
    clock.at = utc("2026-11-25T11:40:00Z")
    person = Person(clocked, link(clocked, "margaux@example.fr", "ads-mail"))
    asked = person.open()
    page = person.press("accept", "ads-mail")
    assert "?lang=fr&receipt=html" in page.links
    answer = receipt(person)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="recu-de-consentement-2026-11-25.html"'
    (recorded,) = history(clocked, "margaux@example.fr")
    text = Page(answer).text()
    for words in (
        "Votre compte : ma…@example.fr",
        "Vous avez accepté le 25 novembre 2026 à 12 h 40 (heure de Paris). Accord en vigueur jusqu'au",
        "Exemple SAS",
        recorded["id"],
        "ads-mail, version 1",
        asked.stated["ads-mail"],
        "Établi le 25 novembre 2026",
        "Ouvrez le lien par lequel vous avez répondu. Sans ce lien : https://sceau.example.fr/",
    ):
        assert words in text, words
    shown = [" ".join(line.split()).replace("’", "'") for line in asked.said["ads-mail"]]
    assert all(line in text for line in shown)
    assert "margaux@" not in answer.text
    assert not re.search(r"<link|<script|<img|src=|url\(", answer.text)  # it loads nothing
    assert "<style>" in answer.text
    assert re.findall(r'href="([^"]+)"', answer.text) == ["https://sceau.example.fr/", "mailto:dpo@exemple.example"]
    assert person.path not in answer.text  # a receipt is shown to others, and the link answers


def test_the_receipt_as_json(shared):
    """The same for software; the hash is that of the text in it."""
    person = Person(shared, link(shared, "by-json", "ads-mail", "stats-mail"), "en")
    person.press("refuse", "ads-mail")
    answer = receipt(person, "json")
    assert answer.headers["content-type"].startswith("application/json")
    (told,) = json.loads(answer.text)["answers"]
    (recorded,) = history(shared, "by-json")
    assert (told["event"], told["decision"], told["version"]) == (recorded["id"], "refused", 1)
    assert hashlib.sha256(told["presented_text"].encode()).hexdigest() == told["presented_text_sha256"]
    assert "in_force_until" not in told


def test_a_withdrawal_has_a_receipt(shared):
    """Who withdrew can keep that too, signed as well: the signed one is of the withdrawal, not of what it ended."""
    person = Person(shared, link(shared, "by-withdrawing", "ads-mail"))
    person.press("accept", "ads-mail")
    page = person.press("withdraw", "ads-mail")
    assert "Vous avez retiré votre accord le" in Page(receipt(person)).text()
    (wanted,) = [each for each in page.links if "receipt=signed" in each]
    claims = json.loads(base64.urlsafe_b64decode(shared.client.get(person.path + wanted).text.split(".")[1] + "=="))
    (record,) = claims["receipt"]["dpv:hasRecordOfActivity"]
    assert record["dct:identifier"] == history(shared, "by-withdrawing")[-1]["id"]
    assert record["dpv:hasConsentStatus"][0]["@type"] == ["dpv:ConsentWithdrawn"]


def test_a_signed_receipt_of_each_answer(shared):
    """A link for each processing that was answered saves a receipt whose signature and record are of that answer."""
    person = Person(shared, link(shared, "by-signing", "ads-mail", "stats-mail"))
    page = person.press("accept", "ads-mail")
    (wanted,) = [each for each in page.links if "receipt=signed" in each]
    assert wanted == "?lang=fr&receipt=signed&processing=ads-mail"
    answer = shared.client.get(person.path + wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    assert re.fullmatch(
        r'attachment; filename="recu-de-consentement-[0-9-]{10}\.ads-mail\.jwt"', answer.headers["content-disposition"]
    )
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in answer.text.split(".")[:2])
    (recorded,) = history(shared, "by-signing")
    assert head["typ"] == "sceau-consent-receipt+jwt"
    assert claims["receipt"]["dpv:hasRecordOfActivity"][0]["dct:identifier"] == recorded["id"]
    assert "by-signing" not in str(claims)
    for other in ("stats-mail", "unknown", ""):
        about = f"&processing={other}" if other else ""
        answer = shared.client.get(f"{person.path}?receipt=signed{about}")
        assert (answer.status_code, "Ce lien" in answer.text) == (404, False)  # the link itself works


def test_there_is_no_receipt_without_an_answer_or_a_link(shared):
    """There is no receipt before an answer, by an unknown link or in another format, and a page says so."""
    person = Person(shared, link(shared, "by-nothing", "ads-mail"))
    assert receipt(person).status_code == 404
    assert not any("receipt" in each for each in person.open().links)
    assert receipt(person, "pdf").status_code == 400
    assert receipt(Person(shared, "/consent/none")).status_code == 404


def test_the_page_is_kept_without_the_person(api, database):
    """One page for everyone who was shown this version in this language: no account, no date, nothing of a form."""
    api.register("ads-mail")
    kept = []
    for name in ("alice@example.fr", "bob@example.org"):
        person = Person(api, link(api, name, "ads-mail"))
        person.press("accept", "ads-mail")
        (recorded,) = history(api, name)
        kept.append(recorded["evidence"]["presented_page_sha256"])
    assert kept[0] == kept[1]
    html = api.ok("GET", f"/v1/presented-texts/{kept[0]}")["text"]
    assert "al…" not in html
    assert not re.search(r"name=\"(?:form|seal|shown)\" value=\"[^\"]", html)
    assert "Votre compte : <strong" in html.replace("\N{NO-BREAK SPACE}", " ")
    assert "<style>" in html
    assert 'class="answers"' in html
    assert rows(database, "SELECT count(*) FROM presented_text") == [(2,)]


def test_the_kept_page_shows_the_text_that_was_hashed(shared):
    """Read off the page that was kept, the text gives the hash that stands beside it in the evidence."""
    person = Person(shared, link(shared, "kept", "ads-mail", "stats-mail"), "en")
    person.press("accept", "ads-mail")
    (recorded,) = history(shared, "kept")
    html = shared.ok("GET", f"/v1/presented-texts/{recorded['evidence']['presented_page_sha256']}")["text"]

    class Answer:
        status_code, headers, text = 200, {}, html

    assert Page(Answer()).fingerprint("ads-mail") == recorded["evidence"]["presented_text_sha256"]
