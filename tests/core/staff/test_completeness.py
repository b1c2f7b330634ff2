"""A notice counts only when it says what staff must be told, in each of its languages."""

from dataclasses import replace

import pytest

from app.core.staff.completeness import Lack, lacking, lacks_of
from app.core.staff.coverage import NoticeText
from app.core.staff.notice import FIRST_NOTICE

PLACEHOLDER = {"fr": "[À compléter par l’opérateur", "en": "[To be completed by the operator"}
ARTICLE = {"fr": "Code pénal, article 432-9, ses deux alinéas.", "en": "Code pénal, article 432-9, both paragraphs."}
AFTER = {"fr": "Le secret dure au-delà de votre contrat.", "en": "Secrecy outlasts your job."}


def lacks(language, *said, title="Titre"):
    """What a text of these lines leaves out."""
    return lacks_of(NoticeText(title, "\n\n".join(said)), language)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_text_that_ships_lacks_what_the_operator_writes_and_nothing_else(language):
    """Completed by the operator, the text that ships is complete."""
    text = FIRST_NOTICE[language]
    assert lacks_of(text, language) == (Lack.PASSAGE_TO_COMPLETE,)
    completed = replace(text, body=text.body.replace(PLACEHOLDER[language], "[Written"))
    assert lacks_of(completed, language) == ()


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    ("left_out", "lack"),
    [(0, (Lack.CODE_PENAL_432_9, Lack.BOTH_PARAGRAPHS_OF_432_9)), (1, (Lack.SECRECY_AFTER_LEAVING,)), (2, ())],
)
def test_each_thing_left_out_is_named(language, left_out, lack):
    """Of a text that says both, either is missed when it is taken away; the control misses nothing."""
    said = [each for place, each in enumerate((ARTICLE[language], AFTER[language])) if place != left_out]
    assert lacks(language, *said) == lack


@pytest.mark.parametrize(
    "place", ["[À compléter]", "[A COMPLÉTER", "[ à compléter", "[To be completed", "[to be\xa0completed"]
)
def test_a_passage_to_complete_is_found_however_it_is_written(place):
    """With or without accents and capitals, in the body or in the title, in either text."""
    for language in ("fr", "en"):
        assert lacks(language, ARTICLE[language], AFTER[language], place) == (Lack.PASSAGE_TO_COMPLETE,)
        found = lacks(language, ARTICLE[language], AFTER[language], title=place)
        assert found == (Lack.PASSAGE_TO_COMPLETE,)


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("fr", "article 432\N{NON-BREAKING HYPHEN}9, alinéas 1er et 2"),
        ("fr", "432-9, premier et second alinéas"),
        ("fr", "432-9, al. 1 et 2"),
        ("fr", "l’article 432-9 (premier alinéa) et l’article 432-9 (deuxième alinéa)"),
        ("fr", "432-9, al. 1, puis 432-9, al. 2"),
        ("en", "article 432-9, paragraphs 1 and 2"),
        ("en", "432-9, first and second paragraphs"),
        ("en", "the first paragraph of 432-9 and its second paragraph"),
    ],
)
def test_both_paragraphs_are_named_in_several_ways(language, line):
    """Together or one by one, with any hyphen."""
    assert lacks(language, line, AFTER[language]) == ()


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("fr", ["article 432-9"]),
        ("fr", ["article 432-9, premier alinéa"]),
        ("fr", ["article 432-9", "article 226-15, ses deux alinéas"]),
        ("en", ["article 432-9, second paragraph"]),
        ("en", ["article 432-9", "article 226-15, both paragraphs"]),
    ],
)
def test_one_paragraph_or_another_article_s_is_not_both(language, lines):
    """The paragraphs are looked for where the article is named."""
    assert lacks(language, *lines, AFTER[language]) == (Lack.BOTH_PARAGRAPHS_OF_432_9,)


@pytest.mark.parametrize(
    ("language", "sentence", "says_it"),
    [
        ("fr", "Vous y restez tenue après votre départ", True),
        ("fr", "L’obligation de secret survit à la fin du contrat", True),
        ("fr", "Le secret vous oblige sans limitation de durée", True),
        ("fr", "Le secret vous oblige. Rendez votre badge après votre départ", False),
        ("fr", "Rendez votre badge après votre départ", False),
        ("en", "You remain bound by it after you leave", True),
        ("en", "These duties survive your contract; the secrecy survives your contract", True),
        ("en", "Secrecy binds you. Return your badge after you leave", False),
        ("en", "Return your badge after you leave", False),
    ],
)
def test_secrecy_and_what_comes_after_stand_in_one_sentence(language, sentence, says_it):
    """A sentence about something else that comes after the job says nothing of secrecy."""
    assert lacks(language, ARTICLE[language], sentence) == (() if says_it else (Lack.SECRECY_AFTER_LEAVING,))


def test_both_languages_are_looked_at():
    """A notice lacks what either of its texts lacks; a language that is complete is not named."""
    whole = {language: NoticeText("T", f"{ARTICLE[language]}\n{AFTER[language]}") for language in ("fr", "en")}
    assert lacking(whole) == {}
    assert lacking({**whole, "en": NoticeText("T", ARTICLE["en"])}) == {"en": (Lack.SECRECY_AFTER_LEAVING,)}
    assert lacking({**whole, "fr": NoticeText("T", AFTER["fr"])}) == {
        "fr": (Lack.CODE_PENAL_432_9, Lack.BOTH_PARAGRAPHS_OF_432_9)
    }
