"""What a superuser alters, and which check names it: row by row, on copies of one deployment, as two verifiers see it.

Each row says by what it is named: `bundle` alone; `head`, a bundle beside a checkpoint that was kept outside;
`receipt`, a bundle beside a receipt that a person has; `replay`, with the database; `append`, which signs nothing any
more; `late`, told and not called wrong; `stated`, entered as what stands now. An empty row cannot be named: README of
each bundle says so.
"""

import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.proof.asking import WIDE, ask, replayed
from tests.proof.logs import MINUTES_LATER, WRONG, Log, copied, lines_of
from tests.proof.test_second_verifier import both
from tests.support import two_persons
from tests.support.api import running, subject
from tests.support.consent_page import Person, link
from tests.support.databases import new_database
from tests.support.decision_rows import alter, once, with_facts
from tests.support.invalidations import invalidate
from tests.support.staff import acknowledge, person, publish

pytestmark = pytest.mark.deep
NOT_STATED = "the log does not state that this bundle was made"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deployment in which something of every kind happened, with decisions whose hour is stated."""
    with new_database() as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
        log = Log(database, tmp_path_factory.mktemp("made"))
        assert log.close() == 1
        with running(database, **WIDE) as api:
            for name in ("ads", "stats", "other"):
                api.register(name)
            receipts = {name: api.decide(name, "ads")["id"] for name in ("alice", "bob", "carol")}
            for each in ("ads-page", "stats-page"):
                api.register(each)
            Person(api, link(api, "erin", "ads-page", "stats-page")).press("accept", "ads-page")
            Person(api, link(api, "fred", "ads-page", "stats-page")).press("refuse", "stats-page")
            api.decide("dora", "ads", "refused")
            withdrawn = api.withdraw("bob", "ads")["id"]
            linked = {"from": subject("dora2"), "to": subject("dora"), "basis": "provider_account"}
            api.ok("POST", "/v1/subjects/links", linked)
            api.ok("POST", "/v1/subjects/mailboxes", {"subject": subject("desk"), "shared": True})
            assert two_persons.add(api, "stats", elements=["content"], reason="Less.").status_code == 201
            invalidate(api, "other")
            api.ok("PATCH", "/v1/processings/stats", {"status": "suspended"})
            publish(api)
            acknowledge(person(api)[1])
            log.append()
            ask(api, random.Random(5), 40)
            assert log.close() >= 1
            log.append()
            for name, identifier in {**receipts, "withdrawn": withdrawn}.items():
                log.receipt(api, identifier, f"{name}.jwt")
        log.kept("outside")
        yield log


@pytest.fixture
def log(made, tmp_path):
    """The same, for a test to alter."""
    with copied(made, tmp_path) as log:
        for each in (*made.place.glob("*.jwt"), made.place / "outside"):
            (log.place / each.name).write_text(each.read_text())
        yield log


def _wrong(log, *files):
    """What is called wrong of some files, but that a log which is refused states no bundle; and all that is said."""
    lines = log.verified(*files)[1].splitlines()
    bad = [line for line in lines if "WRONG: " in line or "UNREADABLE: " in line]
    return [line for line in bad if "do not rely on it" not in line and NOT_STATED not in line], lines


def _named_by(log):
    """The checks that name what was altered."""
    refused = not re.fullmatch("[0-9]+ entries appended", log.append())
    status, _, _ = log.sceau("proof", "bundle", "-o", log.place / "bundle.zip")
    if status != 0:
        return {"append"} if refused else set()
    bundle, outside, receipts = log.place / "bundle.zip", log.place / "outside", sorted(log.place.glob("*.jwt"))
    both(log, bundle)
    both(log, bundle, "--against", outside)
    alone, output = _wrong(log, bundle)
    stands = [line["body"] for line in lines_of(bundle) if '"of":"caller"' in line.get("body", "")]
    found = {
        "append": refused,
        "bundle": bool(alone),
        "late": any("it was entered late" in line for line in output),
        "head": not alone and bool(_wrong(log, bundle, "--against", outside)[0]),
        "receipt": not alone and any("does not stand" not in line for line in _wrong(log, bundle, *receipts)[0]),
        "replay": replayed(log)[0] == WRONG,
        "stated": any('"audit:read","consents:write"' in body for body in stands),
    }
    return {name for name, is_so in found.items() if is_so}


DAY = "interval '1 day'"
GRANT = "(SELECT id FROM consent_event WHERE kind = 'granted' ORDER BY id LIMIT 1)"
WITHDRAWAL = "(SELECT id FROM consent_event WHERE kind = 'withdrawn' LIMIT 1)"
OTHER = f"(SELECT subject_ref FROM consent_event WHERE kind = 'refused' AND id <> {GRANT} LIMIT 1)"


def event(change, which=GRANT):
    """A change of an event of the ledger."""
    return (f"UPDATE consent_event SET {change} WHERE id = {which}",)


def put_in(kind, at, *, queued):
    """An event of a person who did not say it."""
    columns = "subject_ref, seq, id, kind, processing, version, collected_at, recorded_at, imported, recorded_by"
    more = "expires_at, counting, evidence, capacity, text_known"
    expires = "expires_at, counting" if kind == "granted" else "NULL, NULL"
    row = f"""INSERT INTO consent_event ({columns}, {more})
        SELECT subject_ref, 90, gen_random_uuid(), '{kind}', processing, version, {at}, {at}, false, recorded_by,
        {expires}, evidence, capacity, text_known FROM consent_event WHERE id = {GRANT}"""
    queue = "INSERT INTO proof_queue (kind, id) SELECT 'consent_event', id::text FROM consent_event WHERE seq = 90"
    return (row, queue) if queued else (row,)


def begin_anew(*statements):
    """Rewrite the whole log over altered rows, and forget what was kept of the old one."""

    def altered(log):
        tables = ("proof_entry", "proof_opening", "proof_tile", "proof_checkpoint", "proof_queue")
        log.superuser(*statements, *(f"DELETE FROM {each} WHERE true OR (SELECT 1) = 1" for each in tables[:4]))
        log.queue_all()
        for each in log.heads.iterdir():
            each.unlink()

    return altered


def before_it_is_entered(*statements):
    """Somebody withdraws, has a receipt, and the row is altered before the log takes it; time goes on."""

    def altered(log):
        with running(log.database) as api:
            identifier = api.withdraw("carol", "ads")["id"]
            log.receipt(api, identifier, "carol.jwt")
            log.superuser(*(each.replace("THIS", f"'{identifier}'") for each in statements))
            api.decide("zoe", "ads")
        log.superuser(MINUTES_LATER)

    return altered


ROWS = {
    "the log rewritten without a grant": begin_anew(f"DELETE FROM consent_event WHERE id = {GRANT}"),
    "withdrawal deleted before it was entered": before_it_is_entered(
        "DELETE FROM proof_queue WHERE id = THIS", "DELETE FROM consent_event WHERE id = THIS"
    ),
    "withdrawal dated back before it was entered": before_it_is_entered(
        "UPDATE consent_event SET collected_at = collected_at - interval '9 days' WHERE id = THIS"
    ),
    "grant made a refusal": event("kind = 'refused', expires_at = NULL, counting = NULL"),
    "withdrawal made a renewal declined": event("kind = 'renewal_declined'", WITHDRAWAL),
    "grant dated back": event(f"collected_at = collected_at - {DAY}, expires_at = expires_at - {DAY}"),
    "recording dated back": event(
        f"recorded_at = recorded_at - {DAY}, collected_at = collected_at - {DAY}, expires_at = expires_at - {DAY}"
    ),
    "expiry moved": event("expires_at = expires_at - interval '1 day'"),
    "evidence changed": event("""evidence = jsonb_set(evidence, '{method}', '"paper"')"""),
    "age changed": event("""capacity = '{"age_band": "adult"}'"""),
    "version changed": event("version = 2"),
    "elements changed": event("elements = '{content}'"),
    "territory changed": event("territory = 'RE'"),
    "recorder changed": event("recorded_by = gen_random_uuid()"),
    "grant given to somebody else": event(f"subject_ref = {OTHER}, seq = 91"),
    "order changed": event("seq = 92"),
    "text known changed": event("text_known = NOT text_known"),
    "grant deleted": (f"DELETE FROM consent_event WHERE id = {GRANT}",),
    "withdrawal deleted": (f"DELETE FROM consent_event WHERE id = {WITHDRAWAL}",),
    "ledger emptied": ("TRUNCATE consent_event",),
    "withdrawal put in past the log": put_in("withdrawn", "now()", queued=False),
    "withdrawal dated back and entered": put_in("withdrawn", "now() - interval '9 days'", queued=True),
    "withdrawal of now invented and entered": put_in("withdrawn", "now()", queued=True),
    "purpose changed": ("UPDATE processing SET purpose = 'malware_detection' WHERE id = 'ads'",),
    "retention of a version changed": ("UPDATE processing_version SET retention = 'P9Y' WHERE processing = 'ads'",),
    "notice of a version changed": (
        """UPDATE processing_version SET notice = '{"fr": "x"}' WHERE processing = 'ads'""",
    ),
    "material made minor": ("UPDATE processing_version SET material = NOT material",),
    "version deleted": ("DELETE FROM processing_version WHERE processing = 'stats' AND number = 2",),
    "version put in past the log": (
        "CREATE TEMP TABLE more AS TABLE processing_version",
        "UPDATE more SET number = 7 WHERE processing = 'ads'",
        "INSERT INTO processing_version SELECT * FROM more WHERE number = 7",
    ),
    "suspension deleted": ("DELETE FROM processing_status_change WHERE status = 'suspended'",),
    "suspension made a resumption": ("UPDATE processing_status_change SET status = 'active'",),
    "invalidation deleted": ("DELETE FROM processing_invalidation",),
    "controller renamed": ("UPDATE controller_version SET legal_name = 'Other SA'",),
    "controller's number changed": ("UPDATE controller SET identifier = '000'",),
    "two texts swapped": (
        "ALTER TABLE presented_text DROP CONSTRAINT ck_presented_text_is_its_hash",
        """UPDATE presented_text AS one SET text = other.text FROM presented_text AS other
        WHERE other.sha256 = (SELECT max(sha256) FROM presented_text) AND one.sha256 <> other.sha256""",
    ),
    "text deleted": ("DELETE FROM presented_text",),
    "staff notice changed": ("UPDATE staff_notice SET body = jsonb_set(body, '{fr}', '\"x\"') WHERE number = 1",),
    "acknowledgement deleted": ("DELETE FROM staff_acknowledgement",),
    "acknowledgement dated back": (
        "UPDATE staff_acknowledgement SET acknowledged_at = acknowledged_at - interval '9 days'",
    ),
    "act deleted": ("DELETE FROM administrative_act WHERE act = 'subjects.linked'",),
    "act of somebody else": (
        "UPDATE administrative_act SET caller = gen_random_uuid() WHERE act = 'processing.registered'",
    ),
    "act about somebody else": (f"UPDATE administrative_act SET subject_ref = {OTHER} WHERE act = 'mailbox.shared'",),
    "settings changed": ("""UPDATE proof_statement SET body = '{"lease_ms": 1}' WHERE kind = 'settings'""",),
    "statement deleted": ("DELETE FROM proof_statement WHERE kind = 'settings'",),
    "key replaced": ("""UPDATE proof_statement SET body = '{"key": "x"}' WHERE kind = 'key'""",),
    "scopes of a caller widened": ("UPDATE caller SET scopes = '{audit:read,consents:write}' WHERE kind = 'person'",),
    "entry changed": ("UPDATE proof_entry SET entry = entry || 'x'::bytea WHERE position = 2",),
    "entries swapped": (
        "UPDATE proof_entry SET position = 999 WHERE position = 2",
        "UPDATE proof_entry SET position = 2 WHERE position = 3",
        "UPDATE proof_entry SET position = 3 WHERE position = 999",
    ),
    "entry deleted": ("DELETE FROM proof_entry WHERE position = 2",),
    "end of the log cut off": ("DELETE FROM proof_entry WHERE position > 8",),
    "end of the log cut off with its heads": (
        "DELETE FROM proof_entry WHERE position > 8",
        "DELETE FROM proof_checkpoint WHERE size > 8",
    ),
    "salt destroyed": ("DELETE FROM proof_opening WHERE position = 3",),
    "entry of a statement filed under another kind": (
        "UPDATE proof_entry SET kind = 'x' WHERE id = (SELECT id::text FROM proof_statement WHERE kind = 'settings')",
        "DELETE FROM proof_statement WHERE kind = 'settings'",
    ),
    "tile changed": ("UPDATE proof_tile SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 0",),
    "checkpoint replaced": ("UPDATE proof_checkpoint SET note = replace(note, E'\\n', E'\\n\\n')",),
    "checkpoints deleted": ("DELETE FROM proof_checkpoint",),
    "decision dropped": lambda log: alter(log.database, once(lambda it: not it.facts.shape.permitted)),
    "decision flipped": lambda log: alter(
        log.database, once(lambda it: not it.facts.shape.permitted, lambda it: with_facts(it, permitted=True))
    ),
    "decision of somebody else": lambda log: alter(
        log.database, once(lambda it: it.facts.shape.permitted, lambda it: replace(it, person=b"\7" * 16))
    ),
    "segments deleted": ("DELETE FROM decision_segment",),
    "counts of a segment changed": ("UPDATE decision_segment SET counts = '[]'",),
    "statement of an hour deleted": ("DELETE FROM proof_statement WHERE kind = 'decision_hour'",),
    "kind of an hour's statement changed": (
        "UPDATE proof_statement SET kind = 'bundle' WHERE kind = 'decision_hour'",
        "DELETE FROM decision_segment",
    ),
    "locator led to somebody else": (
        f"""UPDATE subject_locator SET subject_ref = {OTHER}
        WHERE subject_ref = (SELECT subject_ref FROM consent_event WHERE id = {GRANT})""",
    ),
    "mailbox unshared": ("UPDATE subject SET shared = false WHERE shared",),
    "key of a caller put in": (
        """INSERT INTO caller_key (id, caller, key_sha256, created_at)
        SELECT gen_random_uuid(), id, sha256('x'), now() FROM caller LIMIT 1""",
    ),
}


ALSO_BY_REPLAY = {
    "decision dropped",
    "decision flipped",
    "decision of somebody else",
    "elements changed",
    "end of the log cut off",
    "entry deleted",
    "entry of a statement filed under another kind",
    "expiry moved",
    "grant dated back",
    "grant made a refusal",
    "kind of an hour's statement changed",
    "purpose changed",
    "recording dated back",
    "salt destroyed",
    "segments deleted",
    "statement deleted",
    "statement of an hour deleted",
    "suspension made a resumption",
    "territory changed",
    "text known changed",
    "version changed",
    "version put in past the log",
    "withdrawal put in past the log",
}
OTHERWISE = {
    "checkpoint replaced": {"append"},
    "checkpoints deleted": {"append"},
    "counts of a segment changed": {"replay"},
    "end of the log cut off": {"append", "bundle", "replay"},
    "end of the log cut off with its heads": {"append"},
    "scopes of a caller widened": {"stated"},
    "the log rewritten without a grant": {"head", "receipt"},
    "tile changed": {"append"},
    "withdrawal dated back and entered": {"late", "replay"},
    "withdrawal dated back before it was entered": {"receipt"},
    "withdrawal deleted before it was entered": {"receipt"},
    # What nobody can name: README of each bundle.
    "key of a caller put in": set(),
    "locator led to somebody else": set(),
    "mailbox unshared": set(),
    "withdrawal of now invented and entered": set(),
}
"""By whom; what is not listed is named by the bundle alone."""
MAYBE = {
    "the log rewritten without a grant": {"late"},  # it is entered kind by kind, and what is a minute older comes late
    "territory changed": {"replay"},  # a year ends earlier there, but for a grant of the evening, whose date is another
}
"""What depends on the hour, or on how long the life before took."""


@pytest.mark.parametrize("what", ROWS)
def test_what_is_altered_is_named(log, what):
    """An alteration is named by exactly the checks that the table lists for it."""
    row = ROWS[what]
    if callable(row):
        row(log)
    else:
        log.superuser(*row)
    also = {"replay"} if what in ALSO_BY_REPLAY else set()
    maybe = MAYBE.get(what, set())
    assert _named_by(log) - maybe == OTHERWISE.get(what, {"bundle"} | also) - maybe


def test_nothing_is_named_where_nothing_was_altered(log):
    """Control: on a deployment that was not altered, no check names anything."""
    with running(log.database) as api:
        api.decide("zoe", "ads")
    assert _named_by(log) == set()
