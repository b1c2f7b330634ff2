"""`sceau` has few words at top level, and the names that commands had before still run them."""

import io
import os
import pty
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from app.cli import app, main
from app.cli.progress import ProgressLine, time_left
from app.cli.words import BY_USER, FORMER, present
from tests.support.commands import run_bare
from tests.support.forked import start_command

ROOT = Path(__file__).parents[2]
MOST = 12
COMMAND: Any = get_command(app)
BEFORE = {
    "worker": "serve",
    "openapi": "serve",
    "status": "doctor status",
    "config check": "doctor settings",
    "probe": "doctor probe",
    "identities register": "keys identities register",
    "signing-keys rotate": "keys signing rotate",
    "export": "recovery export",
    "restore": "recovery restore",
    "restore-check": "recovery check",
    "replay-journal": "recovery replay",
    "accept-restore": "recovery accept",
    "apply": "register apply",
    "register export": "register export",
    "links create": "people link",
    "subject export": "people export",
    "import": "consents import",
    "evaluate": "consents evaluate",
    "rebuild-projection": "consents rebuild",
    "retention sign": "consents retention sign",
    "limits set": "log limits set",
    "watch": "log watch",
    "log export": "log export",
    "serve": "serve",
    "migrate": "migrate",
    "doctor": "doctor",
    "keys create": "keys create",
    "proof verify": "proof verify",
    "report": "report",
    "test": "test",
}
"""Earlier names of commands, and where each is now."""


def resolved(words):
    """The command that some words name, found as the command line finds it."""
    command, rest = COMMAND, words.split()
    context = typer.Context(command, info_name="sceau")
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        _, command, rest = command.resolve_command(context, rest)
        context = typer.Context(command, parent=context)
    return command


def test_the_help_shows_at_most_twelve_words(monkeypatch, capsys):
    """Each word stands once in the help of `sceau`, and no other command does."""
    monkeypatch.setattr(sys, "argv", ["sceau", "--help"])
    with pytest.raises(SystemExit):
        main()
    output = capsys.readouterr().out.split("Who runs a deployment:")[1]
    words = [line.split()[0] for line in output.splitlines() if line.startswith("  ") and line[2] != " "]
    assert words == [word for group in BY_USER.values() for word in group]
    assert set(words) == set(COMMAND.commands)
    assert len(words) <= MOST


@pytest.mark.parametrize(("former", "now"), BEFORE.items())
def test_a_former_name_is_the_same_command(former, now):
    """What scripts call a command runs the one command that there is, which is made once."""
    assert resolved(former) is resolved(now)
    assert not hasattr(resolved(now), "commands") or now == "doctor"


def test_every_former_name_leads_somewhere():
    """No line of the table names a command that there is not, nor hides a word that there is."""
    assert [each for each in FORMER if resolved(each) is COMMAND] == []
    assert set(FORMER) & set(COMMAND.commands) == set()
    assert {each for each in FORMER if " " not in each} <= {each.split()[0] for each in BEFORE}


def test_what_follows_a_former_name_stays():
    """Options and arguments come behind the new name; a word further behind is never replaced."""
    assert present(["worker", "--data", "status"]) == ["serve", "--jobs-only", "--data", "status"]
    assert present(["keys", "create", "probe"]) == ["keys", "create", "probe"]


def test_every_command_has_a_line_of_help():
    """A command or group without a sentence would stand in the help as a bare word."""

    def lacking(command, words):
        found = [] if command.help else [" ".join(words)]
        return found + [
            each for name, inner in getattr(command, "commands", {}).items() for each in lacking(inner, [*words, name])
        ]

    assert lacking(COMMAND, ["sceau"]) == []


WANT_A_FILE = (
    "apply",
    "register plan",
    "evaluate",
    "test",
    "proof verify",
    "proof stamp --cosigned",
    "watch --key-file",
    "import --name x",
    "restore --key sceau.example.fr/ledger+f8dfb9f7+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
)


@pytest.mark.parametrize("words", WANT_A_FILE)
def test_a_missing_and_an_empty_file_are_wrong_usage(tmp_path, words):
    """Exit status 2 before anything else is looked at, and the file is named."""
    (tmp_path / "empty.ndjson").write_text("")
    for name in ("none.ndjson", "empty.ndjson"):
        status, error, output = run_bare(NOWHERE, *words.split(), tmp_path / name)
        assert (status, name in error + output) == (2, True), error


NOWHERE = {
    "SCEAU_KEY": "sceau_x",
    "SCEAU_URL": "http://127.0.0.1:9",
    "SCEAU_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    "SCEAU_PSEUDONYM_KEY": "00" * 32,
    "SCEAU_MASTER_KEY": "00" * 32,
    "SCEAU_REGISTER_APPROVAL": "one",
    "SCEAU_DURABILITY": "local",
}


@pytest.mark.parametrize("words", [["serve", "--openapi"], ["proof", "verify", "--script"], ["keys", "--help"]])
def test_a_reader_that_leaves_is_no_error(words):
    """`sceau … | head` ends with 0 and says nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as broken, Path(os.devnull).open("rb") as nothing, tempfile.TemporaryFile() as error:
        status = start_command(words, {"PATH": os.environ["PATH"]}, ROOT, [nothing, broken, error]).wait()
        error.seek(0)
        assert (status, error.read()) == (0, b"")


def test_progress_is_for_terminals(monkeypatch):
    """A file or a pipe gets nothing; a terminal gets the share, what was done and the time left."""
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    bar = ProgressLine()
    bar.tell(0.5, "5 rows")
    assert output.getvalue() == ""
    control, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        clock = iter([0.0, 0.5, 10.0, 10.1])
        monkeypatch.setattr("time.monotonic", lambda: next(clock))
        bar = ProgressLine()
        for done in (0.1, 0.25, 0.3):  # too early, shown, too soon after
            bar.tell(done, f"{done:.0%} of rows")
        bar.clear()
    assert os.read(control, 1000).decode().split("\r")[1] == " 25%  25% of rows, 30 s left"
    os.close(control)


def test_the_time_left_is_rounded():
    """Seconds below a minute, minutes below an hour."""
    assert [time_left(each) for each in (0.2, 59, 200, 7_300)] == ["1 s", "59 s", "3 min", "2 h 2 min"]


def test_options_before_a_command_of_doctor_are_refused():
    """`sceau doctor --json status` would otherwise drop --json without a word."""
    status, errors, _ = run_bare({}, "doctor", "--json", "status")
    assert status == 2
    assert "options stand behind `status`" in errors
