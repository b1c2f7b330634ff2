"""The dashboard's section of decisions: by day and reason, counted once, of the processings that a key may name."""

import re

import psycopg

from tests.support.api import running
from tests.support.dashboard import Visitor, count


def test_decisions_by_day_and_reason(database):
    """What was decided is counted from the log: permitted and denied by day, each reason with its number."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("filter", purpose="malware_detection")
        api.decide("alice", "ads")
        for name, identifier in (("alice", "ads"), ("bob", "ads"), ("bob", "ads"), ("bob", "filter"), ("bob", "none")):
            api.evaluate(name, identifier)
    count(database)
    with running(database, decision_log_exempt_share=0.5) as api:
        page = Visitor(api).sign_in()
    text = page.text("decisions")
    assert "log keeps only 50%." in text
    assert re.search(r"Day Permitted Denied \d+ \w+ \d{4} 2 3 \d+ \w+ \d{4} 0 0", text)
    for reason, number in (
        ("consent in force Permitted", 1),
        ("no consent Denied", 2),
        ("unknown processing Denied", 1),
    ):
        assert f"{reason} {number} {number} 0" in text


def test_counting_again_counts_nothing_twice(database):
    """An hour that is counted again has its numbers once; what comes in between is added."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        for expected in (1, 2, 3):
            api.evaluate("bob", "ads")
            _until_logged(database, expected)
            count(database)
            count(database)
            assert f"no consent Denied {expected} {expected} 0" in Visitor(api).sign_in().text("decisions")


def _until_logged(database, number):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        for _ in range(1_000):
            if connection.execute("SELECT count(*), pg_sleep(0.01) FROM decision_log").fetchall()[0][0] == number:
                return
    raise AssertionError("not logged")


def test_no_log_is_no_gap(database):
    """Where the log is off, the section says that, and shows no zeros."""
    with running(database, decision_log="off") as api:
        count(database)
        text = Visitor(api).sign_in().text("decisions")
    assert "The decision log is off" in text
    assert "Permitted" not in text


def test_decisions_of_a_restricted_caller(database):
    """Neither other processings nor questions about unknown ones are counted for it."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        for identifier in ("ads", "ads", "stats", "none"):
            api.evaluate("bob", identifier)
        key = api.new_key("audit:read", processings=["stats"])
    count(database)
    with running(database) as api:
        text = Visitor(api).sign_in(key).text("decisions")
    assert "no consent Denied 1 1 0" in text
    assert "unknown" not in text
