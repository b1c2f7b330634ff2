import hashlib
import re
from typing import Any

import pytest

from app.core.article import CONSENT_PURPOSES, Element, Purpose
from app.core.consent_link import FIRST, Act, Face, Situation
from app.core.consent_text import Asked, Who, consent_text, on_one_page
from app.core.period import ConsentPeriod, Retention
from app.core.processing import Recipient, told
from app.core.wording import Audience, Voice
from app.words import LANGUAGES
from tests.core.builders import version

WORDS = {
    "name": {"fr": "Publicité", "en": "Advertising"},
    "notice": {"fr": "Pour choisir\ndes publicités.\n\nRien  d'autre.", "en": "To choose advertisements."},
    "data_protection_contact": "dpo@exemple.example",
}
FACTS: dict[str, Any] = {
    "elements": frozenset({Element.CONTENT, Element.SUBJECT_LINE}),
    "recipients": frozenset({Recipient("Régie B"), Recipient("Régie A")}),
    "retention": Retention.parse("P30D"),
    "service": "courriel",
}


BESIDE = {"controllers": (Who("Exemple SAS"),), "purpose": Purpose.ADVERTISING, "changes": (), "changed_since": None}
SPOKEN = ("name", "notice", "consequences", "data_protection_contact")
LINKS = ("privacy_policy", "legal_notice", "accessibility_statement")


def asked(**more):
    """A processing that asks, with these words, facts and controllers instead of the usual ones."""
    words = {**WORDS, **{name: more.pop(name) for name in (*SPOKEN, *LINKS) if name in more}}
    beside = {**BESIDE, **{name: more.pop(name) for name in BESIDE if name in more}}
    return Asked(told(version(**{**FACTS, **more})), words, **beside)


AGE = (
    "Si vous avez moins de 15 ans, ne répondez pas ici : la loi exige votre accord et celui du ou des titulaires de "
    "l’autorité parentale."
)


def answers(text, topic):
    """What the text answers to one question."""
    return [passage.text for row in text.rows if row.topic == topic for passage in row.answers]


def test_every_question_is_answered_in_french():
    """The French text answers every question, in a fixed order."""
    text = consent_text(asked(), "fr")
    assert [row.topic for row in text.rows] == [
        *("who", "what_for", "basis", "what", "how_long", "refuse", "withdraw", "others", "rights"),
    ]
    assert all(row.answers for row in text.rows)
    assert answers(text, "who") == [
        "Exemple SAS, responsable du traitement.",
        "Contact pour la protection de vos données : dpo@exemple.example",
    ]
    assert answers(text, "what_for")[0] == "À des fins publicitaires."
    assert answers(text, "what")[0] == "Le contenu de vos messages et leur objet."
    assert answers(text, "how_long")[0].startswith("Votre accord est valable 1 an au plus,")
    assert answers(text, "how_long")[1] == "Les données tirées de l’analyse sont conservées 30 jours."
    assert answers(text, "others") == ["Régie A et Régie B."]
    assert answers(text, "refuse")[1] == "Si vous ne répondez pas, vous n’avez pas donné votre accord."
    assert "à tout moment" in answers(text, "withdraw")[0]
    assert (
        "prend effet aussitôt, sans remettre en cause la licéité de ce qui a été fait avant."
        in answers(text, "withdraw")[0]
    )
    assert answers(text, "basis")[0].startswith("Votre accord, que la loi appelle consentement (RGPD, article 6")
    assert "après votre mort" in answers(text, "rights")[1]
    assert "introduire une réclamation auprès de la CNIL : www.cnil.fr" in answers(text, "rights")[2]


def test_what_the_register_lacks_is_said():
    """The page says so if there is no contact, no recipient or nothing kept; an unknown retention is left out."""
    lacking: dict[str, Any] = {
        "data_protection_contact": None,
        "recipients": frozenset(),
        "retention": Retention.parse("PT0S"),
    }
    text = consent_text(asked(**lacking), "en")
    assert answers(text, "who")[1].startswith("No dedicated data-protection contact has been registered here")
    assert answers(text, "others") == ["No recipient is registered."]
    assert answers(text, "how_long")[1] == "The data drawn from the analysis are not kept."
    assert len(answers(consent_text(asked(retention=None), "en"), "how_long")) == 1


