"""deploy/postgres-roles.sh, run on a real server as PostgreSQL's image runs it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.db.embedded.binaries import find_binaries
from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE, SUPERUSER
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate

SCRIPT = Path(__file__).parents[2] / "deploy/postgres-roles.sh"
ASKED = """
    SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
    FROM pg_roles WHERE rolname IN ('sceau_owner', 'sceau_app') ORDER BY rolname
"""
GRANTED = "SELECT datname, pg_get_userbyid(datdba), datacl::text FROM pg_database WHERE datname = 'sceau'"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[EmbeddedServer]:
    """A server of this module's own: roles belong to the whole server."""
    with EmbeddedServer(tmp_path_factory.mktemp("roles") / "data") as started:
        yield started


def state(server: EmbeddedServer) -> list[object]:
    """The two roles, the database and who may use it."""
    with psycopg.connect(server.url(role=SUPERUSER, database="postgres")) as connection:
        return [connection.execute(ASKED).fetchall(), connection.execute(GRANTED).fetchall()]


def run_script(server: EmbeddedServer, folder: Path) -> None:
    """Run the script against an empty server, one password in its environment and one in a file."""
    (folder / "app").write_text("app\n")
    address = conninfo_to_dict(server.url(role=SUPERUSER, database="postgres"))
    environment = {
        "PATH": f"{find_binaries()}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(address["host"]),
        "POSTGRES_USER": SUPERUSER,
        "POSTGRES_OWNER_PASSWORD": "owner's $ecret",
        "POSTGRES_APP_PASSWORD_FILE": str(folder / "app"),
    }
    subprocess.run([SCRIPT], env=environment, check=True)


def test_roles_are_those_of_the_embedded_server_and_passwords_are_set(server, tmp_path):
    """What runs in production has the rights that the suite runs with; migrations and the service work on it."""
    embedded = state(server)
    with psycopg.connect(server.url(role=SUPERUSER, database="postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE}")
        connection.execute(f"DROP ROLE {APP_ROLE}")
        connection.execute(f"DROP ROLE {OWNER_ROLE}")
    run_script(server, tmp_path)
    assert state(server) == embedded
    with psycopg.connect(server.url(role=SUPERUSER, database="postgres")) as connection:
        stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname ^@ 'sceau_'").fetchall()
    assert len(stored) == 2
    assert all(password.startswith("SCRAM-SHA-256$") for (password,) in stored)
    migrate(server.url(role=OWNER_ROLE, database=DATABASE), server.url(role=APP_ROLE, database=DATABASE))
    with psycopg.connect(server.url(role=APP_ROLE, database=DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM consent_event").fetchone() == (0,)


def test_a_password_that_is_not_given_is_named():
    """Nothing is made without both passwords, and the one that lacks is said."""
    environment = {"PATH": os.environ["PATH"], "POSTGRES_USER": SUPERUSER, "POSTGRES_OWNER_PASSWORD": "x"}
    refused = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "POSTGRES_APP_PASSWORD" in refused.stderr
