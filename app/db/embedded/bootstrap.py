"""The roles and the database that the application expects, made when missing and otherwise left as they are.

The owner makes the schema; the application's role gets nothing beyond the right to connect. Must not create any object
of the application: that is the migrations' work.
"""

import subprocess
from pathlib import Path

from app.db.embedded.cluster import SUPERUSER
from app.db.embedded.errors import StartFailed
from app.db.embedded.process import clean_environment, relevant_line

OWNER_ROLE = "sceau_owner"
APP_ROLE = "sceau_app"
DATABASE = "sceau"

_TIMEOUT_SECONDS = 60.0
_NOTHING_ELSE = "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"

# \gexec runs each row of the query above it as a statement: CREATE DATABASE may not stand in a block.
# It is made of the constants above alone.
_SCRIPT = rf"""
SELECT format('CREATE ROLE %I', wanted) FROM unnest(ARRAY['{OWNER_ROLE}', '{APP_ROLE}']) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE {OWNER_ROLE} LOGIN CREATEDB {_NOTHING_ELSE};
ALTER ROLE {APP_ROLE} LOGIN NOCREATEDB {_NOTHING_ELSE};
SELECT 'CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE} TEMPLATE template0 ENCODING ''UTF8'''
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \gexec
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE};
\connect {DATABASE}
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO {OWNER_ROLE};
"""  # noqa: S608


def bootstrap(binaries: Path, socket_directory: Path) -> None:
    """Bring the roles and the database to what they should be; may be run any number of times. Raises StartFailed."""
    command = [str(binaries / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password"]
    command += [f"--host={socket_directory}", f"--username={SUPERUSER}", "--dbname=postgres", "--file=-"]
    try:
        done = subprocess.run(
            command,
            input=_SCRIPT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            env=clean_environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"psql did not set up the roles ({error})", "start again, or see the server's log") from error
    if done.returncode != 0:
        raise StartFailed(
            f"the roles and the database could not be set up ({relevant_line(done.stderr)})",
            "mend what it names, or choose another data directory",
        )
