import re
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from app.core.staff import Notice, NoticeStanding, NoticeText, first_notice, standing
from app.pages.staff import blocks_of

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
TEXT = NoticeText("Titre", "Texte")


@pytest.mark.parametrize(
    ("acknowledged", "left", "stands"),
    [
        (None, False, NoticeStanding.MISSING),
        (1, False, NoticeStanding.OUTDATED),
        (2, False, NoticeStanding.ACKNOWLEDGED),
        (2, True, NoticeStanding.LEFT),
        (None, True, NoticeStanding.LEFT),
    ],
)
def test_standing(acknowledged, left, stands):
    """Against version 2: nothing acknowledged, an older version, today's; who left is none of them."""
    assert standing(2, acknowledged, left=left) is stands


def test_a_text_is_known_by_its_hash():
    """Title, line feed and body, in UTF-8: anybody can compute it."""
    assert NoticeText("Él", "a\n\nb").sha256 == sha256("Él\na\n\nb".encode()).hexdigest()


def test_a_language_that_is_not_there_is_french():
    """Whoever reads another language is shown the French text, and told so."""
    notice = Notice(1, NOON, {"fr": TEXT})
    assert notice.text("en") == ("fr", TEXT)
    assert notice.text("fr") == ("fr", TEXT)


PENALTIES = {"226-13": ("15", "000"), "226-15": ("45", "000"), "432-9": ("45", "000")}
YEARS = {"fr": {"226-13": "un an", "226-15": "un an", "432-9": "trois ans"}}
YEARS["en"] = {"226-13": "one year", "226-15": "one year", "432-9": "three years"}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("article", PENALTIES)
def test_the_text_that_ships_tells_the_penalties(language, article):
    """Each article of the code pénal stands with its imprisonment and its fine (D. 98-5, third paragraph)."""
    (item,) = [line for line in first_notice()[language].body.splitlines() if article in line]
    assert f"{YEARS[language][article]} " in item.lower()
    thousands, rest = PENALTIES[article]
    assert re.search(rf"{thousands}[ ,]{rest} euros", item)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_text_that_ships_tells_the_obligations(language):
    """The four secrets, the exemptions, the three purposes that need consent, and the paragraphs."""
    words = {
        "fr": (
            "contenu",
            "identité des correspondants",
            "intitulé",
            "documents joints",
            "publicitaires",
            "statistiques",
        ),
        "en": ("content", "identity of the correspondents", "subject line", "attachments", "advertising", "statistics"),
    }
    body = first_notice()[language].body
    for word in (*words[language], "L32-3", "(III)", "(IV)", "D. 98-5"):
        assert word in body, word


def test_both_languages_say_the_same_things():
    """The two texts have the same headings, paragraphs and list items."""
    shapes = [[(kind, len(lines)) for kind, lines in blocks_of(text.body)] for text in first_notice().values()]
    assert shapes[0] == shapes[1]


def test_blocks():
    """Blank lines part blocks; a heading, a list and a paragraph are told apart; anything odd is a paragraph."""
    body = "# Titre\n\nUn\nparagraphe\r\n\r\n- un\n- deux\n\n\n- trois\nquatre\n\n#sans espace"
    assert blocks_of(body) == [
        ("heading", ("Titre",)),
        ("paragraph", ("Un paragraphe",)),
        ("list", ("un", "deux")),
        ("paragraph", ("- trois quatre",)),
        ("paragraph", ("#sans espace",)),
    ]
