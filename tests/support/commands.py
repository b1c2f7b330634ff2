"""Commands of `sceau`, run in this process on a test's database."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from app.cli import app
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
    # In a thread of its own: a test of the browser leaves an event loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(_run, [*map(str, words)], {**of_the_suite, **environment}, typed).result()


def _run(words: list[str], environment: Mapping[str, str | None], typed: str | bytes) -> tuple[int, str, str]:
    with CliRunner().isolation(input=typed, env=environment) as (out, error, _):
        status, refused = 0, ""
        try:
            _command().main(words, "sceau")
        except SystemExit as ended:
            status = int(ended.code or 0)
        except Exception as failed:  # noqa: BLE001 - what a command lets out is what its caller would read
            status, refused = 1, str(failed)
        sys.stdout.flush()
        sys.stderr.flush()
        return status, error.getvalue().decode() + refused, out.getvalue().decode()


@cache
def _command() -> Any:
    """The command with all its words: making it takes as long as many a command runs."""
    return get_command(app)
