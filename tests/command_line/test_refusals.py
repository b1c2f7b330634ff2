"""What a command says when it is refused, and what it does with an error that nobody foresaw."""

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
    status, said = _ended(monkeypatch, capsys, error)
    assert (status, said.count("\n"), said[:7], says in said) == (1, 1, "sceau: ", True)


def test_no_refusal_is_without_words():
    """Every refusal that can be raised without a text has one; control: one that has none would be found."""

    def below(kind):
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    wordless = {each for each in below(DatabaseUnavailableError) | {VaultError, _Wordless} if not _text_of(each)}
    assert wordless == {_Wordless}


def _text_of(kind):
    return str(kind(ServerRefusal.READ_ONLY) if kind.__name__ == "ServerRefusesError" else kind())


def test_a_fault_of_the_program_is_shown_as_one(monkeypatch, capsys):
    """Control: an error that is no refusal is not taken for one."""
    with pytest.raises(LookupError):
        _ended(monkeypatch, capsys, LookupError("unforeseen"))
