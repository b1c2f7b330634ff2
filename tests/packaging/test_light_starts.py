"""What each start of the `sceau` command loads: an import that a start does not need costs every start of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api import MASTER_KEY, PSEUDONYM_KEY

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from app.cli import main
try:
    main()
except SystemExit as ended:
    status = ended.code or 0
print("\\n", status, *sys.modules, file=sys.stderr)
"""
NOWHERE = {
    "SCEAU_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
    "SCEAU_MASTER_KEY": MASTER_KEY,
    "SCEAU_REGISTER_APPROVAL": "one",
    "SCEAU_DURABILITY": "local",
}
"""Settings of a whole deployment whose database cannot be reached: a start gets as far as that, and ends."""
CASES = "tests/conformance/decisions.yaml"
WEB = {"fastapi", "jinja2", "prometheus_client", "python_multipart", "starlette", "uvicorn", "app.api", "app.main"}
JOBS = {"procrastinate", "croniter", "app.jobs"}
TOKENS = {"joserfc", "httpx2", "app.auth.issuers", "app.auth.key_sets"}
DATABASE = {"alembic", "cryptography", "psycopg", "pydantic", "sqlalchemy", "structlog"}


def loaded(*arguments: str) -> tuple[int, set[str]]:
    """The exit status of a command in a process of its own, and every module that it loaded."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**clean, **NOWHERE}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    status, *modules = done.stderr.splitlines()[-1].split()
    return int(status), set(modules)


@pytest.mark.parametrize(
    ("arguments", "ends", "without"),
    [
        (["--help"], 0, WEB | JOBS | TOKENS | DATABASE | {"rich", "yaml", "app.serving", "app.settings"}),
        (["test", CASES], 0, WEB | JOBS | TOKENS | DATABASE - {"pydantic"} | {"app.serving", "app.settings"}),
        (["keys", "list"], 1, WEB | JOBS | TOKENS | {"alembic"}),
        (["serve", "--port", "18099"], 1, JOBS | TOKENS | {"alembic", "jinja2", "yaml"}),
        (["worker"], 1, WEB | TOKENS - {"httpx2"} | {"alembic", "yaml"}),
    ],
    ids=["help", "golden cases", "keys", "web", "jobs"],
)
def test_a_start_loads_what_it_needs(arguments, ends, without):
    """The help and golden cases load no framework and no driver; web and jobs processes load only their own half."""
    status, modules = loaded(*arguments)
    assert (status, without & modules) == (ends, set())


@pytest.mark.deep
def test_the_control_loads_nearly_all():
    """The look at modules finds what is loaded: the OpenAPI document cannot be made without FastAPI."""
    status, modules = loaded("openapi")
    assert (status, {"fastapi", "sqlalchemy", "app.main"} - modules) == (0, set())
