"""The whole text speaks to each kind of reader in their own words, and shows at once who receives the data."""

import re
from dataclasses import fields

import pytest

from app.core.article import CONSENT_PURPOSES, Element
from app.core.consent_link import FIRST
from app.core.consent_text import Who, consent_text, on_one_page
from app.core.period import Retention
from app.core.processing import PartyMode, Recipient, Transfer
from app.core.register import FieldChange
from app.core.wording import SENTENCES, Audience, Sentences
from app.words import LANGUAGES
from tests.core.page.test_questions import WHOLE
from tests.core.page.test_text import STANDING, asked

YOUNG = (Audience.TEEN, Audience.CHILD)
TITLES = ("title_decide", "title_renew", "title_withdraw", "title_answers")
FACTS = (
    {**WHOLE, "elements": frozenset(Element), "consequences": {"fr": "Rien.", "en": "Nothing."}},
    {"elements": frozenset({Element.SUBJECT_LINE}), "party_mode": PartyMode.ALL_PARTIES},
    {"party_mode": PartyMode.ALL_LOCAL_USERS, "data_protection_contact": None, "retention": Retention.parse("PT0S")},
    {"data_protection_contact": None, "controllers": (Who("A", "1 rue B"), Who("C", "2 rue D"))},
    {
        "changes": tuple(FieldChange(field, "P6M", "P3M") for field in SENTENCES[Audience.ALONE].changed),
        "changed_since": 1,
    },
)


def all_texts(audience, language):
    """The text of each way of being asked, about facts that use every sentence."""
    for facts in FACTS:
        for purpose in CONSENT_PURPOSES:
            for face in STANDING:
                for title in TITLES:
                    shown = [(asked(**facts, purpose=purpose), face)]
                    yield on_one_page(shown, language, title=title, audience=audience)[0]


@pytest.mark.parametrize("audience", YOUNG)
def test_the_young_are_never_spoken_to_as_vous(audience):
    """French pages for teenagers and children say `tu` and never `vous`, in each situation."""
    lines = {line for text in all_texts(audience, "fr") for line in text.lines}
    assert [line for line in lines if re.search(r"\b(vous|votre|vos|\w+ez)\b", line, re.IGNORECASE)] == []
    assert any(re.search(r"\btu\b", line) for line in lines)


def test_the_words_of_adults_do_say_vous():
    """Control: the words for adults say `vous`, and the search finds it."""
    lines = {line for text in all_texts(Audience.ALONE, "fr") for line in text.lines}
    assert [line for line in lines if re.search(r"\b(vous|votre|vos)\b", line, re.IGNORECASE)]


def test_a_parent_reads_of_the_child_in_the_third_person():
    """A parent's page never speaks of "your" messages, data or correspondents, or of "your child"."""
    for language, theirs in (
        ("fr", r"vos (messages|données|correspondants)|votre enfant"),
        ("en", r"your (messages|data|child|correspondents)|people you correspond"),
    ):
        lines = {line for text in all_texts(Audience.PARENT, language) for line in text.lines}
        assert [line for line in lines if re.search(theirs, line)] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("audience", YOUNG)
def test_no_article_is_cited_before_the_fold(audience, language):
    """The first lines for teenagers and children cite no article of law, and have no sentence over 32 words."""
    for text in all_texts(audience, language):
        first = [*text.frame.lines, *(each.text for each in text.first)]
        assert [line for line in first if re.search(r"article|RGPD|GDPR|loi du", line)] == []
        assert max(len(sentence.split()) for line in first for sentence in re.split(r"[.?!:]", line)) <= 32


def test_each_reader_has_every_sentence_in_each_language():
    """The words for each kind of reader have every sentence that those for adults have, in each language."""
    for words in SENTENCES.values():
        for field in fields(Sentences):
            theirs, adults = getattr(words, field.name), getattr(SENTENCES[Audience.ALONE], field.name)
            assert theirs.keys() >= adults.keys()
            assert all(set(texts) == set(LANGUAGES) for texts in theirs.values())


