from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.conformance.document import UnreadableFileError
from app.conformance.reader import read_file
from app.core.article import Channel, Element, ProviderKind, Purpose
from app.core.consent import LAWFUL, AgeBand, EventKind, GivenBy
from app.core.decision import Participant
from app.core.period import ONE_YEAR, Counting, PeriodPolicy
from app.core.processing import PartyMode, Recipient, Status, Transfer

REGISTER = "processings:\n  - {id: ads, purpose: advertising, elements: [content]}\n"
CASE = """cases:
  - name: one
    events:
      - {subject: alice, processing: ads, decision: granted, collected_at: "2026-03-10T09:00:00Z"}
    request: {subject: alice, action: ads, at: "2026-06-15T12:00:00Z"}
    expect: {decision: true}
"""
GOOD = REGISTER + CASE


@pytest.fixture
def read(tmp_path):
    """Read a text as a golden file."""

    def read_text(text):
        path = tmp_path / "cases.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_file(path)

    return read_text


def test_what_a_file_leaves_out_is_lawful_and_usual(read):
    """The defaults are those of the format: version 1, an operator, automated, user_only, one year, material."""
    file = read(GOOD)
    version = file.processings["ads"].versions[0]
    assert (version.number, version.effective_from, version.provider_kind) == (1, None, ProviderKind.OPERATOR)
    assert (version.automated, version.material, version.party_mode) == (True, True, PartyMode.USER_ONLY)
    assert (version.started_on, version.consent_validity) == (date(2020, 1, 1), ONE_YEAR)
    assert (version.recipients, str(version.retention)) == (frozenset(), "P30D")
    assert (version.transfers, version.storage_location, version.automated_decisions) == (frozenset(), None, None)
    assert (version.conditional, str(version.derived_data_erased_within)) == (False, "P30D")
    assert (version.service, version.age_statement_required) == ("mail", False)
    assert (file.processings["ads"].purpose, file.processings["ads"].status_changes) == (Purpose.ADVERTISING, ())
    assert file.policy == PeriodPolicy()
    event = file.cases[0].events[0].event
    assert (event.version, event.elements, event.collection, event.order) == (1, None, LAWFUL, 1)
    request = file.cases[0].request
    assert (request.elements, request.automated, request.channel) == (None, True, Channel.ONLINE)
    assert (request.private, request.territory, request.participants) == (True, "FR", None)


def test_what_a_file_says_is_kept_beside_the_core_values(read):
    """The words of the file stay at hand, so that the same case can be replayed elsewhere."""
    case = read(
        REGISTER
        + """cases:
  - name: everything
    events:
      - subject: alice
        processing: ads
        version: 1
        decision: granted
        collected_at: 2026-03-10T10:00:00+01:00
        elements: [content]
        evidence: {positive_act: signed, default_state: unselected, separate_from_terms: true, conditional: false,
                   text_known: true, method: paper, language: fr, notice_version: "1", presented_text_sha256: ab}
        capacity: {age_band: under_15, given_by: both}
    request: {subject: alice, action: ads, at: 2026-06-15 12:00:00Z, elements: [], automated: false,
              channel: text_message, private: false, territory: WF, participants: [{id: bob, local: true}]}
    expect: {decision: false, reason: human_access, article: null, valid_until: null}
"""
    ).cases[0]
    event = case.events[0]
    assert (event.subject_id, event.event.kind, event.event.elements) == (
        "alice",
        EventKind.GRANTED,
        frozenset({Element.CONTENT}),
    )
    assert event.event.collected_at == datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert (event.evidence["method"], event.evidence["positive_act"], event.evidence["conditional"]) == (
        "paper",
        "signed",
        False,
    )
    assert event.capacity == {"age_band": "under_15", "given_by": "both"}
    assert (event.event.collection.age_band, event.event.collection.given_by) == (AgeBand.UNDER_15, GivenBy.BOTH)
    request = case.request
    assert (request.subject, request.participants) == (b"alice", (Participant(b"bob", local=True),))
    assert case.at == datetime(2026, 6, 15, 12, tzinfo=UTC)
    assert (request.elements, request.territory) == (frozenset(), "WF")
    assert case.expect == {"decision": False, "reason": "human_access", "article": None, "valid_until": None}
    assert (case.line, list(case.consents)) == (4, [b"alice"])


