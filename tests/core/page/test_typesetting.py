import pytest

from app.core.wording import typeset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Le 25 novembre 2026 à 12 h 40 : 15 000 euros ?", "Le 25_novembre 2026 à 12_h_40_: 15_000_euros_?"),
        ("« Oui » ; le 1er mars, 6 mois ou 1 an !", "«_Oui_»_; le 1er_mars, 6_mois ou 1_an_!"),
        ("75334 Paris Cedex 07, 3 place de Fontenoy", "75334 Paris Cedex 07, 3 place de Fontenoy"),
    ],
)
def test_french_spacing(text, expected):
    """French text gets no-break spaces before high punctuation and within numbers, dates, hours and lengths."""
    assert typeset(text, "fr") == expected.replace("_", "\N{NO-BREAK SPACE}")
    assert typeset(text, "en") == text
