"""A notice counts only if it says all that staff must be told, in each of its languages."""

import re
from dataclasses import replace

import pytest

from app.core.staff import Lack, NoticeText, first_notice, lacking, lacks_of

PLACEHOLDER = {"fr": "[À compléter par l’opérateur", "en": "[To be completed by the operator"}
SECRET = {
    "fr": "Le contenu, l’identité des correspondants, l’intitulé et les documents joints.",
    "en": "The content, the identity of the correspondents, the subject line and the attachments.",
}
REVEALING = {
    "fr": "Article 226-13 : un an et 15\N{NO-BREAK SPACE}000 euros.",
    "en": "Article 226-13: one year, 15,000 euros.",
}
OPENING = {"fr": "Article 226-15 : un an et 45 000 euros.", "en": "Article 226-15: one year, 45,000 euros."}
OFFICE = {"fr": "trois ans et 45 000 euros", "en": "three years and 45,000 euros"}
ARTICLE = {
    "fr": f"Code pénal, article 432-9, ses deux alinéas : {OFFICE['fr']}.",
    "en": f"Code pénal, article 432-9, both paragraphs: {OFFICE['en']}.",
}
AFTER = {"fr": "Le secret dure au-delà de votre contrat.", "en": "Secrecy outlasts your job."}
OF_432_9 = (Lack.CODE_PENAL_432_9, Lack.BOTH_PARAGRAPHS_OF_432_9)


def lacks(language, *passages, title="Titre"):
    """What a text leaves out that has these lines besides what is secret and the other two articles."""
    return said_only(language, SECRET[language], REVEALING[language], OPENING[language], *passages, title=title)


def said_only(language, *passages, title="Titre"):
    """What a text of these lines alone leaves out."""
    return lacks_of(NoticeText(title, "\n\n".join(passages)), language)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_text_that_ships_lacks_what_the_operator_writes_and_nothing_else(language):
    """The text that ships lacks only the operator's passage, and is complete once that is written."""
    text = first_notice()[language]
    assert lacks_of(text, language) == (Lack.PASSAGE_TO_COMPLETE,)
    completed = replace(text, body=text.body.replace(PLACEHOLDER[language], "[Written"))
    assert lacks_of(completed, language) == ()


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    ("left_out", "lack"),
    [
        (SECRET, (Lack.FOUR_ELEMENTS,)),
        (REVEALING, (Lack.CODE_PENAL_226_13,)),
        (OPENING, (Lack.CODE_PENAL_226_15,)),
        (ARTICLE, OF_432_9),
        (AFTER, (Lack.SECRECY_AFTER_LEAVING,)),
        (None, ()),
    ],
)
def test_each_thing_left_out_is_named(language, left_out, lack):
    """Each required passage is reported as lacking when it is taken out; control: the whole text lacks nothing."""
    complete = (SECRET, REVEALING, OPENING, ARTICLE, AFTER)
    assert said_only(language, *[each[language] for each in complete if each is not left_out]) == lack


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    "word", [r"l’identité des correspondants|identity", "contenu|content", "intitulé|subject", "documents|attachments"]
)
def test_each_of_the_four_secrets_is_named(language, word):
    """A text that names only three of the four secrets is incomplete; a list of the four is enough."""
    others = (REVEALING[language], OPENING[language], ARTICLE[language], AFTER[language])
    assert said_only(language, re.sub(word, "…", SECRET[language]), *others) == (Lack.FOUR_ELEMENTS,)
    listed = "\n".join(f"- {each}" for each in re.split(", | et | and ", SECRET[language]))
    assert said_only(language, listed, *others) == ()


@pytest.mark.parametrize(
    ("article", "penalty", "lack"),
    [
        ("226-13", "un an", Lack.CODE_PENAL_226_13),
        ("226-13", "15 000", Lack.CODE_PENAL_226_13),
        ("226-15", "un an", Lack.CODE_PENAL_226_15),
        ("226-15", "45 000", Lack.CODE_PENAL_226_15),
        ("432-9", "trois ans", Lack.CODE_PENAL_432_9),
        ("432-9", "45 000", Lack.CODE_PENAL_432_9),
    ],
)
def test_an_article_counts_with_its_penalty(article, penalty, lack):
    """An article counts only if its own prison term and its own fine stand beside it."""
    complete = [
        SECRET["fr"],
        REVEALING["fr"].replace("\N{NO-BREAK SPACE}", " "),
        OPENING["fr"],
        ARTICLE["fr"],
        AFTER["fr"],
    ]
    passages = [each.replace(penalty, "…") if article in each else each for each in complete]
    assert passages != complete
    assert said_only("fr", *passages) == (lack,)


@pytest.mark.parametrize(
    "place", ["[À compléter]", "[A COMPLÉTER", "[ à compléter", "[To be completed", "[to be\xa0completed"]
)
def test_a_passage_to_complete_is_found_however_it_is_written(place):
    """A passage to complete is found with or without accents and capitals, in the body or title of either language."""
    for language in ("fr", "en"):
        assert lacks(language, ARTICLE[language], AFTER[language], place) == (Lack.PASSAGE_TO_COMPLETE,)
        lacking = lacks(language, ARTICLE[language], AFTER[language], title=place)
        assert lacking == (Lack.PASSAGE_TO_COMPLETE,)


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
    """Both paragraphs of 432-9 may be named together or one by one, with any kind of hyphen."""
    assert lacks(language, f"{line}, {OFFICE[language]}", AFTER[language]) == ()


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
    """The two paragraphs must be named beside article 432-9, and not one alone or beside another article."""
    first = f"{lines[0]}, {OFFICE[language]}"
    assert lacks(language, first, *lines[1:], AFTER[language]) == (Lack.BOTH_PARAGRAPHS_OF_432_9,)


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
    """Secrecy and the time after the job must stand in one sentence."""
    assert lacks(language, ARTICLE[language], sentence) == (() if says_it else (Lack.SECRECY_AFTER_LEAVING,))


def test_both_languages_are_looked_at():
    """A notice lacks what either of its texts lacks; a language that is complete is not named."""
    parts = (SECRET, REVEALING, OPENING, ARTICLE, AFTER)
    complete = {language: NoticeText("T", "\n".join(each[language] for each in parts)) for language in ("fr", "en")}
    assert lacking(complete) == {}
    for language, part, lack in (("en", AFTER, (Lack.SECRECY_AFTER_LEAVING,)), ("fr", ARTICLE, OF_432_9)):
        body = complete[language].body.replace(part[language], "")
        assert lacking({**complete, language: NoticeText("T", body)}) == {language: lack}
