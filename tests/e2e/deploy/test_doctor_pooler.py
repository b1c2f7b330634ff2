"""`sceau doctor` behind a real PgBouncer: as it should be set, and each setting that it should not have."""

import json
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.db.refusals import why_refused
from tests.e2e.debian import provide
from tests.e2e.programs import program
from tests.e2e.replication.nodes import Node, give_away
from tests.faults.service import free_port
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY
from tests.support.commands import run_bare

RIGHT = {
    "pool_mode": "transaction",
    "max_prepared_statements": "200",
    "ignore_startup_parameters": "options,extra_float_digits",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Node]:
    """A migrated server of this module's own."""
    provide("pgbouncer", ("pgbouncer",), "the test of poolers")
    place = Path(tempfile.mkdtemp(prefix="sceau-pooled-"))
    give_away(place)
    node = Node(place, "one")
    node.make()
    node.sql("ALTER ROLE sceau_app SET statement_timeout = '5s'")
    node.sql("ALTER ROLE sceau_app SET timezone = 'UTC'")
    yield node
    node.stop()
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def pooled(server: Node, **changed: str) -> Iterator[str]:
    """The DSN of a pooler before the server, with some of its settings changed."""
    folder, port = Path(tempfile.mkdtemp(dir=server.place)), free_port()
    (folder / "users").write_text('"sceau_app" ""\n')
    lines = "".join(f"{name} = {value}\n" for name, value in {**RIGHT, **changed}.items())
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\nsceau = host=127.0.0.1 port={server.port} dbname=sceau\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder / 'users'}\n{lines}"
    )
    give_away(folder)
    user = pwd.getpwuid(server.account.uid).pw_name
    with program(["pgbouncer", "-u", user, folder / "pgbouncer.ini"], folder / "log", port=port):
        yield f"postgresql://sceau_app@127.0.0.1:{port}/sceau"


def examined(url, feed):
    """What the doctor finds of pooler and direct DSN: grade and words of each line."""
    settings = {
        "SCEAU_DATABASE_URL": url,
        "SCEAU_DIRECT_DATABASE_URL": feed,
        "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
        "SCEAU_MASTER_KEY": MASTER_KEY,
        "SCEAU_DURABILITY": "local",
        "SCEAU_REGISTER_APPROVAL": "one",
    }
    _, _, output = run_bare(settings, "doctor", "--json")
    return {
        name: [(each["grade"], each["said"]) for each in json.loads(output) if each["check"] == name]
        for name in ("pooler", "direct DSN")
    }


def test_a_pooler_that_is_set_right_is_ok(server):
    """Transaction mode, prepared statements, time-outs given to the role, a direct DSN for the feed: all ok."""
    with pooled(server) as url:
        checks = examined(url, server.url("sceau_app"))
    assert checks["pooler"] == [("ok", "a pooler in transaction mode, which keeps prepared statements")]
    assert [grade for grade, _ in checks["direct DSN"]] == ["ok"]


@pytest.mark.parametrize(
    ("changed", "grade", "message"),
    [
        ({"pool_mode": "session"}, "warning", "session mode"),
        ({"pool_mode": "statement"}, "wrong", "takes no transactions"),
        ({"max_prepared_statements": "0"}, "wrong", "loses prepared statements"),
        ({"ignore_startup_parameters": "extra_float_digits"}, "wrong", "refuses what connections ask for"),
    ],
    ids=["session", "statement", "prepared", "options"],
)
def test_a_pooler_that_is_set_wrong_is_told(server, changed, grade, message):
    """Each setting that the service does not work with, or wastes connections with, is told by what it does."""
    with pooled(server, **changed) as url:
        checks = examined(url, server.url("sceau_app"))["pooler"]
    assert [(each, message in words) for each, words in checks if each != "ok"] == [(grade, True)], checks


def test_a_start_through_a_pooler_that_takes_no_options_names_it(server):
    """Whoever starts a command reads what to set, and not that the login is wrong."""
    with pooled(server, ignore_startup_parameters="extra_float_digits") as url:
        refusal = why_refused(url, "SCEAU_DATABASE_URL")
    assert refusal is not None
    assert "set ignore_startup_parameters = options" in refusal
    with pooled(server) as url:
        assert why_refused(url, "SCEAU_DATABASE_URL") is None


def test_time_outs_that_a_pooler_drops_are_told(server):
    """Without a time-out of the role nothing ends a statement that waits."""
    server.sql("ALTER ROLE sceau_app RESET statement_timeout")
    with pooled(server) as url:
        checks = examined(url, server.url("sceau_app"))["pooler"]
    server.sql("ALTER ROLE sceau_app SET statement_timeout = '5s'")
    assert [grade for grade, _ in checks] == ["wrong"]
    assert "drops the time-outs" in checks[0][1]


def test_a_feed_through_a_pooler_is_told(server):
    """Notifications do not come through it: the direct DSN is wrong when it is not set."""
    with pooled(server) as url:
        checks = examined(url, None)["direct DSN"]
    assert [grade for grade, _ in checks] == ["wrong"]
