"""Random questions for tests of proofs, and what a replay says of their decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.service import eventually
from tests.support.api import question

PEOPLE = ("alice", "bob", "carol", "dave", "desk")
PROCESSINGS = {
    "ads": {},
    "stats": {"purpose": "statistics", "party_mode": "all_local_users", "consent_validity": "P6M"},
    "all": {"party_mode": "all_parties"},
    "spam": {"purpose": "unsolicited_content_detection"},
}
WIDE: dict[str, Any] = {"decision_log": "durable", "decision_log_exempt_share": 1.0}


def questions(chance, number):
    """Random questions, as the API takes them."""
    for _ in range(number):
        others = chance.sample([*PEOPLE, "eve"], chance.randint(0, 3))
        properties = {
            "participants": [{"id": each, "local": each != "eve"} for each in others]
            if chance.random() < 0.7
            else None,
            "automated": chance.random() < 0.95,
            "private": chance.random() < 0.9,
            "territory": chance.choice(["FR", "FR", "FR", "NC", "DE"]),
            "channel": chance.choice(["online", "online", "text_message"]),
            "elements": chance.choice([None, ["content"], ["attachments"]]),
        }
        query = {name: value for name, value in properties.items() if value is not None}
        yield question(chance.choice(PEOPLE), chance.choice([*PROCESSINGS, "unknown"]), **query)


def ask(api, chance, number):
    """Ask them one by one, and wait until all decisions are logged."""
    before = written(api)
    for each in questions(chance, number):
        api.ok("POST", "/access/v1/evaluation", each)
    eventually(lambda: written(api) == before + number)


def ask_many(api, chance, number):
    """Ask them in batches of a thousand."""
    before, left = written(api), number
    while left:
        some = min(left, 1_000)
        api.ok("POST", "/access/v1/evaluations", {"evaluations": list(questions(chance, some))})
        left -= some
        eventually(lambda: len(api.client.app.state.services.recorder.log) < 10_000)
    eventually(lambda: written(api) == before + number)


def written(api):
    """How many decisions this process has written into the log."""
    return api.client.app.state.services.recorder.log.counts.written


def replayed(log, *, until=timedelta(minutes=3), more=()):
    """What `sceau proof replay` says of the last hour."""
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=1), now + until
    between = ("--since", f"{begins:%Y-%m-%dT%H:%M:%S}", "--until", f"{ends:%Y-%m-%dT%H:%M:%S}")
    status, _, output = log.sceau("proof", "replay", *between, *more)
    return status, output
