"""What a reader finds in each folder: a line that says what it is for, and names that mean one thing."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUBJECTS = {"audit", "callers", "consents", "decisions", "proof", "register", "service", "staff", "webhooks"}
SAY_NOTHING = {"base_service", "common", "helpers", "manager", "misc", "utils"}


def names_used_twice(root: Path) -> list[str]:
    """The names that two classes of the application have."""
    counts = Counter(
        node.name
        for path in (root / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    return sorted(name for name, count in counts.items() if count > 1)


def unexplained(root: Path) -> list[str]:
    """The packages that do not say what they are for."""
    return sorted(
        str(path.relative_to(root))
        for path in (root / "app").rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    )


def test_no_two_classes_have_one_name():
    """A class name of the application means one thing."""
    assert names_used_twice(ROOT) == []


def test_a_name_used_twice_is_seen(tmp_path):
    """The check of class names can fail."""
    (tmp_path / "app").mkdir()
    for name in ("one", "two"):
        (tmp_path / "app" / f"{name}.py").write_text("class Outcome:\n    pass\n")
    assert names_used_twice(tmp_path) == ["Outcome"]


def test_every_package_says_what_it_is_for():
    """Each package has a docstring."""
    assert unexplained(ROOT) == []


def test_a_package_that_says_nothing_is_seen(tmp_path):
    """The check of packages can fail."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    assert unexplained(tmp_path) == ["app/__init__.py"]


@pytest.mark.parametrize("layer", ["api", "operations", "pages"])
def test_folders_are_subjects(layer):
    """The folders of a layer are named after subjects; beside them are the API's plumbing and document, the console."""
    folders = {path.name for path in (ROOT / "app" / layer).iterdir() if (path / "__init__.py").exists()}
    assert folders <= SUBJECTS | {"console", "http", "openapi"}


def test_no_module_has_a_name_that_says_nothing():
    """No module is named after nothing in particular."""
    assert [path for path in (ROOT / "app").rglob("*.py") if path.stem in SAY_NOTHING] == []
