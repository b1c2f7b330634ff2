"""A verifier that was written from docs/proof-format.md alone says the same of each file as `sceau proof verify`."""

import ast
import io
import json
import re
import runpy
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from app.db.session import random_id
from tests.proof.forged import forged, later_of, state
from tests.proof.logs import GOOD, INCOMPLETE, UNREADABLE, WRONG, copied, file_of, lines_of, rewritten
from tests.proof.retained import signed_run
from tests.proof.test_bundle_decisions import ALTERED as DECISIONS_ALTERED
from tests.support.api import running, subject
from tests.support.databases import execute
from tests.support.decision_rows import add, alter, logged, segment_of
from tests.support.properties import first_each_time

SECOND = Path(__file__).with_name("second_verifier.py")
FORMAT = Path(__file__).parents[2] / "docs" / "proof-format.md"
ENTRIES = "data/entries.ndjson"
GONE = "its body is gone, and no run of retention tells why"


def _second(keys, *files):
    """The second verifier's exit status and output; it runs in this process, which has loaded its imports."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(SECOND), str(keys), *map(str, files)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SECOND), run_name="__main__")
    return ended.value.code, printed.getvalue()


def both(log, *words, says=""):
    """The exit status on which both verifiers must agree, given the log's keys. `says`: what ours must print."""
    (log.place / "keys").write_text(log.key())
    ours, output = log.verified(*words)
    status, theirs = _second(log.place / "keys", *(each for each in words if each != "--against"))
    assert (status, says in output) == (ours, True), f"{output}\nAnd the second:\n{theirs}"
    assert ("WRONG: " in theirs, "NOT CHECKED: " in theirs or ours < INCOMPLETE) == (ours == WRONG, True)
    return ours


@pytest.fixture(scope="module")
def still(made, tmp_path_factory):
    """A log to which tests only add, and a bundle of it."""
    with copied(made, tmp_path_factory.mktemp("still")) as log:
        yield log, log.bundle()


@pytest.fixture(scope="module")
def still_decided(made_decided, tmp_path_factory):
    """A deployment that has decided, and a bundle of it."""
    with copied(made_decided, tmp_path_factory.mktemp("still")) as log:
        yield log, log.bundle()


@pytest.fixture(scope="module")
def fork(made, tmp_path_factory):
    """A forked log: one branch, and a head and a bundle of each."""
    place = tmp_path_factory.mktemp("fork")
    (place / "fork").mkdir()
    with copied(made, place) as log, copied(made, place / "fork") as other:
        log.withdrawn("alice")
        other.withdrawn("carol")
        yield log, (log.kept("one"), log.bundle()), (other.kept("other"), other.bundle())


def _decided(log, name="erin"):
    """Record and enter a consent; its id."""
    with running(log.database) as api:
        consent = api.decide(name, "ads")["id"]
    log.append()
    return consent


def _since(log):
    """A bundle that begins behind the first entry."""
    _decided(log)
    log.superuser(
        "UPDATE proof_checkpoint SET signed_at = '2020-01-01' WHERE size = (SELECT min(size) FROM proof_checkpoint)"
    )
    bundle = log.bundle("--since", "2020-01-02")
    assert lines_of(bundle)[0]["position"] > 0
    return [bundle]


def _until(log):
    _decided(log)
    return [log.bundle("--until", "2020-01-01")]


def _backdated(log):
    """A row that claims to be three days old, put into the ledger by a superuser, and entered as late."""
    log.superuser(
        """INSERT INTO consent_event (subject_ref, seq, id, kind, collected_at, recorded_at, imported, recorded_by)
        SELECT subject_ref, 97, gen_random_uuid(), 'withdrawn', now() - interval '3 days', now() - interval '3 days',
            false, gen_random_uuid() FROM subject LIMIT 1""",
        "INSERT INTO proof_queue (kind, id) SELECT 'consent_event', id::text FROM consent_event WHERE seq = 97",
    )
    log.append()
    bundle = log.bundle()
    entries = [json.loads(line["entry"]) for line in lines_of(bundle)]
    assert [each["kind"] for each in entries if each.get("late")] in (["consent_event"], [])
    return [bundle]


