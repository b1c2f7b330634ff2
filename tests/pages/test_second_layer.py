"""What the page shows beside the two answers: the operator's particulars, the languages, the way out of a renewal."""

import re
from typing import Any

import pytest
from markupsafe import Markup

from app.core.wording import Mark, Passage
from app.pages.rendering import in_french, spoken, worded
from tests.support.api import put_controller, subject, utc
from tests.support.consent_page import Person, ask_link, consents, history, link
from tests.support.two_persons import add

PARTICULARS = {
    "recipients": [{"name": "Régie SA", "role": "sous-traitant", "country": "FR"}],
    "transfers": [{"country": "US", "safeguards": "Clauses contractuelles types."}],
    "storage_location": "Roubaix",
    "automated_decisions": "Aucune.",
    "consequences": {"fr": "D'autres publicités.", "en": "Other advertisements."},
    "conditional": False,
    "derived_data_erased_within": "P30D",
    "privacy_policy": "https://www.exemple.example/privacy",
    "legal_notice": "https://www.exemple.example/legal",
    "accessibility_statement": "https://www.exemple.example/a11y",
}


def register_whole(api):
    """A processing with everything that the register can hold, of a controller with an address."""
    controller = {
        "id": "exemple-whole",
        "kind": "other",
        "legal_name": "Exemple SAS",
        "postal_address": "1 rue de la Paix, 75002 Paris",
        "data_protection_officer": "dpo@exemple.example",
    }
    api.ok(*put_controller(controller))
    other = {"controller": None, "controllers": ["exemple-whole"], "data_recipients": None}
    api.register("whole-mail", **other, **PARTICULARS)


def test_the_page_shows_what_the_register_holds(shared):
    """Address, officer, role and country, transfers, place, decisions, consequences, erasure; links as links."""
    register_whole(shared)
    page = Person(shared, link(shared, "reader", "whole-mail")).open()
    for words in (
        "Exemple SAS, 1 rue de la Paix, 75002 Paris, responsable du traitement.",
        "Délégué à la protection des données : dpo@exemple.example",
        "Régie SA, sous-traitant, France.",
        "Vers ce pays : États-Unis. Garanties : Clauses contractuelles types.",
        "Où sont-elles conservées ? Roubaix",
        "D'autres publicités.",
        "effacées sous 30 jours",
    ):
        assert words in page.text(), words
    for address in (
        "mailto:dpo@exemple.example",
        *(value for value in PARTICULARS.values() if str(value)[:5] == "https"),
    ):
        assert address in page.links
    assert page.links.count("https://www.exemple.example/a11y") == 2  # among the details, and at the foot
    assert page.fingerprint("whole-mail") == page.stated["whole-mail"]
    english = Person(shared, link(shared, "reader", "whole-mail"), "en").open()
    assert '<dd data-said lang="fr" dir="auto">Roubaix</dd>' in english.html


def test_what_a_material_version_changed_is_shown(shared):
    """Who had accepted an earlier version reads what differs, before and after."""
    shared.register("longer-mail")
    person = Person(shared, link(shared, "follower", "longer-mail"))
    person.press("accept", "longer-mail")
    add(shared, "longer-mail", retention="P90D", material=True)
    page = Person(shared, link(shared, "follower", "longer-mail")).open()
    assert "Vous aviez répondu sur la version 1. Depuis :" in page.text()
    assert "La durée de conservation : avant, 30 jours ; maintenant, 90 jours." in page.text()
    assert page.fingerprint("longer-mail") == page.stated["longer-mail"]
    assert "Depuis :" not in Person(shared, link(shared, "newcomer", "longer-mail")).open().text()


def test_only_whole_languages_are_offered(shared):
    """A processing without an English notice has a French page whatever is asked for, and no switch."""
    shared.register("french-mail", notice={"fr": "Avis."})
    for names, offered in ((("french-mail",), False), (("stats-mail",), True), (("french-mail", "stats-mail"), False)):
        page = Person(shared, link(shared, "polyglot", *names), "en").open()
        assert ('<html lang="en">' in page.html) is offered
        assert ("languages" in page.html) is offered
    person = Person(shared, link(shared, "answering", "french-mail"), "en")
    person.press("accept", "french-mail")
    (recorded,) = history(shared, "answering")
    assert recorded["evidence"]["language"] == "fr"


def test_a_telephone_account_is_recognisable(shared):
    """The page shows the beginning and the last two digits of a telephone account, and never the whole number."""
    account: dict[str, Any] = {"subject": subject("+33612345678", "phone"), "authentication": "in_person"}
    page = Person(shared, link(shared, "ignored", "ads-mail", **account)).open()
    assert "Votre compte : +33 6 •• •• •• 78" in page.text()
    assert "612345678" not in page.html


@pytest.fixture(scope="module")
def asked(moving):
    """A service whose clock each test sets for itself, with one processing; each test has people of its own."""
    moving.register("ads-mail")
    return moving


@pytest.fixture
def clock(asked):
    """Its clock, at 15 June 2026."""
    asked.clock.at = utc("2026-06-15T12:00:00Z")
    return asked.clock


def test_not_to_renew_is_a_button_like_the_others(asked, clock):
    """Declining to renew ends no consent, is recorded once, folds the page, and stops reminders and questions."""
    asked.decide("stayer", "ads-mail")
    clock.at = utc("2027-06-01T10:00:00Z")
    person = Person(asked, link(asked, "stayer", "ads-mail"))
    page = person.press("decline", "ads-mail")
    assert page.status == 200
    assert "Accord en vigueur jusqu'au 14 juin 2027 inclus. Vous avez choisi de ne pas le renouveler" in page.text()
    assert page.buttons == {"ads-mail": ["accept", "withdraw"]}
    assert page.html.index("<form") < page.html.index("<details")
    assert asked.reason("stayer", "ads-mail") == "consent_in_force"
    assert [each["kind"] for each in history(asked, "stayer")] == ["granted", "renewal_declined"]
    again = ask_link(asked, "stayer", "ads-mail")
    assert (again.status_code, again.json()["type"]) == (409, "urn:sceau:problem:solicitation-paused")
    clock.at = utc("2027-06-02T10:00:00Z")
    assert person.press("accept", "ads-mail").buttons == {"ads-mail": ["withdraw"]}


