"""Every command says its help without loading what only its work needs, and stands in docs/command-line.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli import app, main
from tests.packaging.test_light_starts import DATABASE, JOBS, TOKENS, WEB

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "command-line.md"
HEAVY = WEB | JOBS | TOKENS | DATABASE | {"rich", "yaml", "app.serving", "app.settings", "app.db.database"}
EVERY_HELP = """
import contextlib, io, sys
from typer.main import get_command
from app.cli import app, main

def told(command, words):
    sys.argv = ["sceau", *words, "--help"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main()
    assert "Usage: sceau " + " ".join(words) in said.getvalue()
    for name, each in getattr(command, "commands", {}).items():
        told(each, [*words, name])

told(get_command(app), [])
{more}
print(*sys.modules)
"""


def commands(group, words=()):
    """Every command that does something, by its words."""
    inner = getattr(group, "commands", {})
    own = [" ".join(words)] if not inner or group.invoke_without_command else []
    return own + [each for name, command in inner.items() for each in commands(command, (*words, name))]


def loaded(more=""):
    """The modules that a process has loaded once every command has said its help."""
    script = EVERY_HELP.replace("{more}", more)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_no_help_loads_what_is_heavy():
    """No framework, no driver, no validation and no YAML is imported for any command's help."""
    assert loaded() & HEAVY == set()


def test_the_look_at_modules_can_fail():
    """The control: a module that a help would import is seen."""
    assert loaded("import yaml") & HEAVY == {"yaml"}


def lacking(page):
    """The commands that a page does not name."""
    return [each for each in commands(get_command(app)) if f"`sceau {each}`" not in page]


def test_every_command_is_on_the_page():
    """Each command has a line in docs/command-line.md, and the page names none that there is not."""
    page = PAGE.read_text(encoding="utf-8")
    assert lacking(page) == []
    names = set(commands(get_command(app)))
    lines = re.findall(r"^- `sceau .*?(?=^- |^$)", page, re.DOTALL | re.MULTILINE)
    named = {each for line in lines for each in re.findall(r"`sceau ([a-z -]+?)(?: --[a-z-]+)?`", line)}
    assert named == names


def test_a_command_that_is_missing_from_the_page_is_seen():
    """The control: a page without one command lacks that one."""
    page = PAGE.read_text(encoding="utf-8").replace("`sceau doctor`", "")
    assert lacking(page) == ["doctor"]


def test_scopes_are_not_broken_in_mid_word(monkeypatch, capsys):
    """The help of --scope names every scope whole, on a terminal of 80 columns."""
    from app.auth.callers import Scope

    monkeypatch.setattr(sys, "argv", ["sceau", "keys", "create", "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main()
    output = capsys.readouterr().out
    assert [each for each in Scope if each not in output] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["keys", "create"], "sceau: missing argument 'name' (sceau keys create --help)"),
        (["keys", "creat"], "sceau: no such command 'creat'. Did you mean 'create'? (sceau keys --help)"),
        (["doctor", "--jason"], "sceau: no such option: --jason"),
        (["retention", "sign", "--by", "x", "--consents", "P1M"], "sceau: invalid value for '--consents': a period is"),
    ],
)
def test_wrong_usage_is_one_line_like_any_error(monkeypatch, capsys, words, message):
    """Exit status 2, and one line that begins as every error does and names the help."""
    monkeypatch.setattr(sys, "argv", ["sceau", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n"), errors.startswith(message)) == (2, 1, True), errors


def test_a_group_without_a_command_says_its_help(monkeypatch, capsys):
    """`sceau keys` alone prints what there is, and no error."""
    monkeypatch.setattr(sys, "argv", ["sceau", "keys"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.err) == (2, "")
    assert "rotate" in printed.out


def test_a_shell_completes_commands():
    """What bash asks for is answered with the commands that begin so; the script that asks is printed."""
    variables = {
        "COMP_WORDS": "sceau do",
        "COMP_CWORD": "1",
        "_SCEAU_COMPLETE": "complete_bash",
        "PATH": os.environ["PATH"],
    }
    script = ["-c", "import sys; from app.cli import main; main()"]
    done = subprocess.run(
        [sys.executable, *script], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["doctor"]


def test_help_behind_a_word_that_is_no_command_says_so(monkeypatch, capsys):
    """`sceau keys creat --help` is wrong usage, and `sceau keys create name --help` the help of `create`."""
    monkeypatch.setattr(sys, "argv", ["sceau", "keys", "creat", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "no such command 'creat'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["sceau", "keys", "create", "name", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "Usage: sceau keys create" in capsys.readouterr().out
