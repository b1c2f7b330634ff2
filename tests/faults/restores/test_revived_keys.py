"""A key that was revoked after the backup works again until the replay: nothing that it says permits more."""

from tests.faults.restores.restorable import asked
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal

SCOPES = ["keys:manage", "deployment:recover", "decisions:evaluate", "consents:write"]


def revived(deployment):
    """The key of somebody who left, and the id of its caller: revoked, and brought back with the database."""
    with deployment.serving() as service:
        made = service.ok("POST", "/v1/keys", {"name": "leaver", "scopes": SCOPES})
        deployment.back_up()
    with deployment.serving() as service:
        service.call("DELETE", f"/v1/keys/{made['id']}")
        service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
    deployment.set_back()
    return made


def test_it_makes_no_key_that_accepts_the_restore(deployment):
    """It may not accept the restore, nor make, rotate or register what might."""
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        assert service.call("POST", "/v1/restores", {"lost": "Nothing."}, made["key"]).status_code == 401
        another = {"name": "again", "scopes": SCOPES}
        for path, body in (("/v1/keys", another), (f"/v1/keys/{made['id']}/rotations", {"compromised": True})):
            refused = service.call("POST", path, body, made["key"])
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:sceau:problem:restored-behind")
        assert asked(service, "alice") == "restored-behind"


def test_a_restore_is_accepted_where_the_journal_cannot_be_read(deployment):
    """A broken file beside the journal keeps nobody from saying what is lost: that is the way out of it."""
    with deployment.serving() as service:
        service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
    deployment.set_back()
    (deployment.journal / "seen.json").write_text("{")
    deployment.accept()


def test_it_records_no_consent_that_outlives_the_replay(deployment):
    """A grant is refused with 503 until the restore is dealt with; refusals and withdrawals are recorded."""
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        items = [decision("eve"), decision("bob", "refused")]
        told = service.ok("POST", "/v1/consents/batch", {"items": items})["items"]
        assert [each["status"] for each in told] == [503, 201]
        assert service.call("POST", "/v1/consents", decision("eve"), made["key"]).status_code == 503
        service.ok("POST", "/v1/withdrawals", withdrawal("carol"))
        status, said = deployment.command("replay-journal")
        assert status == 0, said
        eventually(lambda: asked(service, "dora") is True)
        assert [asked(service, name) for name in ("eve", "bob", "carol")] == [False, False, False]
        assert service.call("POST", "/v1/consents", decision("eve"), made["key"]).status_code == 401
        service.ok("POST", "/v1/consents", decision("eve"))
        eventually(lambda: asked(service, "eve") is True)
