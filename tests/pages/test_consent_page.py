import re

import pytest

from app.pages.rendering import PAGE_HEADERS
from tests.support.api import question, utc
from tests.support.consent_page import Page, Person, consents, link
from tests.support.two_persons import other_words

ALL = ("ads-mail", "stats-mail", "better-mail")


def test_opening_changes_nothing(shared):
    """Following the link and those of its page, with GET or HEAD, as often as one likes, records nothing at all."""
    path = link(shared, "scanner", *ALL)
    nobody = shared.with_key(None)
    for _ in range(2):
        page = Page(nobody.client.get(path))
        followed = [path + each for each in page.links if each.startswith(("?", "#"))]
        assert len(followed) == 2  # another language, and past the frame
        assert {nobody.client.get(each).status_code for each in (path, *followed)} == {200}
        assert nobody.client.head(path).status_code == 200
    assert consents(shared, "scanner") == []
    assert shared.reason("scanner", "ads-mail") == "no_consent"


def test_every_question_is_answered_before_anything_is_chosen(shared):
    """All that the law wants told, refusing, withdrawing and the CNIL included, is read before the first button."""
    page = Person(shared, link(shared, "reader", "ads-mail")).open()
    before = page.text().partition("J'accepte pour")[0]
    for words in (
        "Exemple SAS, responsable du traitement.",
        "dpo@exemple.example",
        (
            "À des fins publicitaires. Texte de ads-mail Sur quelle base légale ? Votre accord, que la loi appelle "
            "consentement (RGPD, article 6"
        ),
        "Pour refuser : appuyez sur « Je refuse », ou fermez la page.",
        "Le contenu de vos messages et leur objet.",
        "Votre accord est valable 1 an",
        "Si vous acceptez maintenant : au plus tard jusqu'au",
        "conservées 30 jours",
        "Si vous ne répondez pas, vous n'avez pas donné votre accord.",
        "Vous pouvez retirer votre accord à tout moment",
        "Régie SA.",
        "www.cnil.fr/fr/plaintes",
        "Si vous avez moins de 15 ans, ne répondez pas ici",
        "Vous n'avez pas encore répondu : aucun accord n'est enregistré.",
    ):
        assert words in before, words


def test_the_page_says_whose_account_it_is_about_and_not_the_whole_id(shared):
    """The page hints at the account that it is about, and does not show the whole address."""
    person = Person(shared, link(shared, "margaux.lefebvre@example.fr", "ads-mail"))
    for page in (person.open(), person.press("accept", "ads-mail")):
        assert "Votre compte : ma…@example.fr" in page.text()
        assert "lefebvre" not in page.html


def test_nothing_is_selected_and_each_processing_has_its_own_act(shared):
    """Each processing has its accept and its refuse button; one button refuses all, and none accepts all."""
    page = Person(shared, link(shared, "chooser", *ALL)).open()
    assert page.buttons == {**{each: ["accept", "refuse"] for each in ALL}, "": ["refuse_all"]}
    assert not re.search(r"checked|selected|type=\"(checkbox|radio)\"", page.html)


def test_the_page_runs_and_loads_nothing(shared):
    """No script, no cookie, no address of another site but the CNIL's, and the headers of pages."""
    page = Person(shared, link(shared, "careful", *ALL)).open()
    assert "script" not in page.tags
    assert "set-cookie" not in page.headers
    assert set(re.findall(r"https?://[^\"<]+", page.html)) == {"https://www.cnil.fr/fr/plaintes"}
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "", "fr"),
        ("", "en-GB,en;q=0.9", "en"),
        ("?lang=fr", "en", "fr"),
        ("?lang=en", "fr", "en"),
        ("?lang=de", "en", "en"),
        ("?lang=%22%3E%3Cscript%3E", "fr", "fr"),
    ],
)
def test_language(shared, query, accept, expected):
    """The page's language is the switch's, else the browser's, else French."""
    path = link(shared, f"polyglot {query} {accept}", "ads-mail")
    page = Page(shared.with_key(None).client.get(path + query, headers={"Accept-Language": accept}))
    assert f'<html lang="{expected}">' in page.html
    assert ("I accept" in page.html) is (expected == "en")


