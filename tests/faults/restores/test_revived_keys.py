"""A revoked key that a backup revived can record nothing that permits more, before or after the replay."""

import time

import pytest

from tests.faults.restores.restorable import asked, withdraw
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal
from tests.support.api import processing, subject
from tests.support.consents import grant

pytestmark = pytest.mark.deep

SCOPES = ["keys:manage", "deployment:recover", "decisions:evaluate", "consents:write"]


def revived(deployment):
    """A key and its caller's id that were revoked, and then brought back with the database."""
    (made,) = deployment.kept("/v1/keys", {"name": "leaver", "scopes": SCOPES})
    with deployment.lost() as service:
        service.call("DELETE", f"/v1/keys/{made['id']}")
        withdraw(service)
    return made


def test_it_makes_no_key_that_accepts_the_restore(deployment):
    """A revived key can neither accept the restore, nor make, rotate or widen a key that could."""
    with deployment.serving() as service:
        other = service.ok("POST", "/v1/keys", {"name": "small", "scopes": ["decisions:evaluate"]})
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        assert (
            service.call("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing."}, made["key"]).status_code
            == 401
        )
        another = {"name": "again", "scopes": SCOPES}
        for path, body in (("/v1/keys", another), (f"/v1/keys/{made['id']}/rotations", {"compromised": True})):
            refused = service.call("POST", path, body, made["key"])
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:sceau:problem:restored-behind")
        assert asked(service, "alice") == "restored-behind"
        assert service.call("PATCH", f"/v1/keys/{other['id']}", {"scopes": SCOPES}, made["key"]).status_code == 503
        assert (
            service.call("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing."}, other["key"]).status_code
            == 403
        )
        narrower = service.call("PATCH", f"/v1/keys/{made['id']}", {"scopes": ["keys:manage"]})
        assert narrower.status_code == 200


@pytest.mark.parametrize("how", ["rotated", "revoked"])
def test_a_key_that_has_ended_accepts_no_restore(deployment, how):
    """A key that has ended cannot accept a restore, although the backup has it without an end; one in force can."""
    (made,) = deployment.kept("/v1/keys", {"name": how, "scopes": ["deployment:recover"]})
    accept = ("POST", "/v1/proposals", {"kind": "restore", "lost": "All."}, made["key"])
    with deployment.lost() as service:
        if how == "rotated":
            service.ok("POST", f"/v1/keys/{made['id']}/rotations", {"overlap": "PT1S"})
        else:
            service.call("PATCH", f"/v1/keys/{made['id']}", {"revoke_keys": [made["keys"][0]["id"]]})
        withdraw(service)
        time.sleep(1.1)
        assert service.call(*accept).status_code == 401
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        assert service.call(*accept).status_code == 401
        assert service.call(*accept[:3]).status_code == 201


@pytest.mark.parametrize("how", ["age", "refusal"])
def test_it_makes_nobody_older(deployment, how):
    """An adult's age stated with a revived key validates no grant, even after the replay; its refusal is recorded."""
    name = f"nina-{how}"
    with deployment.serving() as service:
        service.call("POST", "/v1/processings", processing("of-adults-mail", age_statement_required=True))
        service.ok("POST", "/v1/consents", grant(name, "of-adults-mail"))
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        if how == "age":
            stated = {"age_band": "adult", "stated_by": "self", "checked_how": "not_checked"}
            answer = service.call("POST", "/v1/subjects/ages", {"subject": subject(name), **stated}, made["key"])
        else:
            adult = {"decision": "refused", "capacity": {"age_band": "adult", "given_by": "self"}}
            answer = service.call("POST", "/v1/consents", {**decision(name), **adult}, made["key"])
        assert answer.status_code == {"age": 503, "refusal": 201}[how]
        deployment.replay(service)
        assert asked(service, name, "of-adults-mail") is False


def test_it_gives_no_mailbox_to_one_person(deployment):
    """A revived key cannot unmark or close a shared mailbox, nor link names; it may mark another mailbox."""
    three, two = ({"subject": subject(each), "shared": True} for each in ("three", "two"))
    with deployment.serving() as service:
        service.ok("POST", "/v1/subjects/mailboxes", three)
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        for path, body in (("mailboxes", {**three, "shared": False}), ("closures", {"subject": three["subject"]})):
            assert service.call("POST", f"/v1/subjects/{path}", body, made["key"]).status_code == 503
        linked = {"from": subject("new"), "to": subject("alice"), "basis": "user_proved"}
        assert service.call("POST", "/v1/subjects/links", linked, made["key"]).status_code == 503
        service.ok("POST", "/v1/subjects/mailboxes", two)


def test_a_restore_is_accepted_where_the_journal_cannot_be_read(deployment):
    """A restore can be accepted even if a file beside the journal is broken."""
    deployment.lose(withdraw)
    (deployment.journal / "seen.json").write_text("{")
    assert "the service answers from this database again" in deployment.command(
        "accept-restore", "--lost", "Not known yet."
    )


def test_it_records_no_consent_that_outlives_the_replay(deployment):
    """A grant is refused with 503 until the restore is dealt with; refusals and withdrawals are recorded."""
    made = revived(deployment)
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == "restored-behind")
        items = [decision("eve"), decision("bob", "refused")]
        recorded = service.ok("POST", "/v1/consents/batch", {"items": items})["items"]
        assert [each["status"] for each in recorded] == [503, 201]
        assert service.call("POST", "/v1/consents", decision("eve"), made["key"]).status_code == 503
        service.ok("POST", "/v1/withdrawals", withdrawal("carol"))
        deployment.replay(service)
        assert [asked(service, name) for name in ("eve", "bob", "carol")] == [False, False, False]
        assert service.call("POST", "/v1/consents", decision("eve"), made["key"]).status_code == 401
        service.ok("POST", "/v1/consents", decision("eve"))
        eventually(lambda: asked(service, "eve") is True)
