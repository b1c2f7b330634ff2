"""A start that is refused prints one line, which names the setting and says how to mend it."""

import os
import socket
import sys
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from app import cli, serving
from app.core.article import paris_midnight
from app.db import revisions
from app.db.migrate import migrate
from app.db.revisions import MigrationRefusedError
from app.telemetry import logs
from app.wiring.parts import deployment_of
from tests.faults.service import Service, free_port
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY, running, settings_for
from tests.support.databases import execute, new_database
from tests.support.migrations import know_one_more

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def start(monkeypatch, capsys, database):
    """Run `sceau serve` on the test's database with some settings; the one line by which it refuses them."""

    def run(**settings: str | None) -> str:
        values: dict[str, str | None] = {
            "DATABASE_URL": database.app_url,
            "DATABASE_OWNER_URL": database.owner_url,
            "PSEUDONYM_KEY": PSEUDONYM_KEY,
            "MASTER_KEY": MASTER_KEY,
            "REGISTER_APPROVAL": "one",
            "DURABILITY": "local",
            "LOG_LEVEL": "ERROR",
            **settings,
        }
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SCEAU_")]:
                patch.delenv(name)
            for name, value in values.items():
                if value is not None:
                    patch.setenv(f"SCEAU_{name}", value)
            patch.setattr(sys, "argv", ["sceau", "serve", "--port", str(free_port())])
            patch.setattr(logs, "configure_logs", lambda **_: None)
            patch.setattr(serving, "serve", lambda *_, **__: None)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert ended.value.code == 1
        return _one_line(capsys.readouterr().err)

    return run


def _one_line(printed: str) -> str:
    """The only line of a refusal."""
    (line,) = printed.splitlines()
    assert line.startswith("sceau: ")
    assert "Traceback" not in line
    return line


_LOGIN = "https://login.example.fr/realms/staff"


def _oidc(**more: str) -> dict[str, str]:
    """Settings with which tokens are accepted, with these changes."""
    return {"OIDC_ISSUER": _LOGIN, "OIDC_AUDIENCE": "sceau", **more}