def _erased(log):
    with running(log.database) as api:
        api.ok("POST", "/v1/subjects/erasures", {"subject": subject("alice")})
    log.append()
    return [log.bundle()]


def _acted(log, act):
    """An act is recorded, and waits to be entered."""
    log.superuser(
        f"SELECT sceau_record_act({act})",
        """INSERT INTO proof_queue (kind, id)
        SELECT 'administrative_act', id::text FROM administrative_act ORDER BY at DESC LIMIT 1""",
    )


def _either_side(log):
    """A bundle of a past period, with heads from before it and after it."""
    files = [log.kept("old")]
    _decided(log)
    bundle = log.bundle("--until", "2020-01-01")
    _decided(log, "frank")
    return [bundle, "--against", *files, log.kept("new")]


def _rotated(log):
    """A bundle that two keys have signed the checkpoints of, for whoever has both."""
    _decided(log)
    status, refused, _ = log.sceau("signing-keys", "rotate", "log")
    assert status == 0, refused
    before = log.kept("before")
    _decided(log, "frank")
    return [log.bundle(), "--against", before]


HONEST = {
    "a bundle": (lambda log: [log.bundle()], ""),
    "a period, by its end": (_until, ""),
    "a period, by its beginning": (_since, ""),
    "one processing": (lambda log: [log.bundle("--processing", "stats")], "are not part of this bundle"),
    "one person": (
        lambda log: [log.bundle("--person-of", log.value("SELECT id FROM consent_event LIMIT 1"))],
        "bodies about other people are not part of this bundle",
    ),
    "a late row": (_backdated, ": it was entered late, at "),
    "an erasure": (_erased, ""),
    "heads on either side": (_either_side, "new is newer than this bundle: ask for one that reaches it"),
    "a rotation of keys": (_rotated, ""),
}


@pytest.mark.parametrize(("make", "says"), first_each_time(HONEST, 3))
def test_both_find_nothing_wrong_with_what_is_honest(log, make, says):
    """Both verifiers call each honest set of files good but incomplete, as these logs have no outside stamp."""
    assert both(log, *make(log), says=says) == INCOMPLETE


def test_both_say_good_of_a_head_and_refuse_what_is_none(log):
    """Both verifiers call a checkpoint good and another file unreadable, unless a further file is wrong."""
    head, other = log.kept("head"), log.place / "other"
    other.write_text("Hello.")
    assert both(log, head) == GOOD
    _decided(log)
    assert both(log, head, log.kept("later")) == GOOD
    assert both(log, head, other) == UNREADABLE
    other.write_bytes(b"PK\3\4" + bytes(100))
    assert both(log, other) == UNREADABLE
    head.write_text(head.read_text().replace("\n24\n", "\n25\n"))
    assert both(log, head, other) == WRONG


def test_both_take_what_a_retention_run_destroyed(old):
    """Both verifiers accept what a run destroyed, in a bundle with the run and in one that ends before it."""
    signed_run(old)
    old.append()
    assert both(old, old.bundle()) == INCOMPLETE
    before = old.bundle("--until", "2020-01-01")
    assert [line for line in lines_of(before) if "body" not in line]
    assert both(old, before) == INCOMPLETE


def _destroyed(log, place, period="P13M", *, first=()):
    """A run takes the body of an entry, which may come after it (`first`: what makes it)."""
    stated = {"positions": [place], "schedule": {"consent": period} if period else {}}
    for make in (lambda: state(log, "retention_run", stated), *first):
        make()
        log.append()
    event = f"id::text = (SELECT id FROM proof_entry WHERE position = {place})"
    log.superuser(
        f"WITH gone AS (DELETE FROM consent_event WHERE {event}) DELETE FROM proof_opening WHERE position = {place}"
    )
    return log.bundle()


def _places(log, kind):
    """Where entries of a kind stand, and where the next one will."""
    kinds = [json.loads(line["entry"])["kind"] for line in lines_of(log.bundle())]
    log.append()
    return [place for place, each in enumerate(kinds) if each == kind], len(kinds) + 1


