"""The pages in French are set as French is, and say of each rule and reason what the code has."""

import re
from pathlib import Path

import pytest

from app.core.decision import Reason
from app.core.rules import RULES
from app.core.staff import Lack

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/fr/*.md"), *ROOT.glob("docs/start/*.fr.md")])


def badly_set(text):
    """Typewriter apostrophes and quotes, and places where a line ends before high punctuation or within guillemets."""
    words = re.sub(r"^```.*?^```|`[^`]*`|\]\([^)]*\)", "x", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\w'\w|\"|[^\S\N{NO-BREAK SPACE}][?!:;»](?=\s|$)|«[^\N{NO-BREAK SPACE}]|\w[?!;»]", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_in_french_is_set_in_french(page):
    """Curly apostrophes, and a no-break space before : ; ? ! and within guillemets."""
    assert badly_set(page.read_text()) == []


@pytest.mark.parametrize(
    "text", ["l'article", 'le "tri"', "Quoi ?", "ceci :\n", "« tri »", "«tri»", "vrai; faux", "la ligne\n: suivante"]
)
def test_bad_setting_is_seen(text):
    """The check can fail, on each fault by itself."""
    assert badly_set(text)


def test_good_setting_and_code_are_left_alone():
    """The control: what is right, and what stands in code or in an address, is no fault."""
    assert badly_set("«\xa0Tri\xa0» : l’article`a 'b' ?` [x](a:b)".replace(" :", "\xa0:")) == []


def test_the_page_on_the_law_has_every_rule_in_order_and_every_reason():
    """The French table has the rules of the code, in the order in which they are asked, and each reason."""
    text = (ROOT / "docs/fr/loi.md").read_text()
    rows = re.findall(r"^\| (\d+b?) \|", text, re.MULTILINE)
    assert rows == ["1", "5", "2", *(rule.number for rule in RULES)]
    assert [reason for reason in Reason if f"`{reason.value}`" not in text] == []


def test_the_page_on_staff_has_everything_that_a_notice_may_lack():
    """Both pages on the staff notice name each word of `lacking`."""
    for page in ("docs/fr/personnel.md", "docs/staff.md"):
        text = (ROOT / page).read_text()
        assert [lack for lack in Lack if f"`{lack.value}`" not in text] == []
