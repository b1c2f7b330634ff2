"""Links between documents lead to a file and a heading that are there."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/**/README.md")])
ENGLISH = {
    "loi": "law",
    "page-de-consentement": "consent-page",
    "preuve": "proof",
    "renouvellement": "renewal",
}
ENGLISH |= {"console": "console", "personnel": "staff", "registre": "register"}
"""The pages for data-protection officers, and the page in English that each goes with."""
TO_FILL_IN = {"aipd", "registre-sceau"}
"""What a French operator fills in for a French authority: there is no page in English."""


def prose(text):
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text):
    """The anchors of a document's headings, as GitHub makes them; a second heading of one name gets a number."""
    counts: dict[str, int] = {}
    for line in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line)
        anchor = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        counts[anchor] = counts.get(anchor, 0) + 1
    return {f"{anchor}-{number}" if number else anchor for anchor, many in counts.items() for number in range(many)}


def broken(document, text):
    """The links of a document that lead nowhere; those to other sites are not looked at."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        leads_to = document if not path else document.parent / unquote(path)
        is_there = leads_to.exists()
        if not is_there or (anchor and unquote(anchor) not in headings(text if not path else leads_to.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    """Each link names a file beside the document, and a heading of it."""
    assert broken(document, document.read_text()) == []


def test_a_link_to_nowhere_is_seen():
    """The check of links can fail: no such file, no such heading, there and here."""
    text = "# Here\n\n[a](none.md) [b](law.md#none) [c](#none) [d](law.md) [e](#here) [f](https://x.example/none)\n"
    assert broken(ROOT / "docs/staff.md", text) == ["none.md", "law.md#none", "#none"]


@pytest.mark.parametrize(("french", "english"), ENGLISH.items())
def test_both_languages_lead_to_each_other(french, english):
    """A page in French is linked from the README and from the page in English, and links back."""
    page = ROOT / f"docs/fr/{french}.md"
    assert f"(docs/fr/{french}.md)" in (ROOT / "README.md").read_text()
    assert f"(fr/{french}.md)" in (ROOT / f"docs/{english}.md").read_text()
    assert f"(../{english}.md)" in page.read_text()


def test_no_page_in_french_is_forgotten():
    """Every page below docs/fr has its pair, or is to be filled in and stands on the page of the officer."""
    assert {path.stem for path in ROOT.glob("docs/fr/*.md")} == set(ENGLISH) | TO_FILL_IN
    door = (ROOT / "docs/start/dpo.fr.md").read_text()
    assert [each for each in TO_FILL_IN if f"(../fr/{each}.md)" not in door] == []