@pytest.mark.parametrize(
    ("which", "period", "status"),
    [
        (0, "P13M", INCOMPLETE),
        (-1, "P13M", WRONG),
        (0, "P1D", WRONG),
        (0, "", WRONG),
        *(pytest.param(0, period, WRONG, marks=pytest.mark.deep) for period in ("P12M", "P9Y", "13 months")),
    ],
)
def test_both_name_what_no_retention_run_could_take(old, which, period, status):
    """Both verifiers name a forged run that covers an entry too young for its schedule, or has none that can be."""
    place = _places(old, "consent_event")[0][which]
    says = GONE if status == WRONG else ""
    assert both(old, _destroyed(old, place, period), says=says) == status


@pytest.mark.parametrize("before", [True, False])
def test_both_name_what_a_run_took_before_it_was_there(old, before):
    """Both verifiers name a destroyed body whose entry comes after the run, and accept one that comes before it."""

    def backdate():
        old.superuser(
            """INSERT INTO consent_event (subject_ref, seq, id, kind, collected_at, recorded_at, imported, recorded_by)
            SELECT subject_ref, 97, gen_random_uuid(), 'withdrawn', '2020-01-01', '2020-01-01', false, gen_random_uuid()
            FROM subject LIMIT 1""",
            "INSERT INTO proof_queue (kind, id) SELECT 'consent_event', id::text FROM consent_event WHERE seq = 97",
        )

    place = _places(old, "consent_event")[1]
    if before:
        backdate()
        old.append()
        assert both(old, _destroyed(old, place)) == INCOMPLETE
    else:
        assert both(old, _destroyed(old, place + 1, first=[backdate])) == WRONG


@pytest.mark.parametrize("kind", ["presented_text", "register_version"])
def test_both_name_a_text_that_a_run_took(old, kind):
    """Both verifiers name a shown text or a version that a run destroyed, because both are kept at any age."""
    old.superuser(
        "INSERT INTO presented_text (sha256, text, kept_at) VALUES (sha256('x'), 'x', '2020-01-01')",
        "INSERT INTO proof_queue (kind, id) SELECT 'presented_text', encode(sha256('x'), 'hex')",
    )
    old.append()
    assert both(old, _destroyed(old, _places(old, kind)[0][-1]), says=GONE) == WRONG


def test_both_name_an_entry_that_hides_that_it_is_late(log, monkeypatch):
    """Both verifiers name a late entry without its mark, by the times of the entries before it."""
    monkeypatch.setattr("app.operations.proof.append_entries.MERGE_DELAY", timedelta(days=9))
    assert both(log, *_backdated(log), says="and is not marked as late") == WRONG


def test_both_name_an_entry_that_is_marked_as_late_and_is_not(log, monkeypatch):
    """Both verifiers name a false mark of lateness, but only in a bundle that begins with the first entry."""
    monkeypatch.setattr("app.operations.proof.append_entries.MERGE_DELAY", timedelta(days=-9))
    behind = log.bundle()
    assert "late" in json.loads(later_of(behind)["entries"][0]["entry"])
    assert both(log, behind) == INCOMPLETE
    assert both(log, *_since(log)) == INCOMPLETE
    assert both(log, log.bundle()) == WRONG


@pytest.mark.parametrize(
    ("positions", "schedule", "says"),
    [
        ("all", {}, "what it states is no run of retention"),
        ([2], {}, "1 bodies are gone that are there"),
    ],
)
def test_both_name_a_run_that_is_none_or_destroyed_nothing(log, positions, schedule, says):
    """Both verifiers name a malformed or empty run once a bundle has its entry, and not behind a bundle's end."""
    state(log, "retention_run", {"positions": positions, "schedule": schedule})
    behind = log.bundle()
    assert [json.loads(line["entry"])["kind"] for line in later_of(behind)["entries"]].count("retention_run") == 1
    assert both(log, behind) == INCOMPLETE
    assert both(log, log.bundle(), says=says) == WRONG


def test_both_name_decisions_that_are_gone_unless_the_log_says_why(decided):
    """Both verifiers call missing decisions wrong, unless the log has a restore, within the bundle or behind it."""
    decided.superuser("DELETE FROM decision_segment")
    assert both(decided, decided.bundle(), says="that the log states are gone") == WRONG
    _acted(decided, "'deployment.restored', 'service', '{}'::jsonb")
    assert both(decided, decided.bundle()) == INCOMPLETE
    decided.append()
    assert both(decided, decided.bundle()) == INCOMPLETE