def test_a_register_is_read_with_versions_statuses_and_what_decides_nothing(read):
    """Versions come in any order of the file; names and notices are looked at and left aside."""
    entry = read(
        """processings:
  - {id: ads, version: 2, purpose: statistics, elements: [content], effective_from: 2026-03-01T00:00:00Z,
     material: false, consent_validity: P6M, party_mode: all_parties, provider_kind: online_service, automated: false,
     status_changes: [{at: "2026-05-01T00:00:00Z", status: retired}]}
  - {id: ads, version: 1, purpose: statistics, elements: [content], started_on: 2014-05-01, retention: P30D,
     data_recipients: [Regie], controller: ACME, service: mail, name: {fr: Statistiques}, notice: {en: We count.},
     status_changes: [{at: 2026-04-01T00:00:00Z, status: suspended}],
     invalidations: [{at: 2026-06-01T00:00:00Z, text: AB}, {at: 2026-05-01T00:00:00Z, version: 2}]}
"""
        + CASE
    ).processings["ads"]
    assert [each.number for each in entry.versions] == [1, 2]
    assert [each.status for each in entry.status_changes] == [Status.SUSPENDED, Status.RETIRED]
    assert [(each.version, each.text) for each in entry.invalidations] == [(2, None), (None, "ab")]
    first, second = entry.versions
    assert (str(first.retention), first.recipients, first.started_on) == (
        "P30D",
        frozenset({Recipient("Regie")}),
        date(2014, 5, 1),
    )
    assert (str(second.consent_validity), second.material, second.automated) == ("P6M", False, False)
    assert (second.party_mode, second.provider_kind) == ("all_parties", "online_service")


def test_a_file_may_say_how_its_deployment_counts(read):
    """Counting and ceiling are those of the deployment whose cases these are."""
    policy = read("policy: {counting: same_instant, ceiling: P6M}\n" + GOOD).policy
    assert (policy.counting, str(policy.ceiling)) == (Counting.SAME_INSTANT, "P6M")


@pytest.mark.parametrize("kind", ["withdrawn", "closed", "erased"])
def test_what_ends_consents_may_leave_the_processing_out(read, kind):
    """A withdrawal, closure or erasure without a processing is about every one."""
    event = read(GOOD.replace("processing: ads, decision: granted", f"decision: {kind}")).cases[0].events[0].event
    assert (event.processing, event.version) == (None, None)


