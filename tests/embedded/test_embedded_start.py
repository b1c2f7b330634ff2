import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from app.db.embedded.errors import NotStartable
from app.db.embedded.server import EmbeddedServer
from tests.embedded.actors import FAST, IS_ROOT, becoming, reachable_python, server_processes, starting, tree

_RIGHTS = """
SELECT rolname, rolcanlogin, rolcreatedb, rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls,
       has_schema_privilege(rolname, 'public', 'CREATE'), has_database_privilege(rolname, 'sceau', 'CREATE'),
       has_database_privilege(rolname, 'sceau', 'TEMPORARY')
FROM pg_roles WHERE rolname LIKE 'sceau%' ORDER BY rolname"""
_DATABASE = """
SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datlocprovider, datlocale
FROM pg_database WHERE datname = 'sceau'"""


def _as(url: str, role: str) -> str:
    return url.replace("sceau_app@", f"{role}@")


def _place_of_socket(server: EmbeddedServer) -> Path:
    assert server._socket is not None
    return server._socket.parent


def _all(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_first_start_makes_roles_and_database(who, data):
    """The first start makes an owner who may create, a role that may only connect, and a UTF-8 database."""
    with starting(who, data) as starter:
        url = starter.started()["url"]
        assert _all(url, _RIGHTS) == [
            ("sceau_app", True, False, False, False, False, False),
            ("sceau_owner", True, True, False, True, True, True),
        ]
        assert _all(url, _DATABASE) == [("sceau_owner", "UTF8", "b", "C.UTF-8")]
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE refused ()")
        starter.ask("stop")


def test_data_survive_and_rights_are_restored(who, data):
    """Data survive a stop and a start, and a right that was added to the application role does not."""
    with starting(who, data) as starter:
        url = starter.started()["url"]
        with psycopg.connect(_as(url, "sceau_owner")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with psycopg.connect(_as(url, "postgres")) as connection:
            connection.execute("ALTER ROLE sceau_app CREATEDB")
        assert starter.ask("stop")["alive"] is False
        again = starter.started()
        assert again["url"] == url
        assert _all(_as(url, "sceau_owner"), "SELECT answer FROM kept") == [(42,)]
        assert _all(url, "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'sceau_app'") == [(False,)]
        starter.ask("stop")


def test_server_has_no_root_no_tcp_and_private_files(who, data):
    """The server runs without root's rights, listens on no network address, and lets nobody else read its files."""
    with starting(who, data) as starter:
        answer = starter.started()
        lines = Path(f"/proc/{answer['pid']}/status").read_text(encoding="ascii").splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert set(status["Uid"].split()) == {str(answer["uid"])}
        assert answer["uid"] not in (0, None)
        assert status["Groups"].split() == [] or who.uid != 0
        assert _all(answer["url"], "SELECT current_setting('listen_addresses'), inet_server_addr()") == [("", None)]
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (data, data / "cluster")}
        assert set(modes.values()) == {0o700}
        assert stat.S_IMODE((data / "postgresql.log").stat().st_mode) == 0o600
        starter.ask("stop")


def test_nothing_above_the_data_directory_changes(who, place, data):
    """A start changes no mode and no owner of what was there, and works below a directory closed to others."""
    before = tree(place)
    with starting(who, data) as starter:
        starter.started()
        starter.ask("stop")
    assert {path: kept for path, kept in tree(place).items() if path in before} == before


def test_own_user_and_workers_reach_the_server(who):
    """The socket takes the server's own user, and a child process of the starter."""
    place = who.directory()
    place.chmod(0o755)
    try:
        with starting(who, place / "data") as starter:
            answer = starter.started()
            host = str(place / "data" / "cluster")
            data_owner = (place / "data").stat()
            assert starter.ask(f"worker {host}") == {"returncode": 0}
            connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
            program = reachable_python() if IS_ROOT else sys.executable
            rights = becoming(answer["uid"], data_owner.st_gid)
            subprocess.run([program, "-c", connect, f"{host}/.s.PGSQL.5432"], check=True, cwd="/", **rights)
            starter.ask("stop")
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize(
    "name", ["long-" + "x" * 120, "space and+plus/comma,colon:/per%41cent/été/quote'\"$(x)"], ids=["long", "odd"]
)
def test_url_works_whatever_the_path(tmp_path, name):
    """The URL of a server below a long or odd path works for psycopg, for SQLAlchemy and for a child process."""
    server = EmbeddedServer(tmp_path / name / "data", settings=FAST)
    with server:
        url = server.url(role="sceau_app", database="sceau")
        assert _all(url, "SELECT current_user") == [("sceau_app",)]
        engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT current_database()")).scalar_one() == "sceau"
        engine.dispose()
        child = "import psycopg, sys; psycopg.connect(sys.argv[1]).close()"
        subprocess.run([sys.executable, "-c", child, url], check=True)
        link = _place_of_socket(server)
        assert link != tmp_path / name / "data" / "cluster"
    assert not link.exists()
    with server:
        assert server.url(role="sceau_app", database="sceau") == url


def test_link_left_by_a_kill_is_replaced(who, place):
    """A killed process leaves the short link to its socket, and the next start takes it over and removes it."""
    data = place / ("long-" + "x" * 120) / "data"
    with starting(who, data) as killed:
        url = killed.started()["url"]
        killed.kill()
    with starting(who, data) as starter:
        assert starter.started()["url"] == url
        assert _all(url, "SELECT 1") == [(1,)]
        link = Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))
        assert link.is_symlink()
        starter.ask("stop")
        assert not link.parent.exists()