@pytest.mark.parametrize(
    ("age", "stated", "limit", "status"),
    [(40, 40, 30, INCOMPLETE), (40, 41, 30, WRONG), (20, 20, 30, WRONG), (20, 20, 10, INCOMPLETE), (0, 0, 1, WRONG)],
)
def test_both_take_that_a_day_was_dropped(decided, age, stated, limit, status):
    """Both verifiers accept missing decisions of a day that was dropped when the owner's limit let it, and no other."""
    at = datetime.now(UTC) - timedelta(days=age)
    add(decided.database, segment_of([logged(at)]))
    decided.close()
    decided.append()
    decided.superuser(f"DELETE FROM decision_segment WHERE day = '{at:%Y-%m-%d}'")
    execute(decided.database, f"UPDATE owner_limit SET log_floor_days = {limit}")
    day = f"{datetime.now(UTC) - timedelta(days=stated):%Y-%m-%d}"
    _acted(decided, f"'decision_log.dropped', 'service', jsonb_build_object('day', '{day}')")
    says = "1 decisions that the log states, from" if status == INCOMPLETE else "that the log states are gone"
    assert both(decided, decided.bundle(), says=says) == status
    decided.append()
    assert both(decided, decided.bundle(), says=says) == status


def test_both_check_decisions(still_decided):
    """Both verifiers check a bundle's decisions; a bundle of one processing has none, and says so."""
    decided, bundle = still_decided
    summary = "60 decisions against the statements of their hours"
    assert both(decided, bundle, says=summary) == INCOMPLETE
    of_one = decided.bundle("--processing", "ads", name="one.zip")
    assert both(decided, of_one, says="60 decisions that the log states") == INCOMPLETE


def _entries(change):
    """The change of a bundle's lines of entries."""

    def changed(content):
        lines = [json.loads(line) for line in content.splitlines()]
        return b"".join(json.dumps(line).encode() + b"\n" for line in change(lines))

    return {ENTRIES: changed}


def _moved(lines):
    one, other = {**lines[11], "position": 12}, {**lines[12], "position": 11}
    return [*lines[:11], other, one, *lines[13:]]


def _renamed(lines):
    """What an operator calls people; the bundle's statement commits to the names, and its entries do not."""
    return [{**each, "people": {"subject_ref": "0" * 32}} if "people" in each else each for each in lines]


def _withheld(lines):
    """Bodies that a bundle of one processing may withhold, and has to have by its statement."""
    kept = [{"position": each["position"], "entry": each["entry"], "withheld": True} for each in lines]
    return [
        other if '"kind":"consent_event"' in each["entry"] else each for each, other in zip(lines, kept, strict=True)
    ]


def _body_edited(log):
    """A bundle of a database in which a superuser edited a row behind the log."""
    log.superuser("UPDATE consent_event SET recorded_at = recorded_at + interval '1 second' WHERE kind = 'refused'")
    return [log.bundle()]


def _texts_swapped(log):
    log.superuser(
        "ALTER TABLE presented_text DROP CONSTRAINT ck_presented_text_is_its_hash",
        """INSERT INTO presented_text (sha256, text, kept_at)
        SELECT sha256(each::bytea), other, now() FROM (VALUES ('x', 'y'), ('y', 'x')) AS swapped (each, other)""",
        """INSERT INTO proof_queue (kind, id)
        SELECT 'presented_text', encode(sha256, 'hex') FROM presented_text WHERE text IN ('x', 'y')""",
    )
    log.append()
    assert len([line for line in lines_of(log.bundle()) if '"text":"x"' in line.get("body", "")]) == 1
    return [log.bundle()]


def _head_within(log):
    """A head of the other branch at a size at which this one signed none, so that only its tree shows the fork."""
    (log.place / "fork").mkdir()
    with copied(log, log.place / "fork") as other:
        other.withdrawn("carol")
        head = other.kept("other")
    with running(log.database) as api:
        api.withdraw("alice", "ads")
        api.withdraw("carol", "ads")
    log.append()
    bundle = log.bundle()
    assert int(head.read_text().splitlines()[1]) < len(lines_of(bundle))
    return [bundle, head]


