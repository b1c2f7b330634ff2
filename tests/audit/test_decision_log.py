import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.api import question, running, subject


def logged(api, number=1, **wanted):
    """The decisions that match, once there are so many of them."""
    for _ in range(100):
        found = api.ok("POST", "/v1/decisions/search", wanted)["items"]
        if len(found) >= number:
            return found
        time.sleep(0.05)
    return api.ok("POST", "/v1/decisions/search", wanted)["items"]


@pytest.fixture(params=["leased", "strict"])
def logging_api(database, request):
    """The application with its log, deciding from memory or not."""
    with running(database, cache=request.param) as called:
        called.register("ads")
        called.register("spam", purpose="malware_detection")
        yield called


def test_every_decision_under_iv_is_found_by_the_id_that_its_answer_carried(logging_api):
    """Permits and denials under IV are logged with what they rest on."""
    consent = logging_api.decide("alice", "ads")
    permit = logging_api.evaluate("alice", "ads", elements=["content"])
    deny = logging_api.evaluate("bob", "ads")
    (found,) = logged(logging_api, id=permit["context"]["id"])
    assert (found["decision"], found["reason"], found["rule"]) == (True, "consent_in_force", "19")
    assert (found["consent"], found["elements"]) == (consent["id"], ["content"])
    (found,) = logged(logging_api, id=deny["context"]["id"])
    assert (found["decision"], found["reason"]) == (False, "no_consent")


def test_a_batch_is_logged_item_by_item_up_to_where_it_stopped(logging_api):
    """What was truncated was not answered, and is not logged."""
    items = [{"subject": subject(name)} for name in ("alice", "bob", "carol")]
    body = {**question("x", "ads"), "evaluations": items, "options": {"evaluations_semantic": "deny_on_first_deny"}}
    answers = logging_api.ok("POST", "/access/v1/evaluations", body)["evaluations"]
    (found,) = logged(logging_api, processing="ads")
    assert [found["id"]] == [each["context"]["id"] for each in answers]


def test_decisions_are_searched_by_subject_correspondence_outcome_and_time(logging_api):
    """Each filter narrows the list, newest first, page by page."""
    logging_api.decide("alice", "ads")
    for name in ("alice", "bob", "alice"):
        logging_api.evaluate(name, "ads")
    assert len(logged(logging_api, 3, processing="ads")) == 3
    of_alice = logged(logging_api, 2, subject=subject("ALICE"))
    assert [each["decision"] for each in of_alice] == [True, True]
    assert of_alice[0]["at"] > of_alice[1]["at"]
    assert len(logged(logging_api, decision=False)) == 1
    assert len(logged(logging_api, 3, correspondence={"type": "correspondence", "id": "handle"})) == 3
    assert logging_api.ok("POST", "/v1/decisions/search", {"since": "2100-01-01T00:00:00Z"})["items"] == []
    first = logging_api.ok("POST", "/v1/decisions/search", {"page": {"limit": 2}})
    rest = logging_api.ok("POST", "/v1/decisions/search", {"page": {"limit": 2, "cursor": first["next_cursor"]}})
    assert (len(first["items"]), len(rest["items"]), "next_cursor" in rest) == (2, 1, False)


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_of_the_exempt_permits_a_share_is_logged(database, share, number):
    """Permits under III are sampled evenly; everything else is logged."""
    with running(database, decision_log_exempt_share=share) as api:
        api.register("spam", purpose="malware_detection")
        api.register("ads")
        for _ in range(4):
            assert api.reason("alice", "spam") == "exempt"
        api.evaluate("alice", "ads")
        assert len(logged(api, processing="ads")) == 1
        assert len(api.ok("POST", "/v1/decisions/search", {"processing": "spam"})["items"]) == number


def test_a_durable_permit_is_in_the_log_when_it_is_answered(database):
    """With SCEAU_DECISION_LOG=durable the row of a permit under IV is committed before its answer."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        api.decide("alice", "ads")
        for _ in range(5):
            identifier = api.evaluate("alice", "ads")["context"]["id"]
            with psycopg.connect(database.owner_url) as connection:
                row = connection.execute("SELECT permitted FROM decision_log WHERE id = %s", [identifier]).fetchone()
            assert row == (True,)


def test_without_its_log_a_durable_permit_is_not_answered_and_a_denial_is(database):
    """When the row cannot be committed, a permit under IV is 503; a denial needs no row."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        api.decide("alice", "ads")
        assert api.evaluate("alice", "ads")["decision"] is True
        with psycopg.connect(database.owner_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE decision_log RENAME TO put_away")
            answer = api.call("POST", "/access/v1/evaluation", question("alice", "ads"))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            assert api.reason("bob", "ads") == "no_consent"
            connection.execute("ALTER TABLE put_away RENAME TO decision_log")


def test_the_log_holds_no_name(logging_api, database):
    """Neither the subject nor the correspondence stands in the log in clear."""
    logging_api.evaluate("marked-subject", "ads")
    logged(logging_api, processing="ads")
    with psycopg.connect(database.owner_url) as connection:
        rows = str(connection.execute("SELECT decision_log::text FROM decision_log").fetchall())
    assert "marked-subject" not in rows
    assert b"marked-subject".hex() not in rows
    assert b"handle".hex() not in rows


def test_old_days_are_dropped_and_today_never(database):
    """Partitions older than the retention go; the functions refuse to touch today or to make a far day's."""
    with running(database):
        pass
    old = datetime.now(UTC).date() - timedelta(days=30)
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        name = f"decision_log_{old:%Y%m%d}"
        connection.execute(
            f"CREATE TABLE {name} PARTITION OF decision_log FOR VALUES FROM ('{old}') TO ('{old + timedelta(days=1)}')"
        )
        with running(database, decision_log_retention=timedelta(days=29)):
            pass
        assert connection.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,)
        today = f"decision_log_{datetime.now(UTC):%Y%m%d}"
        assert connection.execute("SELECT to_regclass(%s)", [today]).fetchone() == (today,)
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT sceau_drop_log_before(current_date + 1)")
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT sceau_make_log_partition(current_date + 30)")


def test_a_log_that_is_off_writes_nothing(database):
    """With SCEAU_DECISION_LOG=off no row is written."""
    with running(database, decision_log="off") as api:
        api.register("ads")
        api.evaluate("alice", "ads")
    with psycopg.connect(database.owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM decision_log").fetchone() == (0,)
