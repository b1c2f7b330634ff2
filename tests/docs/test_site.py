"""The site's navigation has every page, and its copy of the checkout every page that pages link to."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from handbook.staging import ROOT, stage

NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def in_navigation(text):
    """The pages that the navigation names."""
    return re.findall(r"[:-] ((?:docs|clients)/\S+\.md|[A-Z]+\.md)$", text, re.MULTILINE)


def test_every_page_is_in_the_navigation_once():
    """No page of docs is out of reach, none stands twice, and none is named that is not there."""
    named = in_navigation(NAVIGATION)
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")}
    assert len(named) == len(set(named))
    assert pages - set(named) == set()
    assert {page for page in named if not (ROOT / page).exists()} == set()


def test_a_page_that_nobody_put_there_is_seen():
    """The check can fail: without its line a page is missing."""
    without = NAVIGATION.replace("docs/law.md", "docs/elsewhere.txt")
    assert "docs/law.md" in in_navigation(NAVIGATION)
    assert "docs/law.md" not in in_navigation(without)


def test_the_five_doors_come_first():
    """Try it, operator, DPO (in French first), developer, auditor: in this order, before everything else."""
    doors = ["try", "operator", "dpo.fr", "dpo", "developer", "auditor"]
    assert in_navigation(NAVIGATION)[1:7] == [f"docs/start/{door}.md" for door in doors]


def test_nothing_is_loaded_from_elsewhere():
    """No web fonts, no plugins, no scripts of other sites."""
    assert "font: false" in NAVIGATION
    assert not re.search(r"^(plugins|extra_javascript|extra_css):", NAVIGATION, re.MULTILINE)


def test_the_copy_has_what_pages_link_to_and_nothing_of_before(tmp_path):
    """Pages, images, clients' pages, files of deploy; what was there before is gone."""
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "old.md").write_text("# Old\n")
    assert stage(folder) > 100
    for name in ("README.md", "docs/law.md", "clients/rspamd/README.md", "deploy/prometheus/alerts.yml"):
        assert (folder / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (folder / "old.md").exists()


@pytest.mark.parametrize(("link", "good"), [("b.md#here", True), ("b.md#there", False), ("c.md", False)])
def test_a_link_to_nowhere_fails_the_build(tmp_path, link, good):
    """The builder refuses, strictly, a link to a page or to a heading that is not there."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/index.md").write_text(f"# A\n\n[on]({link})\n")
    (tmp_path / "pages/b.md").write_text("# B\n\n## Here\n")
    settings = NAVIGATION.partition("\nnav:")[0].replace("build/pages", "pages").replace("build/site", "site")
    (tmp_path / "mkdocs.yml").write_text(settings)
    builder = Path(sys.executable).with_name("zensical")
    line = [builder, "build", "--strict", "--config-file", tmp_path / "mkdocs.yml"]
    built = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (built.returncode == 0) is good, built.stdout + built.stderr
