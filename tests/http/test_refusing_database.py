"""A database that answers and cannot do its work: 503 with its own type, when to come back, and a note of /readyz."""

from contextlib import contextmanager

import psycopg
import pytest

from app.db.session import ServerRefusal
from tests.support.consents import grant

_FAIL = """
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it fails' USING ERRCODE = '{state}';
END
$$
"""


@pytest.fixture(scope="module")
def api(shared):
    """A service with a processing to write about; each test mends what it breaks of its database."""
    shared.agreed("ads", "alice")
    return shared


@contextmanager
def _failing(database, state):
    """While this lasts, every write to the ledger fails in this way."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(_FAIL.format(state=state))
        owner.execute("CREATE TRIGGER fails BEFORE INSERT ON consent_event EXECUTE FUNCTION fail()")
        yield
        owner.execute("DROP TRIGGER fails ON consent_event")


def _notes(api):
    return [note for note in api.ok("GET", "/readyz")["notes"] if note.startswith("PostgreSQL answers, and refuses:")]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("25006", ServerRefusal.READ_ONLY),
        ("53100", ServerRefusal.FULL),
        ("53200", ServerRefusal.FULL),
        ("57P01", ServerRefusal.STOPPING),
        ("58030", ServerRefusal.FAILING),
    ],
)
def test_what_the_server_refuses_by_class_is_told(api, shared_database, state, why):
    """Read-only, full, stopping, failing: the write is refused with the reason, /readyz says it until a write goes."""
    name = f"bob {state}"
    with _failing(shared_database, state):
        assert _notes(api) == []
        refused = api.call("POST", "/v1/consents", grant(name, "ads"))
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert refused.json()["type"] == "urn:sceau:problem:database-refuses"
        assert why.value in refused.json()["detail"]
        assert [why.value in note for note in _notes(api)] == [True]
        assert api.reason(name, "ads") == "no_consent"
    api.decide(name, "ads")
    assert _notes(api) == []


@pytest.mark.parametrize("state", ["22012", "25P02"])
def test_another_fault_of_the_server_has_no_such_type(api, shared_database, state):
    """Control: an error of the database that no retry mends is a 500 and makes no note."""
    with _failing(shared_database, state):
        refused = api.call("POST", "/v1/consents", grant("bob", "ads"))
        assert refused.status_code == 500
        assert _notes(api) == []