OTHER_PAGE = {"data/index.html": lambda content: content.partition(b"\n")[2]}


def _files(changes, *, listed=False):
    """A bundle with changed files; `listed`: its list of files fits."""
    return lambda bundle, target: rewritten(bundle, target, changes, manifest=listed)


def _behind(change):
    """A bundle whose `later.json`, which is in no list, was changed."""

    def make(bundle, target):
        later = later_of(bundle)
        change(later)
        content = json.dumps(later).encode()
        return rewritten(bundle, target, {"later.json": lambda _: content})

    return make


def _restated(bundle, target):
    """A bundle whose page was changed, with a statement of this that fits: its entry is not in the tree."""
    changed = rewritten(bundle, target.with_name("changed.zip"), OTHER_PAGE, manifest=True)
    listed = sha256(file_of(changed, "manifest-sha256.txt")).hexdigest()
    later = later_of(changed)
    (stated,) = later["entries"]
    body, entry = json.loads(stated["body"]), json.loads(stated["entry"])
    body["body"]["manifest_sha256"] = listed
    stated["body"] = json.dumps(body, separators=(",", ":"), sort_keys=True)
    entry["commitment"] = sha256(bytes.fromhex(stated["salt"]) + stated["body"].encode()).hexdigest()
    stated["entry"] = json.dumps(entry, separators=(",", ":"), sort_keys=True)
    content = json.dumps(later).encode()
    return rewritten(changed, target, {"later.json": lambda _: content})


def _beginning_at_its_end(content):
    facts = json.loads(content)
    return json.dumps({**facts, "first": facts["size"]}).encode()


def _bodiless(kind="consent_event", **more):
    """A bundle without the body of one entry."""

    def change(lines):
        place = next(n for n, line in enumerate(lines) if json.loads(line["entry"])["kind"] == kind)
        kept = {name: lines[place][name] for name in ("position", "entry")}
        return [*lines[:place], kept | more, *lines[place + 1 :]]

    return _entries(change)


FORGED = {
    "nothing": ({}, INCOMPLETE),
    "a body withheld that nobody chose": (_bodiless(withheld=True), WRONG),
    "a body withheld that always is there": (_bodiless("register_version", withheld=True), WRONG),
    "a body left out": (_bodiless(), WRONG),
    "an entry left out": (_entries(lambda lines: [*lines[:12], *lines[13:]]), WRONG),
    "an entry moved": (_entries(_moved), WRONG),
    "the last entry left out": (_entries(lambda lines: lines[:-1]), WRONG),
    "the first entries left out": (_entries(lambda lines: lines[3:]), WRONG),
    "everything left out": ({ENTRIES: lambda _: b"", "data/log.json": _beginning_at_its_end}, WRONG),
    "an entry altered": (
        _entries(lambda lines: [*lines[:12], {**lines[12], "entry": lines[12]["entry"] + " "}, *lines[13:]]),
        WRONG,
    ),
    "a body altered": (
        _entries(lambda lines: [*lines[:12], {**lines[12], "body": lines[12]["body"] + " "}, *lines[13:]]),
        WRONG,
    ),
    "decisions of no statement": ({f"data/decisions/{random_id()}.ndjson": lambda _: b"{}\n"}, WRONG),
    "a row past the log": ({"data/unentered.ndjson": lambda _: b'{"kind":"consent_event","id":"x"}\n'}, WRONG),
}


def _shorter_proof(later):
    lines = later["entries"][0]["proof"].split("\n")
    later["entries"][0]["proof"] = "\n".join([*lines[:2], *lines[3:]])


def _set_back(log):
    """A log that was begun anew and signed fewer entries later, and the head from before."""
    log.withdrawn()
    before = log.kept("before")
    log.superuser(
        *(f"DELETE FROM {each}" for each in ("proof_tile", "proof_checkpoint", "proof_entry", "proof_opening"))
    )
    for each in log.heads.iterdir():
        each.unlink()
    log.superuser("INSERT INTO proof_queue (kind, id) SELECT 'consent_event', id::text FROM consent_event LIMIT 2")
    log.append()
    return [log.kept("after"), before]


