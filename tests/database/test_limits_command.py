"""`sceau limits`: the owner of the database shows and sets what the service cannot change."""

import os
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from app.cli import app as command
from app.cli import main
from tests.support.acts import trail


@pytest.fixture
def sceau(database, monkeypatch):
    """The command, on the test's database as its owner: its exit status and what it prints."""
    for name in [name for name in os.environ if name.startswith("SCEAU_")]:
        monkeypatch.delenv(name)  # the suite's own, which are no settings
    monkeypatch.setenv("SCEAU_DATABASE_URL", database.app_url)
    monkeypatch.setenv("SCEAU_DATABASE_OWNER_URL", database.owner_url)

    def run(*words):
        done = CliRunner().invoke(command, ["limits", *words])
        return done.exit_code, done.output

    return run


def test_the_owner_sets_and_sees_them(sceau, database):
    """What is given is changed and the other stays; the trail has before and after."""
    status, output = sceau("set", "--log-floor", "P365D")
    assert (status, output.splitlines()[0]) == (0, "The decision log is kept for at least 365 days.")
    status, output = sceau("set", "--clock-tolerance", "PT5S")
    assert output.splitlines() == [
        "The decision log is kept for at least 365 days.",
        "Nothing is recorded more than 5 seconds ahead of the database's clock.",
    ]
    assert sceau("show") == (0, output)
    changed = [each["detail"] for each in trail(database) if each["act"] == "owner_limits.changed"]
    assert [(each["log_floor_days_before"], each["log_floor_days"]) for each in changed] == [(30, 365), (365, 365)]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--log-floor", "P0D"],
        ["--log-floor", "PT36H"],
        ["--log-floor", "P36501D"],
        ["--log-floor", "a year"],
        ["--clock-tolerance", "-PT1S"],
    ],
)
def test_a_limit_that_is_none_is_refused(sceau, wrong):
    """Nothing given, no days, half a day, more than a century, no duration, a negative one: nothing is changed."""
    assert sceau("set", *wrong)[0] != 0
    assert "for at least 30 days" in sceau("show")[1]


def test_the_service_s_role_is_refused_in_words(sceau, database, monkeypatch, capsys):
    """With the service's role in the owner's place, one line says which setting is at fault."""
    monkeypatch.setenv("SCEAU_DATABASE_OWNER_URL", database.app_url)
    monkeypatch.setattr("sys.argv", ["sceau", "limits", "set", "--log-floor", "P1D"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "the role of SCEAU_DATABASE_OWNER_URL does not own the schema" in capsys.readouterr().err
    assert "for at least 30 days" in sceau("show")[1]


def test_the_owner_s_address_is_enough(sceau, database, monkeypatch):
    """Without the service's settings, and with several hosts of which one is away, the owner sees the limits."""
    monkeypatch.delenv("SCEAU_DATABASE_URL")
    dsn = conninfo_to_dict(database.owner_url.replace("+psycopg", ""))
    hosts = f"/nowhere,{dsn['host']}"
    url = f"postgresql://{dsn['user']}@/{dsn['dbname']}?host={quote(hosts, safe='/,')}&port={dsn.get('port', 5432)}"
    monkeypatch.setenv("SCEAU_DATABASE_OWNER_URL", url)
    assert sceau("show")[0] == 0
    monkeypatch.setenv("SCEAU_DATABASE_OWNER_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr("sys.argv", ["sceau", "limits", "show"])
    with pytest.raises(SystemExit):
        main()