def test_a_text_registered_in_french_only_stays_french():
    """On the English page, a name and a notice without a translation are French and marked as French."""
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
    """The page names each element that a processing declares, and no other."""
    wanted = asked(elements=frozenset(elements))
    assert answers(consent_text(wanted, "fr"), "what")[0] == fr
    assert answers(consent_text(wanted, "en"), "what")[0] == en


def test_nobody_is_told_to_read_only_when_nobody_does():
    """Only of an automated analysis does the page say that no person reads the messages."""
    assert (
        answers(consent_text(asked(), "en"), "what")[1]
        == "The analysis is fully automated: for this processing, no person reads your messages."
    )
    assert "no person" not in consent_text(asked(automated=False), "en").plain


@pytest.mark.parametrize("purpose", sorted(CONSENT_PURPOSES))
def test_every_purpose_of_iv_has_its_words(purpose):
    """Each purpose that rests on consent is named in both languages."""
    for language in LANGUAGES:
        assert answers(consent_text(asked(purpose=purpose), language), "what_for")[0].endswith(".")


def test_the_hash_is_of_the_lines_in_order():
    """The hash is of the text's lines in order, with white space collapsed, in NFC and UTF-8 (docs/consent-page.md)."""
    text = consent_text(asked(name={"fr": "Publicite\N{COMBINING ACUTE ACCENT}  ici"}), "fr")
    lines = text.plain.split("\n")
    assert lines[:6] == [
        "Acceptez-vous que vos messages soient analysés ?",
        "Exemple SAS vous demande votre accord.",
        "À des fins publicitaires, au plus tard jusqu’au ….",
        AGE,
        "Publicité ici",
        "Le contenu de vos messages et leur objet.",
    ]
    assert lines[6:9] == [
        "Transmis à Régie A et Régie B.",
        "Si vous acceptez maintenant : au plus tard jusqu’au ….",
        "Qui est responsable ?",
    ]
    assert "Rien d'autre." in lines
    assert lines[-3] == answers(text, "rights")[-1]
    assert lines[-2:] == ["J’accepte pour Publicité ici", "Je refuse pour Publicité ici"]
    assert text.sha256 == hashlib.sha256(text.plain.encode()).hexdigest()


@pytest.mark.parametrize(
    "more",
    [
        {"data_protection_contact": None},
        {"elements": frozenset(Element)},
        {"retention": Retention.parse("P31D")},
        {"consent_validity": ConsentPeriod.parse("P6M")},
        {"recipients": frozenset()},
        {"notice": {"fr": "Autre."}},
        {"controllers": (Who("Autre SAS"),)},
        {"purpose": Purpose.STATISTICS},
    ],
)
def test_whatever_is_told_is_in_the_hash(more):
    """A text that tells another fact has another hash, in each language."""
    for language in LANGUAGES:
        assert consent_text(asked(), language).sha256 != consent_text(asked(**more), language).sha256


STANDING = [
    FIRST,
    Face(frozenset({Act.ACCEPT, Act.DECLINE, Act.WITHDRAW}), Situation.HOLDS),
    Face(frozenset({Act.ACCEPT, Act.WITHDRAW}), Situation.HOLDS, declined=True),
    Face(frozenset({Act.ACCEPT}), Situation.REFUSED),
    Face(frozenset({Act.ACCEPT}), Situation.WITHDRAWN),
    Face(frozenset({Act.WITHDRAW}), Situation.HOLDS),
    Face(frozenset(), Situation.REFUSED),
]