REFUSED = {
    "no pseudonym key": ({"PSEUDONYM_KEY": None}, "SCEAU_PSEUDONYM_KEY", "openssl rand"),
    "a short pseudonym key": ({"PSEUDONYM_KEY": "11" * 16}, "SCEAU_PSEUDONYM_KEY", "openssl rand"),
    "a pseudonym key that is no key": ({"PSEUDONYM_KEY": "not a key!"}, "SCEAU_PSEUDONYM_KEY", "openssl rand"),
    "no master key": ({"MASTER_KEY": None}, "SCEAU_MASTER_KEY", "openssl rand"),
    "a short master key": ({"MASTER_KEY": "1:" + "22" * 16}, "SCEAU_MASTER_KEY", "openssl rand"),
    "a short bootstrap key": ({"BOOTSTRAP_KEY": "short"}, "SCEAU_BOOTSTRAP_KEY", "32 characters"),
    "no file": ({"MASTER_KEY": None, "MASTER_KEY_FILE": "/nowhere"}, "SCEAU_MASTER_KEY_FILE", "path"),
    "small letters": ({"Lease": "PT1S"}, "SCEAU_Lease", ".env.example"),
    "a key twice": ({"MASTER_KEY_FILE": "/dev/null"}, "SCEAU_MASTER_KEY_FILE", "keep one"),
    "another kind of database": ({"DATABASE_URL": "mysql://x@y/z"}, "SCEAU_DATABASE_URL", "postgresql://"),
    "a public address with a query": ({"PUBLIC_URL": "https://x.example/?a=1"}, "SCEAU_PUBLIC_URL", "no query"),
    "a URL without a database": ({"DATABASE_URL": "postgresql://x@y"}, "SCEAU_DATABASE_URL", "postgresql://"),
    "a port that is no number": ({"DATABASE_URL": "postgresql://x@y:z/d"}, "SCEAU_DATABASE_URL", "postgresql://"),
    "a database that is not there": ({"DATABASE_URL": NOBODY}, "SCEAU_DATABASE_URL", "runs"),
    "a misspelt setting": ({"PSEUDONYM_KEYS": "x"}, "SCEAU_PSEUDONYM_KEYS", ".env.example"),
    "over a year": ({"CONSENT_VALIDITY": "P13M"}, "SCEAU_CONSENT_VALIDITY", "one year"),
    "no period": ({"CONSENT_VALIDITY": "a year"}, "SCEAU_CONSENT_VALIDITY", "P1Y"),
    "another counting": ({"PERIOD_COUNTING": "midnight_after"}, "SCEAU_PERIOD_COUNTING", "start_of_day"),
    "another normalisation": ({"SUBJECT_IDS": "casefold"}, "SCEAU_SUBJECT_IDS", "address"),
    "a notice of a year": ({"RENEWAL_NOTICE": "P1Y"}, "SCEAU_RENEWAL_NOTICE", "P60D,P30D,P7D"),
    "no choice of approval": ({"REGISTER_APPROVAL": None}, "SCEAU_REGISTER_APPROVAL", "a second person"),
    "no choice of durability": ({"DURABILITY": None}, "SCEAU_DURABILITY", "standby"),
    "a durability of its own": ({"DURABILITY": "eventual"}, "SCEAU_DURABILITY", "synchronous or local"),
    "three persons": ({"REGISTER_APPROVAL": "three"}, "SCEAU_REGISTER_APPROVAL", "one or two"),
    "another log": ({"DECISION_LOG": "on"}, "SCEAU_DECISION_LOG", "durable"),
    "a host for a network": ({"WEBHOOK_NETWORKS": "intranet"}, "SCEAU_WEBHOOK_NETWORKS", "10.1.0.0/16"),
    "another cache": ({"CACHE": "eventual"}, "SCEAU_CACHE", "strict"),
    "a lease for ever": ({"LEASE": "P1D"}, "SCEAU_LEASE", "PT10S"),
    "a number that is none": ({"POOL_SIZE": "many"}, "SCEAU_POOL_SIZE", "integer"),
    "another level": ({"LOG_LEVEL": "LOUD"}, "SCEAU_LOG_LEVEL", "DEBUG"),
    "another access": ({"METRICS": "everyone"}, "SCEAU_METRICS", "scoped"),
    "no time": ({"DATABASE_TIMEOUT": "five"}, "SCEAU_DATABASE_TIMEOUT", "PT5S"),
    "no deadline": ({"DATABASE_TIMEOUT": "PT0S"}, "SCEAU_DATABASE_TIMEOUT", "greater"),
    "an authority without roots": ({"TSA_URL": "https://tsa.example.eu"}, "SCEAU_TSA_CA_FILE", "roots"),
    "roots of no authority": ({"TSA_CA_FILE": __file__}, "SCEAU_TSA_CA_FILE", "PEM"),
    "roots that are not there": ({"TSA_CA_FILE": "/nowhere"}, "SCEAU_TSA_CA_FILE", "path"),
    "an authority that is no address": ({"TSA_URL": "tsa.example.eu"}, "SCEAU_TSA_URL", "https://"),
    "an authority that would not be reached": ({"TSA_URL": " https://tsa.example.eu"}, "SCEAU_TSA_URL", "https://"),
    "an issuer without an audience": ({"OIDC_ISSUER": _LOGIN}, "SCEAU_OIDC_AUDIENCE", "aud"),
    "an audience without an issuer": ({"OIDC_AUDIENCE": "sceau"}, "SCEAU_OIDC_AUDIENCE", "SCEAU_OIDC_ISSUER"),
    "a client without an issuer": ({"CONSOLE_CLIENT": "console"}, "SCEAU_CONSOLE_CLIENT", "SCEAU_OIDC_ISSUER"),
    "a client of the console without an id": (_oidc(CONSOLE_CLIENT=" s3cret"), "SCEAU_CONSOLE_CLIENT", "ID SECRET"),
    "an issuer in the clear": (_oidc(OIDC_ISSUER="http://login.example.fr"), "SCEAU_OIDC_ISSUER", "https://"),
    "an issuer that is no address": (_oidc(OIDC_ISSUER="login"), "SCEAU_OIDC_ISSUER", "https://"),
    "an issuer twice": (_oidc(OIDC_ISSUER=f"{_LOGIN},{_LOGIN}"), "SCEAU_OIDC_ISSUER", "twice"),
    "any type of token": (_oidc(OIDC_TOKEN_TYPES="at+jwt,id+jwt"), "SCEAU_OIDC_TOKEN_TYPES", "at+jwt"),
    "another use of scopes": (_oidc(OIDC_SCOPE_CLAIM="widens"), "SCEAU_OIDC_SCOPE_CLAIM", "ignored"),
    "three pseudonym keys": ({"PSEUDONYM_KEY": ",".join([PSEUDONYM_KEY] * 3)}, "SCEAU_PSEUDONYM_KEY", "two"),
    "a short second key": ({"PSEUDONYM_KEY": f"{PSEUDONYM_KEY},22"}, "SCEAU_PSEUDONYM_KEY", "32 bytes"),
    "no URL": ({"PUBLIC_URL": "sceau.example.fr"}, "SCEAU_PUBLIC_URL", "URL"),
}