def test_after_a_refusal_the_page_folds(shared):
    """After a refusal, the page shows the button to accept above the folded details."""
    reader, refuser = (Person(shared, link(shared, name, "ads-mail")) for name in ("fold-reader", "refuser"))
    page = refuser.press("refuse", "ads-mail")
    assert page.buttons == {"ads-mail": ["accept"]}
    assert page.html.index("<form") < page.html.index("<details")
    assert reader.open().html.index("<details") < reader.open().html.index("<form")


@pytest.mark.usefixtures("clock")
def test_a_link_collects_where_it_says(asked):
    """A consent given by a link of La Réunion is collected there: its year ends by the calendar that is ahead."""
    for name, territory, ends in (("rene", "RE", "2027-06-14T20:00:00Z"), ("paul", "FR", "2027-06-14T22:00:00Z")):
        made = Person(asked, link(asked, name, "ads-mail", territory=territory))
        assert made.press("accept", "ads-mail").status == 200
        assert [each["expires_at"] for each in consents(asked, name)] == [ends]
    assert ask_link(asked, "rene", "ads-mail", territory="PF").status_code == 422


def test_a_form_that_declines_counts_once_and_where_it_is_offered(asked, clock):
    """A form that declines to renew records nothing when it is sent twice, or by a person without a consent."""
    asked.decide("twice", "ads-mail")
    clock.at = utc("2027-06-01T10:00:00Z")
    person = Person(asked, link(asked, "twice", "ads-mail"))
    fields = person.open().filled("decline", "ads-mail")
    assert person.send(fields).status == 200
    assert person.send(fields).status == 409
    newcomer = Person(asked, link(asked, "holds-nothing", "ads-mail"))
    refused = newcomer.send({**newcomer.open().filled("accept", "ads-mail"), "press": "decline"})
    assert refused.status == 409
    assert [each["kind"] for each in history(asked, "twice")] == ["granted", "renewal_declined"]


def test_words_of_others_are_set_apart_and_only_safe_addresses_are_links():
    """Marked words stand in bdi, addresses of known schemes in links, all escaped; French spacing is kept."""
    passage = Passage("<Nom> : a@b.example ?", "fr", (Mark("<Nom>"), Mark("a@b.example", "mailto:a@b.example")))
    kept = "\N{NO-BREAK SPACE}"
    assert worded(passage) == (
        f'<bdi>&lt;Nom&gt;</bdi>{kept}: <a href="mailto:a@b.example" rel="noopener noreferrer">a@b.example</a>{kept}?'
    )
    assert worded(Passage("a b.", "en", (Mark("b", language="fr"),))) == 'a <bdi lang="fr">b</bdi>.'
    unsafe = Passage("x y", "en", (Mark("x", "javascript:alert(1)"), Mark("not there")))
    assert worded(unsafe) == "<bdi>x</bdi> y"
    assert worded(Passage("jusqu’au ….", "fr", dated=True), "1er mars 2027") == (
        f"jusqu’au <span data-filled>1er{kept}mars 2027</span>."
    )
    assert worded(Passage("jusqu’au ….", "fr", dated=True), "<b>") == "jusqu’au <span data-filled>&lt;b&gt;</span>."


@pytest.mark.parametrize(
    ("passage", "attributes"),
    [
        (Passage("a", "fr"), ""),
        (Passage("a", "en"), ' lang="en"'),
        (Passage("a", "fr", own=True), ' dir="auto"'),
        (Passage("a", "en", own=True), ' lang="en" dir="auto"'),
    ],
)
def test_each_element_says_its_language_and_direction(passage, attributes):
    """Another language than the page's is named; the direction of the operator's own words is left to them."""
    assert spoken(passage, "fr") == Markup(attributes)


def test_what_is_common_is_said_once(shared):
    """Of several requests of one controller, who is responsible, the law and the rights are on the page once."""
    page = Person(shared, link(shared, "once", "stats-mail", "better-mail")).open()
    for words in (
        "Qui est responsable ?",
        "Sur quelle base légale ?",
        "Quels sont mes droits ?",
        "Et si je change d'avis ?",
    ):
        assert page.text().count(words) == 1
    assert page.text().count("Pour quoi faire ?") == 2
    for each in ("stats-mail", "better-mail"):
        assert page.fingerprint(each) == page.stated[each]


def test_the_page_never_holds_its_own_address(shared):
    """A page that is saved or printed does not give its secret away."""
    person = Person(shared, link(shared, "secret", "ads-mail"))
    token = person.path.rpartition("/")[2]
    for page in (person.open(), person.press("accept", "ads-mail")):
        assert token not in page.html
        assert not re.search(r"/consent/", page.html)


def test_the_names_of_french_codes_are_french_in_an_english_text():
    """A screen reader says them in French; in a French text nothing is set apart, and nothing of a text is markup."""
    text = "See <b>the code pénal, article 226-13."
    assert in_french(text, "en") == Markup('See &lt;b&gt;the <span lang="fr">code pénal</span>, article 226-13.')
    assert in_french("Le code pénal : <b>", "fr") == Markup("Le code pénal\N{NO-BREAK SPACE}: &lt;b&gt;")