def test_link_of_somebody_else_is_refused(tmp_path, monkeypatch, request):
    """A directory that another user could write is not taken for the place of the link."""
    squatted = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(squatted))
    monkeypatch.setattr("tempfile.tempdir", str(squatted))
    data = tmp_path / ("long-" + "x" * 120) / "data"
    with EmbeddedServer(data, settings=FAST) as server:
        place = _place_of_socket(server)
        assert place.parent == squatted
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    with EmbeddedServer(data, settings=FAST) as server:
        assert _place_of_socket(server).parent != squatted


def test_settings_reach_the_server(own_data):
    """Settings given to the constructor hold for that start, and the server's log is the file that log_file names."""
    server = EmbeddedServer(own_data, settings={**FAST, "log_statement": "all", "work_mem": "9MB"})
    with server:
        url = server.url(role="sceau_app", database="sceau")
        assert _all(url, "SELECT current_setting('work_mem'), 'a marked statement'")[0][0] == "9MB"
        assert _all(url, "SELECT current_setting('timezone'), current_setting('max_connections')") == [("UTC", "100")]
    assert "a marked statement" in server.log_file.read_text(encoding="utf-8")


def test_settings_do_not_undo_the_guarantees(own_data):
    """What the supervisor decides stays so, however a setting spells it: the server listens on its socket alone."""
    with EmbeddedServer(own_data, settings={**FAST, "LISTEN_ADDRESSES": "*", "port": "5433"}) as server:
        url = server.url(role="sceau_app", database="sceau")
        settings = _all(url, "SELECT current_setting('listen_addresses'), current_setting('port')")
        assert settings == [("", "5432")]


def test_start_from_a_thread_is_refused(own_data):
    """The server would die with the thread that started it, so a thread may not."""
    refusals: list[Exception] = []

    def start() -> None:
        try:
            EmbeddedServer(own_data).start()
        except NotStartable as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refusals[0])
    assert not own_data.exists()


def test_url_before_the_first_start_is_refused(own_data):
    """There is no address before there is a server."""
    with pytest.raises(NotStartable, match="call start first"):
        EmbeddedServer(own_data).url(role="sceau_app", database="sceau")


def test_start_and_stop_may_be_repeated(own_data):
    """A second start and a second stop of the same object do nothing."""
    server = EmbeddedServer(own_data, settings=FAST)
    server.stop()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert server.pid is None
    assert not server.is_alive()


def test_pid_file_of_another_program_does_not_hinder(own_data):
    """A pid file whose number now belongs to another program, the rule in a restarted container, does not hinder."""
    server = EmbeddedServer(own_data, settings=FAST)
    server.start()
    account, pid = server.account, server.pid
    assert account is not None
    assert pid is not None
    pid_file = own_data / "cluster" / "postmaster.pid"
    content = pid_file.read_text(encoding="ascii").split("\n", 1)[1]
    os.kill(pid, signal.SIGKILL)
    other = subprocess.Popen(["sleep", "600"], cwd="/", **becoming(account.uid, account.gid))
    try:
        while Path(f"/proc/{other.pid}/comm").read_text(encoding="ascii").strip() != "sleep":
            time.sleep(0.01)
        pid_file.write_text(f"{other.pid}\n{content}", encoding="ascii")
        server.start()
        assert server.is_alive()
        server.stop()
    finally:
        other.kill()
        other.wait()


def test_large_log_is_set_aside(own_data, monkeypatch):
    """A log over its limit is renamed at the next start, so that two files at most are kept."""
    with EmbeddedServer(own_data, settings=FAST) as server:
        pass
    first = server.log_file.read_bytes()
    monkeypatch.setattr("app.db.embedded.directory._LOG_LIMIT_BYTES", len(first) - 1)
    with server:
        assert server.log_file.with_name("postgresql.log.1").read_bytes() == first


def test_stop_leaves_no_process(who, data):
    """After a stop, with a client still connected, no process works in the data directory."""
    with starting(who, data) as starter:
        answer = starter.started()
        connection = psycopg.connect(answer["url"])
        assert answer["pid"] in server_processes(answer["uid"], data)
        starter.ask("stop")
        assert server_processes(answer["uid"], data) == []
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