@pytest.mark.parametrize(("settings", "name", "how"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_setting_is_named(start, settings, name, how):
    """A setting that is missing or wrong stops the start with one line that names it and says how to mend it."""
    line = start(**settings)
    assert name in line
    assert how in line


@pytest.mark.parametrize("secret", [PSEUDONYM_KEY[:40] + "zz", "hunter2-" + "x" * 20])
def test_a_refusal_shows_no_secret(start, secret):
    """What a refused key or URL holds is not printed."""
    for settings in ({"PSEUDONYM_KEY": secret}, {"MASTER_KEY": secret}, {"DATABASE_URL": f"mysql://x:{secret}@y/z"}):
        assert secret not in start(**settings)


def test_a_deployment_that_is_not_this_database_s(start, database):
    """A start with other keys or another normalisation of ids than the database's is refused, naming the setting."""
    with running(database):
        pass
    for settings, name in (
        ({"PSEUDONYM_KEY": "33" * 32}, "SCEAU_PSEUDONYM_KEY"),
        ({"MASTER_KEY": "first:" + "44" * 32}, "SCEAU_MASTER_KEY"),
        ({"SUBJECT_IDS": "exact"}, "SCEAU_SUBJECT_IDS"),
    ):
        assert name in start(**settings)


def test_code_of_before_is_refused_beside_a_later_protocol(start, database):
    """A process does not start once another has used a later freshness protocol on its database."""
    with running(database):
        pass
    execute(database, "INSERT INTO key_check (name, value) VALUES ('protocol 10', 'spoken')")
    assert "protocol 10" in start()


def test_a_rotated_master_key_is_accepted(database):
    """A start with a new master key, followed by the old one, is accepted."""
    with running(database):
        pass
    with running(database, master_key="second:" + "44" * 32 + "," + MASTER_KEY) as api:
        assert api.call("GET", "/readyz").status_code == 200


def test_an_empty_database(start):
    """A database that was never migrated is refused with the command to run."""
    with new_database(template="template0") as empty:
        assert "sceau migrate" in start(DATABASE_URL=empty.owner_url)


def test_a_schema_behind(start, monkeypatch, tmp_path):
    """A schema older than the code is refused with the command to run."""
    know_one_more(monkeypatch, tmp_path)
    assert "sceau migrate" in start()


@pytest.mark.parametrize("revision", ["0001", "0041"])
def test_a_schema_of_before_the_baseline(start, database, revision):
    """A database from before the baseline is refused with what to do, and `sceau migrate` refuses it too."""
    execute(database, "UPDATE alembic_version SET version_num = %s", revision)
    printed = start()
    assert "made by an unreleased version of Sceau before the baseline" in printed
    assert "--data" in printed
    with pytest.raises(MigrationRefusedError, match="before the baseline"):
        migrate(database.owner_url, database.app_url)


def test_a_schema_ahead(database):
    """A schema newer than the code is accepted: old code on new schema."""
    execute(database, "UPDATE alembic_version SET version_num = 'from the future'")
    with running(database) as api:
        assert api.call("GET", "/readyz").status_code == 200


def test_two_readings_of_paris(start, monkeypatch):
    """A start is refused, with what to update, if Python and PostgreSQL disagree about Europe/Paris on one day."""
    ours = paris_midnight
    odd = revisions._FIRST + 700 * revisions._STEP
    monkeypatch.setattr(
        revisions, "paris_midnight", lambda day: ours(day) + timedelta(hours=1) if day == odd else ours(day)
    )
    line = start()
    assert "Europe/Paris" in line
    assert "tzdata" in line


def test_a_deployment_is_wired_without_a_database(database):
    """Control: the settings that the refusals start from are right."""
    assert deployment_of(settings_for(database)).pseudonyms.makers()


def test_a_port_that_is_taken(place, server):
    """A port that another process listens on is refused with one line that says what to choose."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        second = Service(place / "taken.log", server.settings, port=taken.getsockname()[1])
        assert second.process.wait(60) == 1
    line = [each for each in second.output.read_text().splitlines() if each.startswith("sceau: ")]
    assert len(line) == 1
    assert "choose another --port" in line[0]
    assert "Traceback" not in second.output.read_text()


def test_a_data_directory_that_is_in_use(place):
    """A second service on one data directory is refused with one line; the first goes on."""
    data = place / "shared"
    settings = {"SCEAU_BOOTSTRAP_KEY": "", "SCEAU_JOBS": "false"}
    first = Service(place / "first.log", settings, data=data).wait_until_it_listens()
    second = Service(place / "other.log", settings, data=data)
    try:
        assert second.process.wait(60) == 1
        line = _one_line(second.output.read_text())
        assert str(data) in line
        assert first.call("GET", "/readyz", key=None).status_code == 200
    finally:
        second.end()
        first.end()


def test_a_deployment_without_its_database_is_not_the_folder_of_a_demo(start, tmp_path, monkeypatch):
    """A start with a key or an owner but no database is refused, and a `.sceau` directory that is there is not used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".sceau").mkdir()
    for named in ("DATABASE_OWNER_URL", "PSEUDONYM_KEY", "MASTER_KEY"):
        others = {name: None for name in ("DATABASE_OWNER_URL", "PSEUDONYM_KEY", "MASTER_KEY") if name != named}
        assert f"SCEAU_DATABASE_URL is not set, and SCEAU_{named} is" in start(DATABASE_URL=None, **others)
    assert list((tmp_path / ".sceau").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["subject", "export", "-o", "told.json"],
        ["register", "export", "-o", "register.csv"],
        ["proof", "key"],
        ["proof", "replay", "--since", "2026-01-01", "--until", "2026-02-01"],
        ["limits", "show"],
        ["export", "all.ndjson"],
    ],
)
def test_a_mistyped_data_directory_is_no_new_deployment(tmp_path, monkeypatch, words):
    """A command with a mistyped data directory is refused and does not make that directory."""
    for name in [name for name in os.environ if name.startswith("SCEAU_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, [*words, "--data", "mistyped"], input="alice\n")
    assert "mistyped holds no deployment" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
