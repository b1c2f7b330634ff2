import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from app.db.embedded import process
from app.db.embedded.server import EmbeddedServer
from tests.embedded.actors import FAST, ROOT, is_running, server_processes, starting
from tests.faults.service import eventually

pytestmark = pytest.mark.deep
_ENDLESS = "DO $$ BEGIN LOOP END LOOP; END $$"


def _owner(url: str) -> str:
    return url.replace("sceau_app@", "sceau_owner@")


def test_server_ends_when_its_starter_is_killed(who, data):
    """After kill -9 of the starter the server ends by itself, and the next start finds every committed row."""
    with starting(who, data) as starter:
        answer = starter.started()
        with psycopg.connect(_owner(answer["url"])) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        starter.kill()
        assert eventually(lambda: not is_running(answer["pid"]))
        assert eventually(lambda: server_processes(answer["uid"], data) == [])
    with starting(who, data) as starter:
        answer = starter.started()
        with psycopg.connect(_owner(answer["url"])) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
        starter.ask("stop")


def test_start_waits_for_a_server_whose_starter_was_killed(who, data):
    """A start right after kill -9 of the starter, with the old server still on its way out, succeeds."""
    for _ in range(3):
        with starting(who, data) as starter:
            starter.started()
            starter.kill()
    with starting(who, data) as starter:
        assert starter.started()
        starter.ask("stop")


def test_forked_child_of_a_killed_starter_holds_nothing(who, data):
    """A child that the starter made by fork outlives it without keeping the data directory from the next start."""
    with starting(who, data) as starter:
        starter.started()
        child = starter.ask("fork")["child"]
        starter.kill()
    try:
        with starting(who, data) as starter:
            starter.started()
            starter.ask("stop")
        assert is_running(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_start_after_the_server_was_killed(who, data):
    """After kill -9 of the server is_alive says no, and start ends a busy orphaned backend and brings the data back."""
    with starting(who, data) as starter:
        answer = starter.started()
        busy = psycopg.connect(_owner(answer["url"]), autocommit=True)
        busy.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        backend = busy.info.backend_pid

        def be_busy() -> None:
            with suppress(psycopg.OperationalError):
                busy.execute(_ENDLESS)

        thread = threading.Thread(target=be_busy)
        thread.start()
        with psycopg.connect(answer["url"].replace("sceau_app@", "postgres@"), autocommit=True) as watch:
            query = "SELECT state FROM pg_stat_activity WHERE pid = %s"
            assert eventually(lambda: watch.execute(query, [backend]).fetchall() == [("active",)])
        os.kill(answer["pid"], signal.SIGKILL)
        assert eventually(lambda: starter.ask("state")["alive"] is False)
        assert is_running(backend)
        again = starter.started()
        assert not is_running(backend)
        thread.join()
        busy.close()
        assert again["pid"] != answer["pid"]
        with psycopg.connect(_owner(again["url"])) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
        starter.ask("stop")


def test_stop_after_the_server_was_killed(who, data):
    """A stop after kill -9 of the server ends what that left, and a later start is clean."""
    with starting(who, data) as starter:
        answer = starter.started()
        os.kill(answer["pid"], signal.SIGKILL)
        starter.ask("stop")
        assert server_processes(answer["uid"], data) == []
        starter.started()
        starter.ask("stop")


def test_kill_during_the_first_start_leaves_no_half_made_cluster(who, data):
    """After kill -9 in the middle of initdb there is no cluster, and the next start makes one and clears the rest."""
    with starting(who, data) as starter:
        starter.tell("start")
        assert eventually((data / "cluster.new" / "PG_VERSION").exists)
        starter.kill()
    assert not (data / "cluster").exists()
    assert (data / "cluster.new").exists()
    with starting(who, data) as starter:
        starter.started()
        assert not (data / "cluster.new").exists()
        starter.ask("stop")


def test_interrupt_of_the_terminal_spares_the_server(who, data):
    """Ctrl-C goes to the process group of the starter, and the server is not in it, nor in its session."""
    with starting(who, data) as starter:
        answer = starter.started()
        assert os.getsid(answer["pid"]) == answer["pid"] != os.getsid(starter.process.pid)
        assert os.getpgid(answer["pid"]) == answer["pid"]
        starter.ask("stop")


def test_stop_goes_on_when_a_backend_does_not_listen(own_data, monkeypatch):
    """A fast shutdown that a frozen backend holds up turns into an immediate one, and leaves nothing."""
    quick = ((signal.SIGINT, 0.5), *process._STOP_STEPS[1:])
    monkeypatch.setattr(process, "_STOP_STEPS", quick)
    server = EmbeddedServer(own_data, settings=FAST)
    server.start()
    frozen = psycopg.connect(server.url(role="sceau_app", database="sceau"))
    assert server.account is not None
    backend, uid = frozen.info.backend_pid, server.account.uid
    os.kill(backend, signal.SIGSTOP)
    server.stop()
    frozen.close()
    assert not is_running(backend)
    assert server_processes(uid, own_data) == []


def test_interrupted_start_leaves_nothing(own_data, monkeypatch):
    """A KeyboardInterrupt in the middle of a first start ends the server and removes what was made."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.db.embedded.server.bootstrap", interrupt)
    server = EmbeddedServer(own_data, settings=FAST)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert not own_data.exists()
    monkeypatch.undo()
    with server:
        assert server.is_alive()


_PARENT = """
import signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from app.db.embedded.binaries import Account
from app.db.embedded.process import launch
account = Account("test", int(sys.argv[3]), int(sys.argv[4]))
sleep = ["/bin/sleep", "600"]
if sys.argv[2] == "launch":
    child = launch(sleep, account, at_parent_death=signal.SIGINT, keep=(), output=subprocess.DEVNULL)
else:
    child = subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("how", "survives"), [("launch", False), ("plainly", True)])
def test_launched_process_dies_with_its_parent(how, survives, who):
    """A launched process ends with its parent; the control, started without the launcher, does not."""
    command = [sys.executable, "-c", _PARENT, str(ROOT), how, str(who.uid), str(who.gid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        name = Path(f"/proc/{child}/comm")
        assert eventually(lambda: name.read_text(encoding="ascii").strip() == "sleep")
        parent.kill()
    try:
        assert is_running(child) if survives else eventually(lambda: not is_running(child))
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_launcher_does_not_run_for_a_parent_that_is_gone():
    """A launcher whose parent is not the one it was made for runs nothing."""
    words = ["1", str(int(signal.SIGINT)), str(os.geteuid()), str(os.getegid()), "/bin/echo", "it ran"]
    command = [sys.executable, str(process._LAUNCHER), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr.strip()) == ("", "the process that asked for it is gone")
    assert done.returncode != 0