def _of_one_processing(log):
    """A bundle of one processing with more bodies withheld than it may."""
    changes, bundle = _entries(_withheld), log.bundle("--processing", "ads")
    return [rewritten(bundle, log.place / "forged.zip", changes, manifest=True)]


ALTERED = {
    "a text swapped": (_texts_swapped, ""),
    "bodies withheld": (_of_one_processing, "it is not the bundle that the log states"),
    "a body edited": (_body_edited, ""),
    "a head of the other branch that is shorter": (_head_within, ""),
    "a log set back": (_set_back, ""),
}
CHANGED = {
    "people renamed": (_files(_entries(_renamed), listed=True), "it is not the bundle that the log states"),
    "a page of the bundle changed": (_files(OTHER_PAGE, listed=True), "it is not the bundle that the log states"),
    "a statement that is not in the tree": (_restated, ""),
    "a proof of consistency altered": (_behind(lambda later: later["consistency"].__setitem__(-1, "00" * 32)), ""),
    "a proof of consistency cut": (_behind(lambda later: later["consistency"].clear()), ""),
    "a proof of the statement cut": (_behind(_shorter_proof), ""),
    "a statement told twice": (_behind(lambda later: later["entries"].append(later["entries"][0])), ""),
    "a statement left out": (_behind(lambda later: later["entries"].clear()), ""),
    "a file that is not listed": (_files({"data/README.en.md": lambda _: b"All is well."}), ""),
    "a file more": (_files({"data/more.txt": lambda _: b"more"}), ""),
    "a file left out": (_files({"data/README.en.md": None}), ""),
    "no statement": (_files({"later.json": None}), "the log does not state that this bundle was made"),
}
FORKED = {
    "two heads": (lambda one, other: [one[0], other[0]], "sceau.example.fr/ledger was forked"),
    "two heads, the other way round": (lambda one, other: [other[0], one[0]], "sceau.example.fr/ledger was forked"),
    "a head against a bundle": (lambda one, other: [one[1], "--against", other[0]], ""),
    "a head beside a bundle": (lambda one, other: [other[0], one[1]], ""),
    "two bundles": (lambda one, other: [one[1], other[1]], ""),
}


@pytest.mark.parametrize(("make", "says"), first_each_time(ALTERED, 3))
def test_both_say_wrong_of_what_was_altered(log, make, says):
    """Both verifiers end with 1 for each change in the database, and ours says why."""
    assert both(log, *make(log), says=says) == WRONG


@pytest.mark.parametrize(("change", "says"), CHANGED.values(), ids=CHANGED.keys())
def test_both_say_wrong_of_a_bundle_that_was_changed(still, change, says):
    """Both verifiers end with 1 for each change in a bundle."""
    log, bundle = still
    assert both(log, change(bundle, log.place / "changed-bundle.zip"), says=says) == WRONG


@pytest.mark.parametrize(("files", "says"), FORKED.values(), ids=FORKED.keys())
def test_both_say_wrong_of_a_fork(fork, files, says):
    """Both verifiers name a head or a bundle of one branch beside one of the other."""
    log, *branches = fork
    assert both(log, *files(*branches), says=says) == WRONG


def test_both_say_wrong_of_a_statement_of_the_other_branch(fork):
    """Both verifiers name a bundle of one branch with a later statement of the other."""
    log, (_, bundle), (_, other) = fork
    later = file_of(other, "later.json")
    forged = rewritten(bundle, log.place / "forged.zip", {"later.json": lambda _: later})
    assert both(log, forged, says="does not continue this bundle's log") == WRONG


@pytest.mark.parametrize(("changes", "status"), first_each_time(FORGED, 4))
def test_both_name_what_was_forged_before_the_log_stated_it(still, changes, status):
    """Both verifiers name each forgery of a bundle whose list of files and statement fit."""
    log, bundle = still
    assert both(log, forged(log, bundle, changes)) == status