WRONG = [
    ("id: ads", "id: ads, colour: red", 2, "processings[0].colour", "unknown key"),
    ("id: ads, ", "", 2, "processings[0].id", "missing key"),
    ("id: ads", "id: ''", 2, "processings[0].id", "not empty"),
    ("id: ads", "id: 12", 2, "processings[0].id", "got a number"),
    ("purpose: advertising", "purpose: advertizing", 2, "processings[0].purpose", "unknown word 'advertizing'"),
    ("elements: [content]", "elements: []", 2, "processings[0].elements", "at least one"),
    ("elements: [content]", "elements: content", 2, "processings[0].elements", "expected a list"),
    ("elements: [content]", "elements: [body]", 2, "processings[0].elements[0]", "unknown word"),
    ("id: ads,", "id: ads, version: 0,", 2, "processings[0].version", "whole number from 1"),
    ("id: ads,", "id: ads, version: true,", 2, "processings[0].version", "got true or false"),
    ("id: ads,", "id: ads, version: 1.5,", 2, "processings[0].version", "got a number"),
    ("id: ads,", "id: ads, version: !!int one,", 2, "processings[0].version", "no such value"),
    ("id: ads,", "id: ads, version: !mine 1,", 2, "processings[0].version", "got something else"),
    ("id: ads,", "id: ads, automated: 0,", 2, "processings[0].automated", "true or false"),
    ("id: ads,", "id: ads, consent_validity: P2Y,", 2, "processings[0].consent_validity", "one year"),
    ("id: ads,", "id: ads, retention: long,", 2, "processings[0].retention", "ISO 8601"),
    ("id: ads,", "id: ads, started_on: 2020-13-01,", 2, "processings[0].started_on", "no such value"),
    ("id: ads,", "id: ads, started_on: '2020-02-30',", 2, "processings[0].started_on", "expected a date"),
    ("id: ads,", "id: ads, started_on: 2020-01-01T00:00:00Z,", 2, "processings[0].started_on", "expected a date"),
    ("id: ads,", "id: ads, name: {de: Werbung},", 2, "processings[0].name.de", "unknown key"),
    ("id: ads,", "id: ads, name: {fr: 3},", 2, "processings[0].name.fr", "got a number"),
    ("id: ads,", "id: ads, service: [],", 2, "processings[0].service", "got a list"),
    ("id: ads,", "id: ads, id: more,", 2, "processings[0].id", "given already at line 2"),
    ("- name: one", "- nam: one", 4, "cases[0].nam", "unknown key"),
    ("    expect: {decision: true}\n", "", 4, "cases[0].expect", "missing key"),
    ("expect: {decision: true}", "expect: {}", 8, "cases[0].expect", "nothing is expected"),
    ("expect: {decision: true}", "expect: {decision: permit}", 8, "cases[0].expect.decision", "got text"),
    ("expect: {decision: true}", "expect: {reason: because}", 8, "cases[0].expect.reason", "unknown word"),
    ("expect: {decision: true}", "expect: {reason: null}", 8, "cases[0].expect.reason", "got nothing"),
    ("expect: {decision: true}", "expect: {article: L32-3 V}", 8, "cases[0].expect.article", "unknown word"),
    ("expect: {decision: true}", "expect: {valid_until: soon}", 8, "cases[0].expect.valid_until", "an instant"),
    ("decision: granted", "decision: grant", 6, "cases[0].events[0].decision", "unknown word 'grant'"),
    ("processing: ads, dec", "dec", 6, "cases[0].events[0]", "missing key processing"),
    ("processing: ads", "processing: other", 6, "cases[0].events[0].processing", "no processing 'other'"),
    ("processing: ads", "processing: ads, version: 2", 6, "cases[0].events[0].version", "no version 2"),
    ("processing: ads, decision: granted", "version: 1, decision: closed", 6, "cases[0].events[0].version", "which"),
    ("processing: ads", "processing: ads, elements: []", 6, "cases[0].events[0].elements", "covers nothing"),
    ("processing: ads", "processing: ads, evidence: {moon: full}", 6, "cases[0].events[0].evidence.moon", "unknown"),
    ("processing: ads", "processing: ads, capacity: {given_by: me}", 6, "cases[0].events[0].capacity.given_by", "word"),
    ("subject: alice, processing", 'subject: "\\ud800", processing', 6, "cases[0].events[0].subject", "surrogate"),
    ('"2026-03-10T09:00:00Z"', '"2026-03-10T09:00:00"', 6, "cases[0].events[0].collected_at", "no offset"),
    ('"2026-03-10T09:00:00Z"', "2026-03-10 09:00:00", 6, "cases[0].events[0].collected_at", "no offset"),
    ('"2026-03-10T09:00:00Z"', "2026-03-10", 6, "cases[0].events[0].collected_at", "expected an instant"),
    ('"2026-03-10T09:00:00Z"', '"2026-03-10T25:00:00Z"', 6, "cases[0].events[0].collected_at", "expected an instant"),
    ('"2026-03-10T09:00:00Z"', "9999-12-31T23:59:59-02:00", 6, "cases[0].events[0].collected_at", "a year from"),
    ('"2026-03-10T09:00:00Z"', "12", 6, "cases[0].events[0].collected_at", "got a number"),
    ("action: ads,", "action: ads, private: 0,", 7, "cases[0].request.private", "got a number"),
    ("action: ads,", "action: ads, territory: NO,", 7, "cases[0].request.territory", "quote it"),
    ("action: ads,", "action: ads, channel: fax,", 7, "cases[0].request.channel", "unknown word"),
    ("action: ads,", "action: ads, participants: [{id: bob}],", 7, "cases[0].request.participants[0].local", "missing"),
    ("action: ads, ", "", 7, "cases[0].request.action", "missing key"),
    ("processings:", "policy: {ceiling: P13M}\nprocessings:", 1, "policy.ceiling", "one year"),
    ("processings:", "policy: {counting: lunar}\nprocessings:", 1, "policy.counting", "unknown word"),
    ("processings:", "processing:", 1, "processing", "unknown key"),
    ("decision: true}", "decision: true}\n---\n{}", 9, "near decision", "another document"),
    ("events:\n", "events: [a\n", 6, "near collected_at", "(begun at line 5)"),
    ("  - name: one", "  - name: one\n   - x", 5, "near name", "not YAML"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda each: f"{each[3]}: {each[4]}")
def test_every_problem_names_its_file_line_and_key(read, tmp_path, wrong):
    """What is not of the format is refused by file, line, key and what is wrong, on one line."""
    old, new, line, key, problem = wrong
    assert old in GOOD
    with pytest.raises(UnreadableFileError) as caught:
        read(GOOD.replace(old, new, 1))
    error = caught.value
    assert (error.file, error.line, error.key) == (tmp_path / "cases.yaml", line, key)
    assert problem in error.problem
    assert str(error).startswith(f"{error.file}:{line}: {key}: ")
    assert "\n" not in str(error)


ENDED = """version: 2, purpose: advertising, elements: [content], status_changes: [
    {at: 2026-01-01T00:00:00Z, status: retired}, {at: 2026-02-01T00:00:00Z, status: active}]"""


@pytest.mark.parametrize(
    ("more", "key", "problem"),
    [
        ("purpose: advertising, elements: [content]", "processings[1].id", "version 1 of 'ads' is registered already"),
        ("version: 2, purpose: statistics, elements: [content]", "processings[1].purpose", "which cannot change"),
        (
            "version: 3, purpose: advertising, elements: [content], effective_from: 2025-12-31T00:00:00Z",
            "processings[2].effective_from",
            "version 3 of 'ads' would be in force before version 2",
        ),
        (
            "version: 3, purpose: advertising, elements: [content]",
            "processings[2].id",
            "version 3 of 'ads' would be in force before version 2",
        ),
        (
            ENDED,
            "processings[1].status_changes",
            "final",
        ),
        *(
            (
                f"version: 2, purpose: advertising, elements: [content], invalidations: [{{{what}}}]",
                "processings[1].invalidations[0]",
                "name one of the two",
            )
            for what in ("at: 2026-01-01T00:00:00Z", "at: 2026-01-01T00:00:00Z, version: 1, text: ab")
        ),
    ],
)
def test_a_register_that_nobody_could_keep_is_refused(read, more, key, problem):
    """The same version twice, another purpose, versions out of order, a status after retirement, odd invalidations."""
    second = (
        "  - {id: ads, version: 2, purpose: advertising, elements: [content], effective_from: 2026-01-01T00:00:00Z}\n"
    )
    between = second if key.startswith("processings[2]") else ""
    with pytest.raises(UnreadableFileError) as caught:
        read(f"{REGISTER}{between}  - {{id: ads, {more}}}\n{CASE}")
    assert caught.value.key == key
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        (b"name: \xff", 1, "not UTF-8"),
        (b"a: 1\nb: \xff", 2, "not UTF-8"),
        ("a: 1\nb: \x00", 2, "a character that YAML forbids"),
        ("[" * 1200, 1, "nested too deeply"),
        ("- a", 1, "expected a mapping, got a list"),
        ("? [a]\n: b", 1, "unknown key"),
        ("processings: []\ncases: []", 2, "a check that runs nothing proves nothing"),
        ("processings: &a [*a]\ncases: []", 1, "expected a mapping, got a list"),
        ("%", 1, "not YAML"),
    ],
)
def test_what_is_no_golden_file_at_all_is_refused(read, text, line, problem):
    """Empty, not text, not YAML, too deep, of another shape or without a case."""
    with pytest.raises(UnreadableFileError) as caught:
        read(text)
    assert caught.value.line == line
    assert problem in caught.value.problem


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    """A missing file and a directory have no line; the message still says why."""
    for path, why in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UnreadableFileError, match=why) as caught:
            read_file(Path(path))
        assert (caught.value.line, caught.value.key) == (None, None)