def test_refusing_one_and_all(shared):
    """One refusal leaves the others unanswered; refusing the rest records one refusal for each."""
    person = Person(shared, link(shared, "refuser", *ALL))
    page = person.press("refuse", "ads-mail")
    assert page.buttons["ads-mail"] == ["accept"]
    assert page.buttons["stats-mail"] == ["accept", "refuse"]
    page = person.press("refuse_all")
    assert page.status == 200
    decisions = {each["processing"]: each["decision"] for each in consents(shared, "refuser")}
    assert decisions == dict.fromkeys(ALL, "refused")
    assert "Vos réponses sont enregistrées." in page.text()
    assert page.buttons == {each: ["accept"] for each in ALL}


def test_withdrawing_one_and_all_by_a_withdraw_link(shared):
    """A withdraw link has a button for each consent and one for all, and asks about no other processing."""
    for each in ALL:
        shared.decide("leaver", each)
    person = Person(shared, link(shared, "leaver", *ALL, kind="withdraw"))
    page = person.open()
    assert page.buttons == {**{each: ["withdraw"] for each in ALL}, "": ["withdraw_all"]}
    person.press("withdraw", "ads-mail")
    assert shared.reason("leaver", "ads-mail") == "consent_withdrawn"
    assert shared.reason("leaver", "stats-mail") == "consent_in_force"
    page = person.press("withdraw_all")
    assert page.status == 200
    assert {shared.reason("leaver", each) for each in ALL} == {"consent_withdrawn"}
    assert page.buttons == {}
    assert "Vous avez retiré votre accord le" in page.text()


@pytest.fixture(scope="module")
def dated(moving):
    """A service whose clock each test sets for itself, with one processing."""
    moving.register("ads-mail")
    return moving


def test_what_is_in_force_and_until_when(dated):
    """The page says in words, in Paris time, when a consent was given and the last whole day on which it counts."""
    dated.clock.at = utc("2027-02-28T23:30:00Z")
    person = Person(dated, link(dated, "dated", "ads-mail"))
    assert "Si vous acceptez maintenant : au plus tard jusqu'au 29 février 2028 inclus." in person.open().text()
    shown = person.press("accept", "ads-mail").text()
    assert "Vous avez accepté le 1er mars 2027 à 0 h 30 (heure de Paris)." in shown
    assert "Accord en vigueur jusqu'au 29 février 2028 inclus." in shown
    shown = Person(dated, person.path, "en").open().text()
    assert "You accepted on 1 March 2027 at 00:30 (Paris time)." in shown
    assert "Consent in force until 29 February 2028 inclusive." in shown


def test_renewal(dated):
    """A link made while a consent lasts offers to renew or withdraw it; renewing starts the year anew."""
    dated.clock.at = utc("2026-06-15T12:00:00Z")
    dated.decide("renewer", "ads-mail")
    dated.clock.at = utc("2027-06-01T10:00:00Z")
    person = Person(dated, link(dated, "renewer", "ads-mail"), "en")
    page = person.open()
    assert page.buttons == {"ads-mail": ["accept", "decline", "withdraw"]}
    assert "Do you renew your consent?" in page.text()
    assert "If you renew now: until 31 May 2028 inclusive, at the latest." in page.text()
    assert "I renew: Processing" in page.text()
    assert "“I refuse”" not in page.text()
    assert (
        "If you do not want to renew, press “I do not renew” or close the page, and your consent ends on its date"
        in page.text()
    )
    assert "your consent stays valid until its end date" in page.text()
    assert page.fingerprint("ads-mail") == page.stated["ads-mail"]
    person.press("accept", "ads-mail")
    dated.clock.at = utc("2027-06-20T10:00:00Z")
    assert dated.reason("renewer", "ads-mail") == "consent_in_force"
    assert person.open().buttons == {"ads-mail": ["withdraw"]}


@pytest.mark.parametrize(
    ("declined", "shown"), [("refuse", "Un refus est déjà enregistré"), ("withdraw", "Vous avez retiré")]
)
def test_a_card_that_was_declined_names_the_buttons_that_it_has(shared, declined, shown):
    """A card that was declined names only the button that it has, which is to accept."""
    person = Person(shared, link(shared, f"decliner-{declined}", "ads-mail"))
    offered = person.open()
    if declined == "withdraw":
        person.press("accept", "ads-mail")
    page = person.press(declined, "ads-mail")
    assert page.buttons == {"ads-mail": ["accept"]}
    assert "« Je refuse »" not in page.text()
    assert "fermez la page, et rien ne change." in page.text().partition(shown)[2]
    assert page.fingerprint("ads-mail") == page.stated["ads-mail"] != offered.stated["ads-mail"]


