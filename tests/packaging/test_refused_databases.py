"""What an administrator reads when PostgreSQL does not let a command in: the cause, on one line, with its remedy."""

import os
import re
import sys
from collections.abc import Iterator

import psycopg
import pytest

from app import cli, serving
from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE, SUPERUSER
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from app.db.refusals import why_refused
from app.telemetry import logs
from tests.faults.service import free_port
from tests.packaging.wheels import ROOT
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY

SECRET = "hunter2-of-the-database"
LOCKED = "CREATE ROLE locked_out LOGIN PASSWORD 'another'"
WITHOUT = "CREATE ROLE without_rights LOGIN"
SCRIPT = "deploy/postgres-roles.sh"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    """A migrated server of this module's own, which asks one role for a password."""
    data = tmp_path_factory.mktemp("refusals") / "data"
    with EmbeddedServer(data) as started:
        migrate(url(started, OWNER_ROLE), url(started, APP_ROLE))
        with psycopg.connect(started.url(role=SUPERUSER, database="postgres"), autocommit=True) as connection:
            for statement in (LOCKED, WITHOUT, f"CREATE DATABASE closed OWNER {OWNER_ROLE}"):
                connection.execute(statement)
            connection.execute("REVOKE ALL ON DATABASE closed FROM PUBLIC")
            connection.execute(f"REVOKE ALL ON DATABASE closed FROM {OWNER_ROLE}")
            (rules,) = data.rglob("pg_hba.conf")
            rules.write_text("local all locked_out scram-sha-256\n" + rules.read_text())
            connection.execute("SELECT pg_reload_conf()")
        yield started


def url(server: EmbeddedServer, role: str, database: str = DATABASE) -> str:
    """A DSN with a password that must not be shown."""
    return server.url(role=role, database=database).replace(f"{role}@", f"{role}:{SECRET}@", 1)


@pytest.fixture
def refusal(monkeypatch, capsys):
    """Run a command on two DSNs; the one line that it ends with."""

    def run(command: str, owner: str, application: str) -> str:
        values = {
            "DATABASE_OWNER_URL": owner,
            "DATABASE_URL": application,
            "PSEUDONYM_KEY": PSEUDONYM_KEY,
            "MASTER_KEY": MASTER_KEY,
            "REGISTER_APPROVAL": "one",
            "DURABILITY": "local",
            "LOG_LEVEL": "ERROR",
        }
        more = ["--port", str(free_port())] if command == "serve" else []
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SCEAU_")]:
                patch.delenv(name)
            for name, value in values.items():
                patch.setenv(f"SCEAU_{name}", value)
            patch.setattr(sys, "argv", ["sceau", command, *more])
            patch.setattr(logs, "configure_logs", lambda **_: None)
            patch.setattr(serving, "serve", lambda *_, **__: None)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert ended.value.code == 1
        lines: list[str] = capsys.readouterr().err.splitlines()
        (line,) = lines
        assert line.startswith("sceau: ")
        assert SECRET not in line
        return line

    return run


CASES = {
    "login": ("locked_out", DATABASE, ("refuses the login of the role locked_out", SCRIPT)),
    "no such role": ("nobody_made", DATABASE, ("refuses the login of the role nobody_made", SCRIPT)),
    "database": (APP_ROLE, "not_made", ("has no database not_made", SCRIPT)),
    "right to connect": (APP_ROLE, "closed", ("GRANT CONNECT ON DATABASE closed TO sceau_app", SCRIPT)),
}


@pytest.mark.parametrize("command", ["migrate", "serve"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_refusal_of_the_server_has_its_own_line(server, refusal, command, case):
    """A login, a database and a right are told apart, by the setting at fault where there is one."""
    role, database, message = case
    refused = url(server, role, database)
    line = refusal(command, refused, refused)
    assert all(part in line for part in message)
    setting = "SCEAU_DATABASE_OWNER_URL" if command == "migrate" else "SCEAU_DATABASE_URL"
    assert setting in line or database == "closed"


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_server_that_does_not_answer_has_its_own_line(refusal, command):
    """An unreachable server is named by its address, with the setting to check."""
    nowhere = f"postgresql://sceau_app:{SECRET}@127.0.0.1:1/sceau"
    line = refusal(command, nowhere, nowhere)
    assert "nothing answers at 127.0.0.1:1" in line
    assert ("SCEAU_DATABASE_OWNER_URL" if command == "migrate" else "SCEAU_DATABASE_URL") in line


def test_a_role_without_rights_on_the_schema_has_its_own_line(server, refusal):
    """Who migrates as another role than the owner, and who serves as a role that was granted nothing, is told so."""
    without = url(server, "without_rights")
    with psycopg.connect(server.url(role=SUPERUSER, database=DATABASE), autocommit=True) as connection:
        connection.execute("GRANT CONNECT ON DATABASE sceau TO without_rights")
    assert "run `sceau migrate`" in refusal("serve", without, without)
    line = refusal("migrate", without, without)
    assert "the role without_rights may not change the schema" in line
    assert SCRIPT in line


def test_a_database_that_takes_no_writes_has_its_own_line(server, refusal):
    """A database that was set to read-only answers, and is not called unreachable."""
    with psycopg.connect(server.url(role=SUPERUSER, database=DATABASE), autocommit=True) as connection:
        connection.execute("ALTER DATABASE sceau SET default_transaction_read_only = on")
        try:
            line = refusal("serve", url(server, APP_ROLE), url(server, APP_ROLE))
        finally:
            connection.execute("ALTER DATABASE sceau RESET default_transaction_read_only")
    assert "takes no writes: unset default_transaction_read_only for sceau" in line


def test_the_page_shows_the_lines_as_they_are():
    """Each line that docs/install.md explains is one that the code says; the control: another one is not."""
    rows = (ROOT / "docs/install.md").read_text(encoding="utf-8").partition("| It says |")[2].partition("\n\n")[0]
    phrases = [phrase.removesuffix(" HOST:PORT") for phrase in re.findall(r"^\| `([^`]+)`", rows, re.MULTILINE)]
    source = "".join((ROOT / "app/db" / name).read_text(encoding="utf-8") for name in ("refusals.py", "migrate.py"))
    assert len(phrases) == 6
    assert [phrase for phrase in phrases if phrase not in source] == []
    assert "refuses the login of the rule" not in source


def test_a_server_that_lets_in_is_not_blamed(server):
    """The control: for a DSN that works, nothing is found."""
    assert why_refused(url(server, APP_ROLE), "SCEAU_DATABASE_URL") is None