def test_a_byte_order_mark_is_no_content(read):
    """What Windows editors put before the first byte is skipped."""
    assert read(b"\xef\xbb\xbf" + GOOD.encode()).cases[0].name == "one"


def test_an_age_and_told_facts_are_read(read):
    """Who stated an age, how it was checked and until when; transfers, storage, decisions, erasure, dependence."""
    file = read(
        REGISTER.replace(
            "elements: [content]",
            "elements: [content], transfers: [US], storage_location: France, automated_decisions: true,\n"
            "     derived_data_erased_within: P1D, conditional: true",
        )
        + CASE.replace(
            "    events:\n",
            "    events:\n      - {subject: alice, decision: age_stated, collected_at: '2026-01-05T09:00:00Z',\n"
            "         capacity: {age_band: under_15, stated_by: operator, checked_how: identity_document,\n"
            "                    under_15_until: '2026-03-10'}}\n",
        )
    )
    version = file.processings["ads"].versions[0]
    assert (version.transfers, version.storage_location) == (frozenset({Transfer("US")}), "France")
    assert (version.automated_decisions is None, version.conditional) == (False, True)
    assert str(version.derived_data_erased_within) == "P1D"
    stated = file.cases[0].events[0].event.collection
    assert (stated.age_band, stated.age_weight, stated.under_15_until) == (AgeBand.UNDER_15, 4, date(2026, 3, 10))


@pytest.mark.parametrize(
    "capacity", ["age_band: adult, under_15_until: '2026-03-10'", "age_band: adult, stated_by: nobody"]
)
def test_an_age_that_cannot_be_is_refused(read, capacity):
    """A day of turning 15 goes with under_15, and who stated an age is one of three."""
    event = f"decision: age_stated, collected_at: '2026-01-05T09:00:00Z', capacity: {{{capacity}}}"
    with pytest.raises(UnreadableFileError):
        read(REGISTER + CASE.replace("    events:\n", f"    events:\n      - {{subject: alice, {event}}}\n"))
