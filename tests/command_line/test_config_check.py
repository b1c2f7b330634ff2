"""`sceau config check`: every wrong setting at once."""

import json

import pytest

from tests.support.api import MASTER_KEY, PSEUDONYM_KEY
from tests.support.commands import run_bare

GOOD = {
    "SCEAU_DATABASE_URL": "postgresql://sceau_app@db.example/sceau",
    "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
    "SCEAU_MASTER_KEY": MASTER_KEY,
    "SCEAU_DURABILITY": "local",
    "SCEAU_REGISTER_APPROVAL": "two",
}


def errors_of(**changed):
    """The lines about these settings, over good ones; None: not set."""
    environment = {**GOOD, **{f"SCEAU_{name.upper()}": value for name, value in changed.items()}}
    status, _, output = run_bare(environment, "config", "check")
    lines = output.splitlines()
    assert status == (1 if lines else 0)
    return lines


def test_good_settings_are_good():
    """Nothing is wrong, and the exit status 0."""
    assert errors_of() == []


def test_every_kind_of_fault_is_told_at_once(tmp_path):
    """A wrong value, file or name, one that lacks another, one that is missing, a key of a wrong form: a line each."""
    errors = errors_of(
        cache="perhaps",
        pool_size="9999",
        logo_file=str(tmp_path / "none"),
        cashe="x",
        oidc_audience="sceau",
        durability=None,
        master_key="short",
        pseudonym_key=None,
    )
    named = ["CACHE", "POOL_SIZE", "LOGO_FILE", "CASHE", "OIDC_AUDIENCE", "DURABILITY", "MASTER_KEY", "PSEUDONYM_KEY"]
    assert sorted(line.split()[0].strip(":") for line in errors) == sorted(f"SCEAU_{each}" for each in named)


@pytest.mark.parametrize("name", ["database_url", "pseudonym_key", "master_key", "durability", "register_approval"])
def test_what_a_service_needs_is_missed(name):
    """Each setting that has no default is told when it is not set, and nothing else is."""
    (line,) = errors_of(**{name: None})
    assert line.startswith(f"SCEAU_{name.upper()} is not set")


def test_a_setting_that_is_wrong_is_not_said_to_be_missing_too():
    """One fault, one line."""
    assert len(errors_of(durability="both")) == 1
    assert len(errors_of(database_url="mysql://db")) == 1


def test_no_value_is_printed():
    """A key or a password that is wrong is not shown."""
    secret = "hunter2-is-no-key"
    errors = errors_of(master_key=secret, pseudonym_key=secret, database_url=f"mysql://a:{secret}@db/x", lease=secret)
    assert len(errors) == 4
    assert secret not in "".join(errors)


DSNS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DIRECT_DATABASE_URL")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:pa%ss-hunter2@db/x",
        "postgresql://a:pa ss-hunter2@db/x",
        "postgresql://a:%ffhunter2@db/x",
        "postgresql://a:pa@ss-hunter2@db/x",
        "postgresql://a:5432/hunter2@db/x",
        "postgresql://a:hunter2/ss@db/x",
        "postgresql:/a:hunter2@db/x",
        "postgresql://a@[::1:hunter2/x",
        "postgresql://a@db/x?hunter2=hunter2",
        "postgresql://a@one:1,two:2,three:3/x?hostaddr=hunter2,hunter2",
        "host=db password=hunter2 dbname=x",
    ],
)
def test_a_dsn_that_libpq_reads_otherwise_is_refused(url):
    """Each DSN among the settings has a line that says how special characters are written, and quotes nothing of it."""
    errors = errors_of(**{each.lower(): url for each in DSNS})
    assert sorted(line.split(" must be a URL")[0] for line in errors) == sorted(f"SCEAU_{each}" for each in DSNS)
    assert all("% as %25" in line for line in errors)
    assert "hunter2" not in "".join(errors)


@pytest.mark.parametrize("setting", DSNS)
@pytest.mark.parametrize("words", [["serve", "--jobs-only"], ["keys", "list"], ["migrate"], ["proof", "key"]])
def test_every_start_refuses_it(setting, words):
    """Each command that reads the settings refuses them with the same line, and connects to nothing."""
    dsns = {**dict.fromkeys(DSNS, GOOD["SCEAU_DATABASE_URL"]), setting: "postgresql://a:pa%ss-hunter2@db/x"}
    status, errors, _ = run_bare({**GOOD, **{f"SCEAU_{name}": url for name, url in dsns.items()}}, *words)
    assert (status, errors.startswith(f"SCEAU_{setting} must be a URL"), "hunter2" in errors) == (1, True, False)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:pa%25ss%40@db/x",
        "postgresql+psycopg://a:p?a#s:s@[::1]:5432/x?sslmode=require",
        "postgresql://one:5432,two:5433/x",
        "postgresql://one,two:5433/x",
        "postgresql://a@/x?host=%2Frun%2Fpostgresql",
    ],
)
def test_a_dsn_that_libpq_takes_is_good(url):
    """Special characters that are encoded, several hosts and a socket's directory are no fault."""
    assert errors_of(database_url=url) == []


def test_a_path_that_cannot_be_looked_at_is_told():
    """A path that the system refuses to look at is a line that names its setting."""
    far = "/" + "x" * 5_000
    errors = [f"SCEAU_{name} cannot be looked at: File name too long" for name in ("STATE_DIRECTORY", "JOURNAL_HOOK")]
    assert errors_of(state_directory=far, journal_hook=far) == errors


def test_json_is_one_object():
    """`errors` has the same lines."""
    status, _, output = run_bare({**GOOD, "SCEAU_CACHE": "perhaps"}, "config", "check", "--json")
    assert (status, json.loads(output)) == (1, {"errors": ["SCEAU_CACHE must be leased or strict"]})


def test_names_of_a_command_s_own_are_no_settings():
    """SCEAU_URL, SCEAU_KEY and SCEAU_KEY_FILE are for commands that talk to a service."""
    assert errors_of(url="http://127.0.0.1:8080", key="sceau_x", key_file="/nonexistent") == []
