import hashlib

import pytest

from app.core.article import CONSENT_PURPOSES, Element, Purpose
from app.core.page.text import LANGUAGES, Asked, consent_text
from app.core.period import ConsentPeriod
from app.core.retention import Retention


def asked(**more):
    """A processing that asks, with whatever is different."""
    facts = {
        "controller": "Exemple SAS",
        "contact": "dpo@exemple.example",
        "purpose": Purpose.ADVERTISING,
        "elements": frozenset({Element.CONTENT, Element.SUBJECT_LINE}),
        "automated": True,
        "recipients": frozenset({"Régie B", "Régie A"}),
        "validity": ConsentPeriod.parse("P1Y"),
        "retention": Retention.parse("P30D"),
        "name": {"fr": "Publicité", "en": "Advertising"},
        "notice": {"fr": "Pour choisir\ndes publicités.\n\nRien  d'autre.", "en": "To choose advertisements."},
        **more,
    }
    return Asked(**facts)


def answers(text, topic):
    """What the text answers to one question."""
    return [passage.text for row in text.rows if row.topic == topic for passage in row.answers]


def test_every_question_is_answered_in_french():
    """Who, what for, what, until when, refusing, withdrawing, others, rights: in that order, none empty."""
    text = consent_text(asked(), "fr")
    assert [row.topic for row in text.rows] == [
        *("who", "what_for", "what", "how_long", "refuse", "withdraw", "others", "rights"),
    ]
    assert all(row.answers for row in text.rows)
    assert answers(text, "who") == [
        "Exemple SAS, responsable du traitement.",
        "Contact pour la protection de vos données : dpo@exemple.example",
    ]
    assert answers(text, "what_for")[0] == "À des fins publicitaires."
    assert answers(text, "what")[0] == "Le contenu de vos messages et leur objet."
    assert answers(text, "how_long")[0].startswith("Votre consentement est valable 1 an au plus,")
    assert answers(text, "how_long")[1] == "Les données tirées de l’analyse sont conservées 30 jours."
    assert answers(text, "others") == ["Régie A et Régie B."]
    assert "aucun nouvel accord n’est donné" in answers(text, "refuse")[0]
    assert "à tout moment" in answers(text, "withdraw")[0]
    assert (
        "prend effet aussitôt, sans remettre en cause la licéité de ce qui a été fait avant."
        in answers(text, "withdraw")[0]
    )
    assert answers(text, "what_for")[-1].startswith("Base légale : votre consentement (RGPD, article 6")
    assert "introduire une réclamation auprès de la CNIL" in answers(text, "rights")[1]
    assert "www.cnil.fr" in answers(text, "rights")[1]


def test_what_the_register_lacks_is_said():
    """No contact, nobody else, nothing kept, nothing said of keeping: each is told as it is."""
    text = consent_text(asked(contact=None, recipients=frozenset(), retention=Retention.parse("PT0S")), "en")
    assert answers(text, "who")[1].startswith("No dedicated data-protection contact has been registered here")
    assert answers(text, "others") == ["No recipient is registered."]
    assert answers(text, "how_long")[1] == "The data drawn from the analysis are not kept."
    assert len(answers(consent_text(asked(retention=None), "en"), "how_long")) == 1


def test_a_text_registered_in_french_only_stays_french():
    """On the English page the name and notice without a translation are French, and said to be."""
    text = consent_text(asked(name={"fr": "Publicité"}, notice={"fr": "Avis."}), "en")
    assert (text.name.text, text.name.language) == ("Publicité", "fr")
    notice = text.rows[1].answers[1]
    assert (notice.text, notice.language) == ("Avis.", "fr")
    assert text.rows[1].answers[0].language == "en"


@pytest.mark.parametrize(
    ("elements", "fr", "en"),
    [
        ({Element.SUBJECT_LINE}, "L’objet de vos messages.", "The subject line of your messages."),
        ({Element.ATTACHMENTS}, "Les pièces jointes.", "Attachments."),
        (
            set(Element),
            "Le contenu de vos messages, leur objet, l’identité de vos correspondants et les pièces jointes.",
            (
                "The content of your messages, their subject line, the identity of the people you correspond with"
                " and attachments."
            ),
        ),
        (
            {Element.SUBJECT_LINE, Element.CORRESPONDENT_IDENTITY},
            "L’objet de vos messages et l’identité de vos correspondants.",
            "The subject line of your messages and the identity of the people you correspond with.",
        ),
    ],
)
def test_elements_in_words(elements, fr, en):
    """Each element that a processing declares is told, and no other."""
    wanted = asked(elements=frozenset(elements))
    assert answers(consent_text(wanted, "fr"), "what")[0] == fr
    assert answers(consent_text(wanted, "en"), "what")[0] == en


def test_nobody_is_told_to_read_only_when_nobody_does():
    """That nobody reads is said of an automated analysis only."""
    assert (
        answers(consent_text(asked(), "en"), "what")[1]
        == "The analysis is fully automated: for this processing, no person reads your messages."
    )
    assert len(answers(consent_text(asked(automated=False), "en"), "what")) == 1


@pytest.mark.parametrize("purpose", sorted(CONSENT_PURPOSES))
def test_every_purpose_of_iv_has_its_words(purpose):
    """Each purpose that rests on consent is named in both languages."""
    for language in LANGUAGES:
        assert answers(consent_text(asked(purpose=purpose), language), "what_for")[0].endswith(".")


def test_the_hash_is_of_the_lines_in_order():
    """Name, questions and answers, one a line, white space collapsed, NFC, UTF-8: as docs/consent-page.md says."""
    text = consent_text(asked(name={"fr": "Publicite\N{COMBINING ACUTE ACCENT}  ici"}), "fr")
    lines = text.plain.split("\n")
    assert lines[0] == "Publicité ici"
    assert lines[1] == "Qui est responsable ?"
    assert "Rien d'autre." in lines
    assert lines[-1] == answers(text, "rights")[-1]
    assert text.sha256 == hashlib.sha256(text.plain.encode()).hexdigest()


@pytest.mark.parametrize(
    "more",
    [
        {"contact": None},
        {"elements": frozenset(Element)},
        {"retention": Retention.parse("P31D")},
        {"validity": ConsentPeriod.parse("P6M")},
        {"recipients": frozenset()},
        {"notice": {"fr": "Autre."}},
        {"controller": "Autre SAS"},
        {"purpose": Purpose.STATISTICS},
    ],
)
def test_whatever_is_told_is_in_the_hash(more):
    """A text that tells something else has another hash, in each language."""
    for language in LANGUAGES:
        assert consent_text(asked(), language).sha256 != consent_text(asked(**more), language).sha256


def test_no_button_is_named_that_may_not_stand_there():
    """The one text stands above different buttons: it names that of withdrawing, for later, and no other."""
    for language, quoted in (("fr", "« Je"), ("en", "“I ")):
        named = [line for line in consent_text(asked(), language).plain.split("\n") if quoted in line]
        assert len(named) == 1
        assert "Je retire mon accord" in named[0] or "I withdraw my consent" in named[0]


def test_the_french_is_typeset_and_what_is_registered_is_not_touched():
    """Sceau's own words have the apostrophe of print; a controller's name stays as it was registered."""
    text = consent_text(asked(controller="L'Exemple"), "fr")
    assert [line for line in text.plain.split("\n") if "'" in line] == [
        "L'Exemple, responsable du traitement.",
        "Rien d'autre.",
    ]
