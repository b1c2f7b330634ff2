"""The catalogues of words: each language says all of what French says, and nothing is said that nobody asks for."""

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from app import words
from app.pages.console import ACTS
from app.words import LANGUAGES, SOURCE, Catalogue, listed

HERE = Path(words.__file__).parent
APP = HERE.parent
OTHERS = tuple(each for each in LANGUAGES if each != SOURCE)


def read(name: str) -> Catalog:
    """A catalogue of the package."""
    with (HERE / name).open("rb") as opened:
        return read_po(opened, abort_invalid=True)


def filled(text: str) -> set[str]:
    """The names that a text wants filled in."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def amiss(source: Catalog, other: Catalog) -> list[str]:
    """What a language lacks, has too much, or fills in otherwise, as lines for its translator."""
    ours, theirs = ({(each.context, each.id): each for each in catalogue if each.id} for catalogue in (source, other))
    lines = [f"{context}: not in French" for context, _ in theirs.keys() - ours.keys()]
    for context, text in ours:
        translated = theirs.get((context, text))
        if translated is None or not translated.string or translated.fuzzy:
            lines.append(f"{context}: not said")
        elif filled(str(text)) != filled(str(translated.string)):
            lines.append(f"{context}: other names are filled in")
    return lines


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_says_all_of_what_french_says(language):
    """No message is missing, empty, doubtful or left over, and the same names are filled in."""
    assert amiss(read("sceau.pot"), read(f"{language}.po")) == []


def test_a_gap_is_found():
    """Control: a message that is missing, one that fills in another name, and one that French does not have."""
    source, other = Catalog(), Catalog()
    source.add("{a} et {b}", context="x:both")
    source.add("rien", context="x:nothing")
    other.add("{a} et {b}", "{a} and {c}", context="x:both")
    other.add("tout", "all", context="x:all")
    assert len(amiss(source, other)) == 3


def test_no_two_french_messages_have_one_context():
    """A context says which message is meant: a second one would be said in its place."""
    contexts = [each.context for each in read("sceau.pot") if each.id]
    assert len(set(contexts)) == len(contexts)


def test_french_has_the_apostrophe_of_print():
    """The typewriter's stands in no French sentence."""
    assert [each.context for each in read("sceau.pot") if each.id and "'" in str(each.id)] == []


BY_WORDS_OF_THE_REGISTER = re.compile(
    r"(asking\w*\.(purpose|element|changed)|country|reason|reason_user|purpose|element|status|state|duration"
    r"|overview_\w+|report_acts|error_\d+|provider_kind|party_mode|console_\w+)$"
)
"""Parts whose names are values of an enum, a field or a code, looked up as such."""
PUT_TOGETHER = re.compile(
    r"(refused|withdrawn)_effect|eu-gdpr:A\d+(-\d)?|(warning|staff|anchors|gate|proposal|way|part|language)_\w+"
    rf"|({'|'.join(ACTS)})(_note|_done|_waits_done)?"
)
"""Names that the code makes of such a value, or of an act of the console, and a word."""


def test_every_word_is_asked_for():
    """Each name stands in the code or in a template: no sentence is kept that nobody says any more."""
    code = "\n".join(path.read_text() for kind in ("*.py", "*.html") for path in APP.rglob(kind))
    ids = set(re.findall(r"[\w:-]+", code))
    named = [(each.context or "").split(":", 1) for each in read("sceau.pot") if each.id]
    looked_up = [name for part, name in named if not BY_WORDS_OF_THE_REGISTER.match(part)]
    assert [name for name in looked_up if name not in ids and not PUT_TOGETHER.fullmatch(name)] == []


def test_a_later_part_takes_the_place_of_an_earlier_one():
    """A reader's own word is said where there is one, adults' words everywhere else."""
    child, adult = Catalogue("consent", "consent_young", "consent_child"), Catalogue("consent")
    assert child["refused"]["fr"] == "L’un des deux a dit non"
    assert child["account"]["fr"] == "Ton compte :"
    assert child["on"] == adult["on"]
    assert list(child)[: len(adult)] == list(adult)


@pytest.mark.parametrize(
    ("parts", "expected"), [([], ""), (["A"], "A"), (["A", "B"], "A et B"), (["A", "B", "C"], "A, B et C")]
)
def test_names_one_after_the_other(parts, expected):
    """Commas, and a word before the last."""
    assert listed(parts, "fr") == expected
