"""`sceau doctor` about keys, restores, receivers, issuers, disk and address: each once as it should not be."""

import json
from contextlib import contextmanager

import pytest

from app.db.refusals import OF_A_POOLER
from tests.faults.words import ADS, decision, withdrawal
from tests.support.commands import run_bare
from tests.support.listening import Answering, listening

OTHER_KEY = "33" * 32


@contextmanager
def answering(status, body):
    """The address of something that answers every GET alike."""

    class Handler(Answering):
        def get(self):
            self.answer(body, status)

    with listening(Handler) as address:
        yield address


def wrong_of(checks, check):
    """What is wrong with a check."""
    return [message for grade, message, _ in checks[check] if grade == "wrong"]


@pytest.mark.parametrize(
    ("changed", "check", "message"),
    [
        ({"pseudonym_key": OTHER_KEY}, "pseudonym key", "is not a key by which every subject"),
        ({"subject_ids": "exact"}, "pseudonym key", "SCEAU_SUBJECT_IDS differs"),
        ({"master_key": f"first:{OTHER_KEY}"}, "master key", "holds another key under the id 'first'"),
        ({"state_directory": "/proc"}, "disk", "SCEAU_STATE_DIRECTORY cannot be written"),
        ({"oidc_issuer": "https://127.0.0.1:9/", "oidc_audience": "sceau"}, "issuers", "cannot be read (connect)"),
        ({"public_url": "http://sceau.example.fr"}, "public URL", "is not https"),
        ({"public_url": "https://127.0.0.1:9"}, "public URL", "nothing answers"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else None,
)  # fmt: skip
def test_a_wrong_setting_is_told_by_its_check(examined, changed, check, message):
    """A key, a directory, an issuer or an address that is not right is wrong; its line names the setting."""
    status, checks = examined(**changed)
    assert status == 1
    assert any(message in line for line in wrong_of(checks, check)), checks[check]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, b"nothing here"), "answers 404"),
        ((200, b"<html>"), "is not Sceau"),
        ((200, json.dumps({"keys": [{"kid": "of another"}]}).encode()), "another deployment answers"),
    ],
    ids=["proxy", "page", "other"],
)
def test_what_is_not_this_deployment_is_told(examined, answer, message):
    """At the public address: a proxy that passes nothing on, another program, another deployment."""
    with answering(*answer) as url:
        status, checks = examined(public_url=url)
    assert status == 1
    assert message in wrong_of(checks, "public URL")[0]


@pytest.mark.parametrize(
    ("changed", "check", "message"),
    [
        ({"state_directory": None}, "journal", "revives withdrawn consents"),
        ({"state_directory": None}, "outage file", "answers nothing"),
        ({"master_key": f"second:{OTHER_KEY}"}, "master key", "lacks the key of id 'first'"),
    ],
)
def test_what_should_be_mended_is_a_warning(examined, changed, check, message):
    """No journal, no outage file, or an old master key that is not held: a warning with a remedy, and exit status 0."""
    status, checks = examined(**changed)
    ((grade, line, remedy),) = checks[check]
    assert (status, grade) == (0, "warning")
    assert message in line
    assert remedy


def test_a_disk_that_is_nearly_full_is_a_warning(examined, monkeypatch):
    """Less room than 64 MiB is told, with how much is left."""
    monkeypatch.setattr("app.cli.checks.surroundings._LEAST_BYTES", 1 << 62)
    _, checks = examined()
    assert {grade for grade, message, _ in checks["disk"] if "MiB left" in message} == {"warning"}


@pytest.mark.parametrize(
    ("url", "message"),
    [("https://nowhere.invalid/hook", "does not resolve"), ("https://10.1.2.3/hook", "may not be reached")],
)
def test_a_receiver_that_could_not_be_sent_to_is_told(pair, examined, url, message):
    """A host that does not resolve, and an address of a network that is not allowed; the address is not printed."""
    pair.primary.sql(
        "INSERT INTO webhook_endpoint (id, url, include_subject, status, status_at, created_at, created_by) "
        f"SELECT gen_random_uuid(), '{url}', false, 'active', now(), now(), id FROM caller LIMIT 1"
    )
    try:
        status, checks = examined()
        allowed = examined(webhook_networks="10.1.0.0/16")[1]
    finally:
        pair.primary.sql("DELETE FROM webhook_endpoint")
    assert status == 1
    (line,) = wrong_of(checks, "webhooks")
    assert message in line
    assert "hook" not in line.replace("webhooks", "")
    assert bool(wrong_of(allowed, "webhooks")) == ("10." not in url)


def test_a_database_that_was_set_back_is_told(pair, examined):
    """What the journal notes and the database does not hold is counted."""
    service = pair.service
    service.ok("POST", "/v1/processings", ADS)
    service.ok("POST", "/v1/consents", decision("alice"))
    service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
    assert examined()[1]["restores"][0][0] == "ok"
    pair.primary.sql("CREATE TABLE kept AS SELECT * FROM journal_note")
    pair.primary.sql("SET session_replication_role = replica; DELETE FROM journal_note")
    try:
        status, checks = examined()
    finally:
        pair.primary.sql("SET session_replication_role = replica; INSERT INTO journal_note SELECT * FROM kept")
        pair.primary.sql("DROP TABLE kept")
        service.ok(
            "POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing: the notes are back."}
        )  # it may have looked meanwhile
    assert status == 1
    assert "of the journal's last notes not held" in wrong_of(checks, "restores")[0]


def test_wrong_settings_are_all_told_and_nothing_else_is_looked_at(examined):
    """Two settings that are wrong are two lines."""
    status, checks = examined(cache="perhaps", pool_size="none")
    assert (status, set(checks)) == (1, {"settings"})
    assert len(wrong_of(checks, "settings")) == 2


def test_nothing_secret_is_printed(pair, examined):
    """Neither a password of a DSN nor a key stands in the output, whatever fails."""
    with_password = pair.settings["SCEAU_DATABASE_URL"].replace("sceau_app@", "sceau_app:hunter2@")
    environment = {**pair.settings, "SCEAU_DATABASE_URL": with_password, "SCEAU_PSEUDONYM_KEY": OTHER_KEY}
    environment["SCEAU_DATABASE_OWNER_URL"] = with_password.replace("/sceau", "/none")
    _, error, output = run_bare(environment, "doctor")
    assert "wrong" in output
    for secret in ("hunter2", OTHER_KEY, pair.settings["SCEAU_MASTER_KEY"]):
        assert secret not in output + error


def test_the_lines_for_a_person_name_check_and_remedy(pair):
    """One line each: the grade, the check, what it is, and behind an arrow what to do."""
    _, _, output = run_bare({**pair.settings, "SCEAU_STATE_DIRECTORY": None}, "doctor")
    (line,) = [line for line in output.splitlines() if " journal " in line]
    assert line.startswith("warning  journal ")
    assert " → set SCEAU_STATE_DIRECTORY" in line
    assert OF_A_POOLER not in output