@pytest.mark.parametrize("how", ["gap", "again", "follows"])
def test_both_name_hours_that_do_not_follow_and_segments_that_are_stated_twice(decided, how):
    """Both verifiers want each statement to begin where the last one ended, and to name no segment twice."""
    decided.superuser("DELETE FROM decision_segment")
    _acted(decided, "'deployment.restored', 'service', '{}'::jsonb")
    hours = "FROM proof_statement WHERE kind = 'decision_hour'"
    last = decided.value(f"SELECT body->>'until' {hours} ORDER BY at DESC LIMIT 1")
    named = decided.value(f"SELECT (body->'segments') || (body->'late') {hours} ORDER BY 1 DESC LIMIT 1")
    assert named
    hour = {"since": last, "until": "2099-01-01T00:00:00+00:00", "segments": [], "late": [], "dropped": 0}
    hour |= {"gap": {"since": "2098-01-01T00:00:00+00:00"}, "again": {"late": named}, "follows": {}}[how]
    state(decided, "decision_hour", hour)
    decided.append()
    error = "nothing is stated from" if how == "gap" else ""
    assert both(decided, decided.bundle(), says=error) == (INCOMPLETE if how == "follows" else WRONG)


@pytest.mark.parametrize("made", DECISIONS_ALTERED.values(), ids=DECISIONS_ALTERED.keys())
def test_both_name_decisions_that_were_altered_in_the_database(decided, made):
    """Both verifiers name decisions altered in the database, although their segments' digests and counts fit."""
    alter(decided.database, made())
    assert both(decided, decided.bundle(), says="are not those that were stated") == WRONG


@pytest.mark.parametrize("how", ["dropped", "flipped", "invented", "of no statement"])
def test_both_name_decisions_that_were_altered_in_a_bundle(still_decided, how):
    """Both verifiers name decisions altered in a bundle, although its list of files fits."""
    decided, bundle = still_decided
    with zipfile.ZipFile(bundle) as bag:
        (name,) = [each for each in bag.namelist() if re.fullmatch(r"data/decisions/[^.]+\.ndjson", each)]
    changes = {
        "dropped": {name: lambda content: content.partition(b"\n")[2]},
        "flipped": {name: lambda content: content.replace(b'"decision":false', b'"decision":true', 1)},
        "invented": {name: lambda content: content + content.partition(b"\n")[0] + b"\n"},
        "of no statement": {f"data/decisions/{random_id()}.ndjson": lambda _: b"{}\n"},
    }[how]
    forged = rewritten(bundle, decided.place / "forged.zip", changes, manifest=True)
    wrong = (
        "no statement of the log names these decisions" if how == "of no statement" else "not those that were stated"
    )
    assert both(decided, forged, says=wrong) == WRONG


def test_both_want_a_signature_of_the_log(still):
    """Both verifiers call a checkpoint wrong if none of the given keys has signed it."""
    log, _ = still
    head = log.kept("head")
    text, _, line = head.read_text().rpartition("\n\n")
    _, name, octets = line.split()
    for signature in (f"— {name} {'AAAAAA' + octets[6:]}", f"— another/ledger {octets}"):
        head.write_text(f"{text}\n\n{signature}\n")
        assert both(log, head) == WRONG


def test_the_example_of_the_document_verifies(tmp_path):
    """The document's example checkpoint is signed by its key and has the root of its two entries."""
    example = FORMAT.read_text().partition("### Worked example")[2]
    key = example.partition("whose verifier key is `")[2].partition("`")[0]
    indented = [line.removeprefix("    ") for line in example.splitlines()]
    first = indented.index("sceau.example.fr/ledger")
    (tmp_path / "checkpoint").write_text("".join(f"{line}\n" for line in indented[first : first + 6]))
    (tmp_path / "keys").write_text(key)
    run = [sys.executable, "-I", SECOND, tmp_path / "keys", tmp_path / "checkpoint"]
    alone = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stdout, alone.stderr) == (GOOD, "", "")


def test_it_shares_nothing_with_ours_and_is_read_in_one_sitting():
    """The second verifier imports only the standard library and `cryptography`, and has at most 150 lines."""
    assert len(SECOND.read_text().splitlines()) <= 150
    nodes = list(ast.walk(ast.parse(SECOND.read_text())))
    named = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    named |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {each.partition(".")[0] for each in named} - sys.stdlib_module_names == {"cryptography"}
