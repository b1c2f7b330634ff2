"""A narrowing write whose process died before it was confirmed is confirmed when it is repeated."""

from contextlib import asynccontextmanager

import pytest

from app.db.database import OutcomeUnknownError
from app.snapshot.writer import Writer
from tests.faults.service import wait_for_lease
from tests.support.api import running, subject
from tests.support.databases import new_database
from tests.support.people import people

AGE = {"age_band": "under_15", "stated_by": "operator", "checked_how": "identity_document"}
REQUESTS = {
    "withdrawal": ("/v1/withdrawals", lambda alice, _: {"subject": alice, "processing": "ads"}),
    "closure": ("/v1/subjects/closures", lambda alice, _: {"subject": alice}),
    "erasure": ("/v1/subjects/erasures", lambda alice, _: {"subject": alice}),
    "link": ("/v1/subjects/links", lambda alice, ali: {"from": ali, "to": alice, "basis": "user_proved"}),
    "mailbox": ("/v1/subjects/mailboxes", lambda alice, _: {"subject": alice, "shared": True}),
    "age": ("/v1/subjects/ages", lambda alice, _: {"subject": alice, **AGE}),
}


@pytest.fixture(scope="module")
def workers():
    """Two workers of one service."""
    with new_database() as database, running(database, cache="leased") as one, running(database, cache="leased") as two:
        one.register("ads")
        yield one, two


@asynccontextmanager
async def _dies(self, _=None, lead=(), **_more):
    """Commit, and fail before the write is confirmed."""
    async with self._database.write(None, lead) as session:
        yield session
    raise OutcomeUnknownError


@pytest.mark.parametrize(("path", "body"), REQUESTS.values(), ids=REQUESTS)
def test_a_repetition_is_answered_when_no_worker_permits_any_more(workers, monkeypatch, path, body):
    """When a write that failed after its commit is repeated and answered, neither worker permits any more."""
    one, two = workers
    alice, ali = people("alice", "ali")
    sent = body(subject(alice), subject(ali))
    for name in (alice, ali):
        one.decide(name, "ads")
    one.withdraw(ali, "ads")
    for each in workers:
        wait_for_lease(each)
        assert each.reason(alice, "ads") == "consent_in_force"
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", _dies)
        assert one.call("POST", path, sent).json()["type"] == "urn:sceau:problem:outcome-unknown"
    assert one.call("POST", path, sent).status_code in {200, 201}
    assert not {"consent_in_force"} & {one.reason(alice, "ads"), two.reason(alice, "ads")}