@pytest.mark.parametrize("face", STANDING)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_button_is_named_that_may_not_stand_there(face, language):
    """A text names only the buttons beside it, and the button to withdraw later."""
    text = consent_text(asked(), language, face)
    labels = [label for _, label in face.buttons(Voice(language))]
    labels.append({"fr": "Je retire mon accord", "en": "I withdraw my consent"}[language])
    named = re.findall("« (.*?) »|“(.*?)”", text.plain)
    assert {one or other for one, other in named} <= set(labels)


def test_each_way_of_standing_is_another_text():
    """No two sets of buttons share a hash of their text, although the text's body is the same for all."""
    for language in LANGUAGES:
        texts = [consent_text(asked(), language, face) for face in STANDING]
        assert len({text.sha256 for text in texts}) == len(STANDING)
        assert len({text.body for text in texts}) == 1


@pytest.mark.parametrize(
    ("audience", "who", "how"),
    [
        (Audience.TEEN, "C’est Exemple SAS qui te le demande.", "À partir de 15 ans, tu décides toi-même."),
        (Audience.CHILD, "C’est Exemple SAS qui te le demande.", "Tu as moins de 15 ans. Il faut donc ton accord"),
        (Audience.PARENT, "Exemple SAS vous demande votre accord.", "L’enfant a moins de 15 ans : la loi exige"),
    ],
)
def test_each_kind_of_reader_has_their_own_first_lines(audience, who, how):
    """Teenagers, children and parents each have first lines of their own, instead of an adult's warning about age."""
    (text,) = on_one_page([(asked(), FIRST)], "fr", audience=audience)
    assert text.lines[1] == who
    assert text.lines[3].startswith(how)
    assert AGE not in text.lines
    assert text.sha256 != consent_text(asked(), "fr").sha256


@pytest.mark.parametrize("title", ["title_renew", "title_answers", "title_withdraw"])
def test_the_title_and_the_first_lines_are_in_the_hash(title):
    """A text with another title has another hash."""
    for language in LANGUAGES:
        (other,) = on_one_page([(asked(), FIRST)], language, title=title)
        assert other.sha256 != consent_text(asked(), language).sha256


def test_buttons_come_last_while_an_answer_is_awaited_and_first_afterwards():
    """In the hashed lines, buttons follow the details while an answer is awaited, and come before them afterwards."""
    positions = {}
    for face in STANDING:
        lines = consent_text(asked(), "fr", face).lines
        buttons = [
            place for place, line in enumerate(lines) if line.startswith(("J’accepte pour", "Je retire mon accord p"))
        ]
        positions[face] = (buttons[:1], lines.index("Qui est responsable ?"))
    assert all(buttons[0] > details for face, (buttons, details) in positions.items() if face.open)
    assert all(buttons[0] < details for face, (buttons, details) in positions.items() if buttons and not face.open)


def test_what_several_have_in_common_is_said_once():
    """Rows that several processings share stand once before their cards; rows that differ stay in each card."""
    ads = asked()
    statistics = asked(purpose=Purpose.STATISTICS, notice={"fr": "Compter."})
    one, other = on_one_page([(ads, FIRST), (statistics, FIRST)], "fr")
    assert one.common == other.common
    assert {"who", "basis", "withdraw", "rights"} <= {row.topic for row in one.common}
    assert "what_for" in {row.topic for row in one.rows}
    assert not {row.topic for row in one.rows} & {row.topic for row in one.common}
    assert one.lines[:5] == other.lines[:5]
    assert one.lines[2] == "À des fins publicitaires et à des fins statistiques, au plus tard jusqu’au …."
    assert one.lines[3] == "Vous répondez à chaque demande séparément."
    assert one.sha256 != other.sha256


def test_the_french_is_typeset_and_what_is_registered_is_not_touched():
    """Sceau's own French has typographic apostrophes; registered texts keep the apostrophes that they have."""
    text = consent_text(asked(controllers=(Who("L'Exemple"),)), "fr")
    assert [line for line in text.plain.split("\n") if "'" in line] == [
        "L'Exemple vous demande votre accord.",
        "L'Exemple, responsable du traitement.",
        "Rien d'autre.",
    ]