def test_a_parent_says_in_which_capacity_they_consent():
    """A parent's text asks for the capacity in which they consent, before the buttons, if a consent can be given."""
    (text,) = on_one_page([(asked(), FIRST)], "fr", audience=Audience.PARENT)
    assert text.lines[-5:-2] == (
        "Pour accepter, dites à quel titre :",
        "Titulaire de l’autorité parentale",
        "Tuteur ou tutrice",
    )
    for face in STANDING:
        (text,) = on_one_page([(asked(), face)], "fr", audience=Audience.PARENT)
        assert (text.choice is not None) is face.accepts
        assert consent_text(asked(), "fr", face).choice is None


def at_once(language="fr", **facts):
    """The lines that are seen at once, without those on what is analysed and until when."""
    return [each.text for each in consent_text(asked(**facts), language).first[1:-1]]


@pytest.mark.parametrize(
    ("recipients", "fr", "en"),
    [
        ((), [], []),
        (("A", ""), ["Transmis à A."], ["Passed on to A."]),
        (("A", "FR"), ["Transmis à A."], ["Passed on to A."]),
        (
            ("A", "US"),
            ["Transmis à A, hors de l’Union européenne."],
            ["Passed on to A, outside the European Union."],
        ),
        (
            ("A", "FR", "B", "US"),
            ["Transmis à A et B, dont un hors de l’Union européenne."],
            ["Passed on to A and B, one of them outside the European Union."],
        ),
        (
            ("A", "FR", "B", "US", "C", "IN"),
            ["Transmis à A, B et C, dont 2 hors de l’Union européenne."],
            ["Passed on to A, B and C, 2 of them outside the European Union."],
        ),
        (
            ("A", "FR", "B", "US", "C", "", "D", "NO"),
            ["Transmis à 4 destinataires, dont un hors de l’Union européenne."],
            ["Passed on to 4 recipients, one of them outside the European Union."],
        ),
    ],
)
def test_who_receives_the_data_is_seen_at_once(recipients, fr, en):
    """One line names up to three recipients, or counts more, and counts those outside the Union; it may be absent."""
    who = frozenset(
        Recipient(name, "", country) for name, country in zip(recipients[::2], recipients[1::2], strict=True)
    )
    transfers = frozenset(Transfer(each.country, "Clauses.") for each in who if each.country in {"US", "IN"})
    facts = {"recipients": who, "transfers": transfers}
    assert (at_once(**facts), at_once("en", **facts)) == (fr, en)


def test_a_transfer_to_nobody_named_is_seen_at_once():
    """A transfer out of the Union is shown at once, even if no recipient there is named."""
    facts = {"recipients": frozenset({Recipient("A", "", "FR")}), "transfers": frozenset({Transfer("US", "Clauses.")})}
    assert at_once(**facts) == [
        "Transmis à A.",
        "Des données sont transférées hors de l’Union européenne : États-Unis.",
    ]


def test_after_a_no_nothing_says_until_when_a_yes_would_last():
    """After a refusal or a withdrawal, the first lines do not say until when a consent would last."""
    lines = {face: consent_text(asked(), "fr", face).first for face in STANDING}
    dated = {face: any(each.dated for each in first) for face, first in lines.items()}
    assert all(dated[face] is (face.open or face.renews) for face in STANDING)


@pytest.mark.parametrize(
    ("title", "face", "line"),
    [
        ("title_decide", 0, "Exemple SAS vous demande votre accord."),
        ("title_withdraw", 5, "Accord donné à Exemple SAS."),
        ("title_answers", 5, "Accord donné à Exemple SAS."),
        ("title_answers", 3, "Réponse donnée à Exemple SAS."),
        ("title_answers", 6, "Réponse donnée à Exemple SAS."),
    ],
)
def test_who_withdraws_or_has_answered_reads_to_whom(title, face, line):
    """The first line says that the company asks, or that a consent or an answer was given to it, as is the case."""
    (text,) = on_one_page([(asked(), STANDING[face])], "fr", title=title)
    assert text.frame is not None
    assert text.frame.who.text == line


def test_one_consent_among_several_answers_is_an_answer():
    """With one processing accepted and another refused, the page speaks of an answer; one to withdraw, of a consent."""
    shown = [(asked(), STANDING[5]), (asked(notice={"fr": "Autre."}), STANDING[6])]
    texts = {title: on_one_page(shown, "fr", title=title)[0] for title in ("title_answers", "title_withdraw")}
    assert texts["title_answers"].lines[1] == "Réponse donnée à Exemple SAS."
    assert texts["title_withdraw"].lines[1] == "Accord donné à Exemple SAS."
