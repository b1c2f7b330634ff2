"""Commands of `sceau`, run in this process on a test's database."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from typer.testing import CliRunner

from app.cli import app as command
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY
from tests.support.databases import TestDatabase


def run_command(database: TestDatabase, *words: Any, typed: str | bytes = "", **more: str) -> tuple[int, str, str]:
    """Run a command on a database: the exit status, and what was said on standard error and on standard output.

    `typed` is its standard input, `more` are settings.
    """
    settings = {"database_url": database.app_url, "pseudonym_key": PSEUDONYM_KEY, "master_key": MASTER_KEY, **more}
    environment = {f"SCEAU_{name.upper()}": value for name, value in settings.items()}
    return run_bare({"SCEAU_DURABILITY": "local", "SCEAU_REGISTER_APPROVAL": "one", **environment}, *words, typed=typed)


def run_bare(environment: Mapping[str, str | None], *words: Any, typed: str | bytes = "") -> tuple[int, str, str]:
    """Run a command with these settings and no others: its exit status, standard error and standard output."""
    of_the_suite: dict[str, str | None] = {name: None for name in os.environ if name.startswith("SCEAU_")}
    how: dict[str, Any] = {"env": {**of_the_suite, **environment}, "input": typed}
    # In a thread of its own: a test of the browser leaves an event loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        done = alone.submit(CliRunner().invoke, command, [*map(str, words)], **how).result()
    error = done.exception
    refused = error is not None and not isinstance(error, SystemExit)
    return done.exit_code, f"{done.stderr}{error if refused else ''}", done.stdout
