"""The operator's name and colour: what is read, what is refused, and that text can be read on the colour."""

import re

import pytest

from app.core.consent_link import DARK, ENOUGH, LIGHT, WHITE, Brand, contrast
from app.pages.rendering import STYLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Exemple Messagerie", Brand("Exemple Messagerie")),
        (" Exemple Messagerie , #0B5D4E ", Brand("Exemple Messagerie", "#0b5d4e")),
        ("Dupont, Martin et Cie", Brand("Dupont, Martin et Cie")),
        ("Dupont, Martin et Cie, #1a4a9c", Brand("Dupont, Martin et Cie", "#1a4a9c")),
    ],
)
def test_a_name_with_a_colour_or_without(text, expected):
    """A brand's colour is its last part if that begins with `#`; a name may have commas."""
    assert Brand.parse(text) == expected


@pytest.mark.parametrize("text", ["", ", #0b5d4e", "a" * 61, "a\nb", "Exemple, #0b5", "Exemple, #ffd500", "E, #808080"])
def test_what_is_no_brand_is_refused(text):
    """A brand without a name, with a long or two-line name, a bad colour or one too pale for white text is refused."""
    with pytest.raises(ValueError, match=r"^$"):
        Brand.parse(text)


def test_the_ratio_is_that_of_wcag():
    """The contrast ratio has WCAG's values at both ends, and for a grey that only just passes."""
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert contrast("#123456", "#123456") == 1
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("colour", ["#000000", "#0b2545", "#0b5d4e", "#9a1b1b", "#767676"])
def test_text_can_be_read_on_the_colour_in_the_dark_too(colour):
    """In the light and the dark scheme, text on the colour and the colour on the paper have enough contrast."""
    (act, ink, accent), dark = re.findall(r"--act: (\S+); --act-ink: (\S+); --accent: (\S+);", Brand("A", colour).style)
    assert (act, ink, accent) == (colour, WHITE, colour)
    for one, other in ((act, ink), (act, LIGHT), dark[:2], (dark[0], DARK)):
        assert contrast(one, other) >= ENOUGH


def test_a_name_alone_changes_no_style():
    """A brand without a colour adds no style, so that pages keep their own colours."""
    assert Brand("A").style == ""


def test_the_papers_are_those_of_the_style_sheet():
    """The papers that contrast is computed against are those of the style sheet."""
    assert re.findall(r"--paper: (#\w+);", STYLE.read_text())[:2] == [LIGHT, DARK]
