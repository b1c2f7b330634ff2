"""Each narrowing write is noted outside the database before it is answered, and no note is lost with its process."""

import json

import pytest

from tests.faults.restores.restorable import asked, narrow, withdraw
from tests.faults.service import eventually
from tests.faults.words import withdrawal
from tests.support.api import subject

pytestmark = pytest.mark.deep


def test_lines_are_sealed_and_a_line_that_was_altered_is_said(deployment):
    """The journal's lines are sealed; with an altered line, a service answers no question that needs consent."""
    with deployment.serving() as service:
        narrow(service)
    (path,) = deployment.journal.glob("journal-*.ndjson")
    lines = path.read_text().splitlines()
    assert {tuple(json.loads(line)) for line in lines} == {("id", "epoch", "at", "sealed")}
    path.write_text("\n".join([*lines[:-1], lines[-1].replace('"sealed":"', '"sealed":"AAAA')]) + "\n")
    assert "altered" in deployment.command("restore-check", status=1)
    with deployment.serving() as service:
        assert asked(service, "dora") == "restored-behind"


def test_a_write_that_cannot_be_noted_is_not_answered_as_done(deployment):
    """Without the journal's directory a withdrawal is recorded and gets 503, as /readyz says; with it, it gets 200."""
    with deployment.serving() as service:
        with deployment.unmounted():
            refused = service.call("POST", "/v1/withdrawals", withdrawal("alice"))
        assert "SceauJournalFails" in service.call("GET", "/readyz").text
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:sceau:problem:outcome-unknown")
        eventually(lambda: asked(service, "alice") is False)  # it may have looked while there was no journal
        assert service.call("POST", "/v1/withdrawals", withdrawal("alice")).status_code == 200
        assert "SceauJournalFails" not in service.call("GET", "/readyz").text


def test_a_hook_gets_each_line(deployment, tmp_path):
    """A hook gets each line that the journal's file gets, and a hook that fails makes the write a 503."""
    hook = deployment.hook(f"cat >> {(got := tmp_path / 'got')}")
    with deployment.serving(SCEAU_JOURNAL_HOOK=str(hook)) as service:
        narrow(service)
        (path,) = deployment.journal.glob("journal-*.ndjson")
        assert got.read_bytes().count(b"\n") >= 5
        assert path.read_bytes().endswith(got.read_bytes())
        deployment.hook("exit 1")
        assert service.call("POST", "/v1/withdrawals", withdrawal("dora")).status_code == 503


def test_what_could_not_be_noted_is_noted_before_it_is_answered_again(deployment):
    """Writes that a killed process recorded without notes are noted by another before it answers their repetitions."""
    calls = [
        ("POST", "/v1/withdrawals", withdrawal("alice")),
        ("POST", "/v1/subjects/closures", {"subject": subject("bob")}),
        ("POST", "/v1/subjects/erasures", {"subject": subject("carol")}),
    ]

    def send(service, number):
        method, path, body = calls[number]
        headers = {"Idempotency-Key": f"sent-again-{number}", "Authorization": service.authorization}
        return service.client.request(method, path, json=body, headers=headers).status_code

    with deployment.serving() as service, deployment.unmounted():
        assert [send(service, number) for number in range(3)] == [503] * 3
        service.process.kill()
    with deployment.lost() as service:
        assert [send(service, number) for number in range(3)] == [200] * 3
        with deployment.server.administrator() as admin:
            assert admin.execute("SELECT count(*) FROM journal_note WHERE line IS NOT NULL").fetchone() == (0,)
    deployment.command("replay-journal")
    with deployment.serving() as service:
        names = ("alice", "bob", "carol")
        eventually(lambda: [asked(service, name) for name in names] == [False] * 3)


def test_a_note_that_was_left_is_kept_by_another_host_and_only_such_a_note(deployment, elsewhere):
    """A host keeps another host's note only if that one died before keeping it."""

    def kept():
        return b"".join(each.read_bytes() for each in elsewhere.glob("journal-*"))

    def waiting():
        with deployment.server.administrator() as admin:
            return admin.execute("SELECT count(*) FROM journal_note WHERE line IS NOT NULL").fetchone()[0]

    with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)), deployment.serving() as service:
        before = eventually(kept)  # the epoch of the database
        withdraw(service)
        eventually(lambda: waiting() == 0)
        assert kept() == before
        deployment.journal.rename(deployment.journal.with_name("aside"))
        assert service.call("POST", "/v1/withdrawals", withdrawal("bob")).status_code == 503
        service.process.kill()
        eventually(lambda: waiting() == 0)
        assert kept().count(b"\n") == before.count(b"\n") + 1
