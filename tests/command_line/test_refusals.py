"""What a command says when it is refused, and what it does with an error that nobody foresaw."""

import asyncio
import re
import sys

import pytest

import app.cli
from app.core.errors import RefusalError
from app.db.database import (
    BusyError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    RestoredBehindError,
    ServerRefusesError,
)
from app.db.session import ServerRefusal
from app.ledger.identifiers import VaultError
from app.ledger.locators import KeyNotInUseError
from app.serving import web_workers


class _Wordless(RefusalError):
    pass


def _ended(monkeypatch, capsys, error):
    """The exit status of `sceau` whose command fails so, and its last line."""

    def fail(**_):
        raise error

    monkeypatch.setattr(sys, "argv", ["sceau", "migrate"])
    monkeypatch.setattr(app.cli, "app", fail)
    monkeypatch.setattr(app.cli, "say_help", lambda *_: False)
    with pytest.raises(SystemExit) as ended:
        app.cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (DatabaseUnavailableError(), "SCEAU_DATABASE_URL"),
        (RestoredBehindError(), "sceau recovery check"),
        (BusyError(), "try again"),
        (OutcomeUnknownError(), "look before you repeat it"),
        (KeyNotInUseError(), "SCEAU_PSEUDONYM_KEY"),
        (VaultError(), "SCEAU_MASTER_KEY"),
        (ServerRefusesError(ServerRefusal.FULL), "PostgreSQL refuses this: it has no room left"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(monkeypatch, capsys, error, says):
    """A refusal ends a command with status 1 and one line that names the remedy."""
    status, errors = _ended(monkeypatch, capsys, error)
    assert (status, errors.count("\n"), errors[:7], says in errors) == (1, 1, "sceau: ", True)


def test_no_refusal_is_without_words():
    """Every refusal that can be raised without a text has one; control: one that has none would be found."""

    def below(kind):
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    wordless = {each for each in below(DatabaseUnavailableError) | {VaultError, _Wordless} if not _text_of(each)}
    assert wordless == {_Wordless}


def _text_of(kind):
    return str(kind(ServerRefusal.READ_ONLY) if kind.__name__ == "ServerRefusesError" else kind())


def test_a_fault_of_the_program_is_shown_without_its_message(monkeypatch, capsys):
    """An error that is no refusal, and its cause, are told by types, files and lines, and by no word of their own."""
    error = asyncio.CancelledError("hunter2")
    error.__cause__ = LookupError("hunter2")
    for each in (LookupError("hunter2"), error):
        status, errors = _ended(monkeypatch, capsys, each)
        assert (status, "hunter2" in errors, "Traceback" in errors) == (1, False, False)
        assert "LookupError" in errors
        assert re.search(r"fail \(command_line/test_refusals\.py:\d+\) < _main \(cli/__init__\.py:\d+\)", errors)


def test_a_fault_of_a_web_worker_is_shown_without_its_message(capsys):
    """What ends a worker is told by its type and place; multiprocessing prints nothing of its own at an exit."""

    def fail(_):
        raise LookupError("hunter2")

    with pytest.raises(SystemExit) as ended:
        web_workers._answer(fail, [])
    errors = capsys.readouterr().err
    assert (ended.value.code, "hunter2" in errors) == (1, False)
    assert "builtins.LookupError in fail (command_line/test_refusals.py:" in errors
