"""`./dev`: what it sets up, when, and what it says when it cannot."""

import os
import signal
import time

import pytest

from tests.packaging.checkout import Checkout

EVERYTHING = ["venv", "pip", "uv sync", "uv install"]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A checkout where nothing has been set up."""
    return Checkout(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]], ids=["nothing", "help", "--help"])
def test_help_lists_the_commands_and_sets_nothing_up(checkout, arguments):
    """Asking what there is costs nothing and exits with 0."""
    done = checkout.run(*arguments)
    assert done.returncode == 0
    for command in ("demo", "test", "serve", "check", "e2e", "bench", "build", "lock", "sceau"):
        assert f"\n  {command} " in done.stdout
    assert checkout.done() == []


def test_a_command_that_is_not_there_exits_with_2(checkout):
    """A misspelt command says so on standard error and sets nothing up."""
    done = checkout.run("zork")
    assert done.returncode == 2
    assert "no command 'zork'" in done.stderr
    assert checkout.done() == []


def test_first_run_sets_up_and_the_next_reuses_it(checkout):
    """The second run asks neither pip nor uv and says nothing."""
    first = checkout.run("sceau", "keys")
    assert first.returncode == 0
    assert checkout.done() == EVERYTHING
    second = checkout.run("sceau", "keys")
    assert checkout.done() == []
    assert second.stderr == ""


def test_changed_requirements_are_installed_without_a_new_venv(checkout):
    """A pull that changed the lock costs one installation, not a set-up from nothing."""
    checkout.run("sceau")
    checkout.done()
    checkout.change_lock()
    checkout.run("sceau")
    assert checkout.done() == ["uv sync", "uv install"]


def test_a_moved_checkout_is_set_up_again(checkout):
    """Programs in .venv hold the path of their Python: after a move they would run the old one, or nothing."""
    checkout.run("sceau")
    checkout.done()
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))
    assert checkout.run("sceau").returncode == 0
    assert "uv install" in checkout.done()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_a_set_up_that_was_cut_short_is_done_again(checkout, stop):
    """Whatever ends the first run in the middle, the next one starts over and succeeds."""
    process = checkout.start("sceau", FAKE_SLOW="30")
    wait_for(lambda: checkout.journal.exists() and "uv sync" in checkout.journal.read_text())
    os.killpg(process.pid, stop)
    process.communicate(timeout=10)
    assert process.returncode != 0
    checkout.done()
    assert checkout.run("sceau").returncode == 0
    assert checkout.done() == EVERYTHING


def test_an_unfinished_update_is_done_again(checkout):
    """A cut-short update is not taken for the state before it."""
    checkout.run("sceau")
    checkout.change_lock()
    assert checkout.run("sceau", FAKE_OFFLINE="1").returncode == 1
    checkout.done()
    assert checkout.run("sceau").returncode == 0
    assert "uv sync" in checkout.done()


def test_two_first_runs_at_once_set_up_once(checkout):
    """The later one waits, says so, and uses what the earlier one made."""
    first = checkout.start("sceau", "first", FAKE_SLOW="2")
    wait_for(lambda: checkout.journal.exists() and "uv sync" in checkout.journal.read_text())
    second = checkout.run("sceau", "second")
    first.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "waiting for it" in second.stderr
    assert checkout.done() == EVERYTHING


def test_a_running_service_does_not_hold_up_a_later_set_up(checkout):
    """The lock ends with the set-up, not with what was started after it."""
    assert checkout.run("sceau", FAKE_TAKES_LOCK_OF=str(checkout.path)).returncode == 0
    assert checkout.done() == EVERYTHING


def test_without_network_one_line_says_what_to_do(checkout):
    """The index's own error is shown, then a line that tells how to go on; a later run succeeds."""
    failed = checkout.run("sceau", FAKE_OFFLINE="1")
    assert failed.returncode == 1
    *_, reason, advice = failed.stderr.splitlines()
    assert reason == "error: no route to the index"
    assert advice == "dev: could not install (output above). The first run needs a network; later ones do not"
    assert checkout.run("sceau").returncode == 0


def test_with_everything_there_no_network_is_needed(checkout):
    """Once set up, nothing is asked of an index."""
    checkout.run("sceau")
    assert checkout.run("sceau", FAKE_OFFLINE="1").returncode == 0


def test_an_old_python_is_refused_by_its_version(checkout):
    """The line says what is needed, what was found, and what to install."""
    refused = checkout.run("sceau", FAKE_VERSION="3.9 False")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed (python3 here: Python 3.9" in refused.stderr


def test_no_python_at_all_is_said(checkout):
    """The same line, without a trace of the shell's own error."""
    (checkout.programs / "python3").unlink()
    refused = checkout.run("sceau")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "Python 3.11 or newer is needed" in refused.stderr


def test_a_missing_venv_module_names_the_package_of_that_python(checkout):
    """Debian ships venv apart, per version: the line names the one that fits."""
    refused = checkout.run("sceau", FAKE_NO_VENV="1", FAKE_VERSION="3.12 True")
    assert refused.returncode == 1
    assert "apt install python3.12-venv" in refused.stderr


def test_a_newer_python_beside_an_old_one_is_found(checkout):
    """An old or broken `python3` does not hide a good `python3.12`."""
    checkout.add_python("python3", "#!/usr/bin/env bash\nexit 127\n")
    checkout.add_python("python3.12")
    assert checkout.run("sceau").returncode == 0


@pytest.mark.parametrize(
    ("optimised", "taken"), [("python3", "python3"), ("python3.12", "python3.12"), ("none of them", "python3")]
)
def test_an_optimised_python_is_taken_before_one_that_is_not(checkout, optimised, taken):
    """The first on PATH that is optimised makes .venv; where none is, the first."""
    checkout.add_python("python3.12")
    made = checkout.run("sceau", FAKE_OPTIMISED=f"/{optimised}")
    assert made.returncode == 0
    assert f"/bin/{taken})" in made.stderr


def test_sceau_runs_where_the_caller_is_with_its_arguments_and_status(checkout, tmp_path):
    """Relative paths mean what the caller means; nothing is split or swallowed; the process is replaced."""
    process = checkout.start("sceau", "test", "a file.yaml", "", cwd=tmp_path, FAKE_STATUS="3")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert printed.split("\n") == [f"pid {process.pid}", f"in {tmp_path}", "test", "a file.yaml", "", ""]


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, ["serve", "--data", "{root}/.sceau"]),
        (["--port", "9000"], {}, ["serve", "--data", "{root}/.sceau", "--port", "9000"]),
        (["--data", "/else"], {}, ["serve", "--data", "/else"]),
        (["--data=/else"], {}, ["serve", "--data=/else"]),
        ([], {"SCEAU_DATABASE_URL": "postgresql://a/b"}, ["serve"]),
    ],
    ids=["nothing", "a port", "other data", "other data with =", "a database"],
)
def test_serve_keeps_its_data_in_the_checkout_unless_told_otherwise(checkout, arguments, environment, expected):
    """Data goes to .sceau/ of the checkout, from wherever it is called; what the caller says wins."""
    served = checkout.run("serve", *arguments, cwd=checkout.path.parent, **environment)
    assert served.stdout.splitlines()[2:] == [part.format(root=checkout.path) for part in expected]


def wait_for(happened):
    """Wait until something is so, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