def test_what_is_read_again_is_what_was_asked(shared):
    """The fold below an answer says whether it holds the text that was answered or today's text."""
    shared.register("reread-mail")
    person = Person(shared, link(shared, "rereader", "reread-mail"))
    assert "Relire ce qui vous a été demandé" in person.press("accept", "reread-mail").text()
    assert "Read today's text" in Person(shared, person.path, "en").open().text()
    other_words(shared, "reread-mail", {"fr": "Autre."})
    page = person.open()
    assert "Lire le texte d'aujourd'hui" in page.text()
    assert "Relire" not in page.text()


def test_a_consent_that_is_not_valid_is_not_told_as_one(shared):
    """The page does not call an unlawfully collected grant a consent that ended."""
    shared.decide("bundled", "ads-mail", evidence={"separate_from_terms": False})
    page = Person(shared, link(shared, "bundled", "ads-mail")).open()
    assert "Aucun accord valable n'est enregistré." in page.text()
    assert "aviez accepté" not in page.text()
    assert page.buttons == {"ads-mail": ["accept", "refuse"]}


def test_several_controllers_ask_together(shared):
    """Two controllers are named with "et", and ask in the plural."""
    shared.register("other-mail", controller="Autre SARL")
    path = link(shared, "several", "ads-mail", "other-mail")
    page = Person(shared, path).open()
    assert "Exemple SAS et Autre SARL vous demandent votre accord." in page.text()
    assert "Exemple SAS and Autre SARL ask for your consent." in Person(shared, path, "en").open().text()


def test_french_is_typeset(dated):
    """French has typographic apostrophes, and no-break spaces in dates and hours, in frame and hashed text."""
    dated.clock.at = utc("2026-11-25T11:40:00Z")
    page = Person(dated, link(dated, "typeset", "ads-mail")).press("accept", "ads-mail")
    kept = "\N{NO-BREAK SPACE}"
    assert f"25{kept}novembre 2026 à 12{kept}h{kept}40" in page.html
    assert "Jusqu’à quand" in page.html
    assert not re.search(r"[a-zé](?:'|&#39;)[a-zé]", page.html)
    assert page.fingerprint("ads-mail") == page.stated["ads-mail"]


def test_a_consent_that_ran_out_is_told(dated):
    """After its year the page says that nothing is in force, and since when it had been accepted."""
    dated.clock.at = utc("2026-06-15T12:00:00Z")
    dated.decide("lapsed", "ads-mail")
    dated.clock.at = utc("2027-06-20T10:00:00Z")
    page = Person(dated, link(dated, "lapsed", "ads-mail")).open()
    assert "Votre accord n'est plus en vigueur. Vous aviez accepté le 15 juin 2026" in page.text()
    assert page.buttons == {"ads-mail": ["accept", "refuse"]}


def test_markup_in_the_register_is_text(shared):
    """Names and notices with markup in them are shown as they are written, and hashed so."""
    shared.register(
        "markup-mail",
        controller="<b>Gras</b> & Fils",
        name={"fr": "<script>alert(1)</script>"},
        notice={"fr": "a < b & c > d \" '\n\nDeuxième <i>alinéa</i>."},
        data_recipients=["<img src=x>"],
    )
    page = Person(shared, link(shared, "markup", "markup-mail"), "en").open()
    assert '<html lang="fr">' in page.html  # registered in French only, so that no English page is offered
    assert "In English" not in page.text()
    assert "<script>" not in page.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.html
    assert "<img" not in page.html
    assert page.fingerprint("markup-mail") == page.stated["markup-mail"]
    assert '<dd data-said dir="auto">a &lt; b' in page.html


def test_the_outline_for_a_screen_reader(shared):
    """One h1, a heading for each processing and none skipped, landmarks, a way past them, buttons that say for what."""
    page = Person(shared, link(shared, "listener", *ALL)).open()
    assert [tag for tag in page.tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h2", "h2", "h2"]
    for landmark in ("header", "nav", "main", "footer"):
        assert page.tags.count(landmark) == 1, landmark
    assert page.html.index('class="skip" href="#content"') < page.html.index("<header")
    assert page.html.count('J’accepte<span class="unseen">') == len(ALL)


def test_the_decision_stands_whatever_the_subject_is_called(shared):
    """An answer by a link counts for the person under another spelling of the id."""
    person = Person(shared, link(shared, "Élodie@Exemple.FR", "ads-mail"))
    person.press("accept", "ads-mail")
    assert shared.evaluate("ÉLODIE@exemple.fr", "ads-mail")["decision"] is True
    assert shared.ok("POST", "/access/v1/evaluation", question("elodie@exemple.fr", "ads-mail"))["decision"] is False
