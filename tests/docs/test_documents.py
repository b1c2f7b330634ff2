import re
from pathlib import Path

import pytest
import yaml

from app.audit.trail import ActKind
from app.core.decision import Reason
from app.core.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TOP = {path.name for path in ROOT.iterdir()} - {"build"}
"""What the checkout holds at its top; what is made in `build` comes and goes."""


def paths_in(text):
    """Every path that a document names: code spans and link targets that begin like something of the checkout."""
    spans = re.findall(r"`([^`\s]+)`", text) + re.findall(r"\]\(([^)#]+)\)", text)
    return {span for span in spans if "/" in span and not re.search(r"[{}*…<>=:?]|^/", span)}


def missing(document, text):
    """The paths named that are neither in the checkout nor beside the document."""
    named = {
        path for path in paths_in(text) if path.split("/")[0].removeprefix("./") in TOP or not path.startswith(".")
    }
    at = {path: (ROOT / path.removeprefix("./"), document.parent / path) for path in named}
    paths = {path for path in named if path.split("/")[0] in TOP or (document.parent / path.split("/")[0]).exists()}
    return sorted(path for path in paths if not any(place.exists() for place in at[path]))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document):
    """A document names no file that is not there."""
    assert missing(document, document.read_text()) == []


def test_a_path_that_does_not_exist_is_seen():
    """The check of paths can fail."""
    assert missing(ROOT / "README.md", "see `app/core/nowhere.py` and [this](docs/none.md)") == [
        "app/core/nowhere.py",
        "docs/none.md",
    ]


def astray(text):
    """The names that a document places in a file, as in `project` (`app/core/fold.py`), and that do not stand there."""
    placed = re.findall(r"`(\w+)`\s+\(`([\w/]+/\w+\.py)`\)", text)
    return [name for name, path in placed if not re.search(rf"\b{name}\b", (ROOT / path).read_text())]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_stands_in_the_file_where_a_document_places_it(document):
    """Who follows a recipe finds each function and each list in the file that is told."""
    assert astray(document.read_text()) == []


def test_a_name_that_has_gone_is_seen():
    """The check of names can fail."""
    assert astray("`project` and\n`was_here` (`app/core/fold.py`), `_rows`\n(`app/core/fold.py`)") == ["was_here"]


def test_the_law_page_maps_every_rule_to_a_test_that_exists():
    """Each row of docs/law.md has a rule's number and a test or golden case that is there; functions are named so."""
    rows = re.findall(r"^\| (\d+b?) \|(.*)\|$", (ROOT / "docs/law.md").read_text(), re.MULTILINE)
    assert [number for number, _ in rows] == ["1", "5", "2", *(rule.number for rule in RULES)]
    assert [rule.number for rule in RULES if rule.check.__name__ != f"_rule_{rule.number}"] == []
    tests = "".join(path.read_text() for path in ROOT.glob("tests/core/**/*.py"))
    golden = {
        case["name"]
        for name in ("decisions", "edges")
        for case in yaml.safe_load((ROOT / f"tests/conformance/{name}.yaml").read_text())["cases"]
    }
    for number, row in rows:
        shown = row.split("|")[-1].strip()
        if shown.startswith("golden: "):
            assert shown.removeprefix("golden: ").strip("*") in golden, number
        else:
            assert f"def {shown.strip('`')}(" in tests, number


def missing_tests(text):
    """The tests that a document names and that nobody wrote."""
    written = "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    return [name for name in re.findall(r"`(test_\w+)`", text) if f"def {name}(" not in written]


def test_every_test_that_the_authzen_page_names_exists():
    """Each row of tests/authzen/README.md names tests that are there."""
    text = (ROOT / "tests/authzen/README.md").read_text()
    assert len(re.findall(r"`test_\w+`", text)) > 50
    assert missing_tests(text) == []


def test_every_test_named_after_a_section_is_on_the_authzen_page():
    """Each test that is named after a section of the specification stands in tests/authzen/README.md."""
    text = (ROOT / "tests/authzen/README.md").read_text()
    written = "".join(path.read_text() for path in ROOT.glob("tests/authzen/test_section*.py"))
    assert [name for name in re.findall(r"def (test_section_\w+)\(", written) if f"`{name}`" not in text] == []


def test_a_test_that_nobody_wrote_is_seen():
    """The check of tests can fail."""
    assert missing_tests("`test_each_request_is_answered_as_pinned` and `test_nobody_wrote_this`") == [
        "test_nobody_wrote_this"
    ]


def test_the_law_page_names_every_reason():
    """Every reason that an answer can carry is explained in docs/law.md."""
    text = (ROOT / "docs/law.md").read_text()
    assert [reason for reason in Reason if f"`{reason.value}`" not in text] == []


@pytest.mark.parametrize("record", sorted(ROOT.glob("docs/decisions/*.md")), ids=lambda path: path.name)
def test_a_decision_record_has_the_five_headings(record):
    """Each decision record has the same five short headings, in order."""
    headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
    assert headings == ["Status", "Context", "Decision", "Consequences", "Alternatives"]


def test_every_act_of_the_audit_trail_is_documented():
    """Each kind of act is in the list of docs/audit-trail.md, and nothing else is."""
    rows = re.findall(r"^- ((?:`[^`]+`(?:, )?)+):", (ROOT / "docs/audit-trail.md").read_text(), re.MULTILINE)
    named = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(ActKind)
