"""The import rules of pyproject.toml hold, and each of them fails on a copy of the code that breaks it."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What the rules may use of the standard library: values, and nothing that reads the world.
PURE = {
    "__future__", "abc", "bisect", "calendar", "collections", "contextlib", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re",
    "string", "textwrap", "types", "typing", "unicodedata", "uuid", "zoneinfo",
}  # fmt: skip


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the checkout."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-logo", "--no-cache"],
        cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "500", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and its rules, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_unbroken_copy_passes(copy):
    """The control of the controls below."""
    checked = check_imports(copy)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.deep
@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("core/probe.py", "import time", "app.core is not allowed to import time"),
        ("core/probe.py", "import sqlalchemy", "app.core is not allowed to import sqlalchemy"),
        ("core/probe.py", "from app.db import session", "app.core is not allowed to import app.db"),
        ("db/probe.py", "from app import operations", "app.db is not allowed to import app.operations"),
        ("api/probe.py", "from app import settings", "app.api is not allowed to import app.settings"),
        ("operations/probe.py", "from fastapi import Request", "app.operations is not allowed to import fastapi"),
        ("operations/probe.py", "from sqlalchemy import text", "app.operations is not allowed to import sqlalchemy"),
        ("api/probe.py", "import psycopg", "app.api is not allowed to import psycopg"),
        ("register/probe.py", "from app import ledger", "app.register is not allowed to import app.ledger"),
        (
            "api/consents/probe.py",
            "from app.api import staff",
            "app.api.consents is not allowed to import app.api.staff",
        ),
        (
            "api/http/probe.py",
            "from app.api.consents import routes",
            "app.api.http is not allowed to import app.api.consents",
        ),
        (
            "api/consents/probe.py",
            "from app.operations.webhooks import manage_webhooks",
            "app.api.consents is not allowed to import app.operations.webhooks",
        ),
        (
            "operations/webhooks/probe.py",
            "from app.operations.consents import recorder",
            "app.operations.webhooks is not allowed to import app.operations.consents",
        ),
        ("api/subjects/__init__.py", "", "app.api.subjects"),
        ("utils/__init__.py", "", "app.utils"),
    ],
    ids=lambda value: value.removesuffix(".py") if value.endswith(".py") else None,
)
def test_broken_rule_is_named(copy, path, text, complaint):
    """A forbidden import, or a package without a place, fails the build and says which."""
    probe = copy / "app" / path
    probe.parent.mkdir(exist_ok=True)
    probe.write_text(f'"""A probe."""\n{text}\n')
    checked = check_imports(copy)
    assert checked.returncode == 1
    assert complaint in checked.stdout


def test_rules_use_nothing_but_pure_modules():
    """What the core may import is listed: itself, its catalogues of words, and pure parts of the standard library."""
    imported = {
        name.split(".")[0]
        for file in (ROOT / "app/core").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in imported_names(node)
        if not name.startswith(("app.core", "app.words"))
    }
    assert imported <= PURE


def imported_names(node: ast.AST) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
