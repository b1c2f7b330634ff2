import os
import socket
import subprocess
import sys

import pytest

from demo.cli import main
from tests.demo.runs import ROOT, demo
from tests.support.listening import Answering, listening

WRONG = {
    "nothing there": (["--mail", "{}/nowhere"], "there is no such file"),
    "empty mbox": (["--mail", "{}/empty"], "the mailbox is empty"),
    "not an mbox": (["--mail", "{}/text"], "is no mbox"),
    "folder that is no Maildir": (["--mail", "{}"], "is no Maildir"),
    "empty Maildir": (["--mail", "{}/maildir"], "the mailbox is empty"),
    "device": (["--mail", "/dev/null"], "is no file"),
    "nobody named": (["--mail", "{}/nobody"], "names a recipient"),
    "nobody local": (["--domain", "nowhere.example"], "no message has a recipient there"),
    "port zero": (["--port", "0"], "a port lies between"),
    "unknown option": (["--male", "x"], "unrecognized arguments"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_status_2(tmp_path, capsys, monkeypatch, case):
    """A wrong input ends with status 2 and one line that names it, before anything is started."""
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "maildir" / folder).mkdir(parents=True)
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("Dear all\n")
    (tmp_path / "nobody").write_text("From x Mon Jan  1 10:00:00 2026\nSubject: none\n\nbody\n")
    arguments, expected = WRONG[case]
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        sys.exit(main([*(each.replace("{}", str(tmp_path)) for each in arguments), "--data", str(tmp_path / "data")]))
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert expected in err
    assert err.startswith("demo: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_taken_port_is_one_line(tmp_path):
    """A port that somebody listens on ends with status 1 and one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = demo(tmp_path / "data", port=port)
    assert refused.status == 1
    assert f"127.0.0.1:{port} cannot be listened on" in refused.err
    assert refused.err.count("\n") == 1


def test_port_taken_while_it_starts_is_one_line(tmp_path, capsys, monkeypatch):
    """A port that somebody takes after the first look is not mistaken for the service: one line, and no key is sent."""
    prompts = []

    class Other(Answering):
        def get(self):
            prompts.append(self.headers.get("Authorization"))
            self.answer()

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("demo.service._check_port", lambda _: None)
    with listening(Other) as address:
        port = address.rpartition(":")[2]
        status = main(["--once", "--data", str(tmp_path / "data"), "--port", port])
    assert status == 1
    err = capsys.readouterr().err
    assert f"127.0.0.1:{port} cannot be listened on" in err
    assert err.count("\n") == 1
    assert not any(prompts)


def test_unusable_data_directory_is_one_line(tmp_path):
    """A data directory that cannot be made ends with status 1 and one line that names it."""
    (tmp_path / "file").touch()
    refused = demo(tmp_path / "file" / "data")
    assert refused.status == 1
    assert str(tmp_path / "file") in refused.err
    assert refused.err.count("\n") == 1


def test_service_that_cannot_start_says_why(tmp_path):
    """What keeps the service from starting is passed on in its own words, in one line."""
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "pseudonym").write_text("short")
    refused = demo(tmp_path / "data")
    assert refused.status == 1
    assert "SCEAU_PSEUDONYM_KEY" in refused.err
    assert refused.err.count("\n") == 1


def test_unreadable_mbox_is_one_line(tmp_path):
    """An mbox that this user may not read ends with status 2 (as root, who reads all, an unreadable one is a loop)."""
    path = tmp_path / "mbox"
    if os.geteuid() == 0:
        path.symlink_to(path)
    else:
        path.touch(mode=0)
    refused = demo(tmp_path / "data", "--mail", str(path))
    assert refused.status == 2
    assert refused.err.count("\n") == 1


def test_mail_is_looked_for_where_the_caller_stands(tmp_path):
    """`./dev demo --mail NAME` finds a file of the folder that it is called in, and says so of one that is empty."""
    (tmp_path / "empty.mbox").touch()
    run = [str(ROOT / "dev"), "demo", "--mail", "empty.mbox"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "demo: --mail empty.mbox: the mailbox is empty")
