"""The page on golden cases: its example runs, and it names every word and key that the reader takes."""

import re

import yaml
from typer.testing import CliRunner

from app.cli import app
from app.core.article import Channel, Element, ProviderKind, Purpose
from app.core.consent import AgeBand, DefaultState, GivenBy, PositiveAct
from app.core.period import Counting
from app.core.processing import PartyMode, Status
from handbook.staging import ROOT

PAGE = (ROOT / "docs/reference/golden-cases.md").read_text(encoding="utf-8")
WORDS = (Purpose, Element, ProviderKind, PartyMode, Channel, AgeBand, GivenBy, PositiveAct, DefaultState, Counting)


def ran(folder, text):
    """How `sceau test` ends on a file."""
    path = folder / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["test", str(path)])


def test_the_example_passes(tmp_path):
    """The file that the page shows is one, and each of its cases comes out as it says."""
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    done = ran(tmp_path, example)
    assert done.exit_code == 0, done.output
    assert ran(tmp_path, example.replace("reason: no_consent", "reason: consent_expired")).exit_code == 1


def test_the_page_has_every_word_that_the_reader_takes():
    """Purposes, elements, modes and all others, and the statuses that a file may give."""
    words = {word.value for kind in WORDS for word in kind} | {Status.ACTIVE, Status.SUSPENDED, Status.RETIRED}
    assert sorted(word for word in words if f"`{word}`" not in PAGE) == []


def keys_of(value):
    """Every key of a document, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_the_page_has_every_key_that_the_project_s_own_files_use():
    """No key of decisions.yaml or edges.yaml is left out."""
    files = [ROOT / f"tests/conformance/{name}.yaml" for name in ("decisions", "edges")]
    used = set().union(*(keys_of(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in files))
    assert len(used) > 30
    assert sorted(key for key in used if not re.search(rf"\b{key}\b", PAGE)) == []
