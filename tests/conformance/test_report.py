import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.conformance.document import UnreadableFileError
from app.conformance.reader import read_file
from app.conformance.run import decide, run, run_files
from app.core.decision import Reason
from tests.support.properties import examples

HERE = Path(__file__).parent
GOLDEN = HERE / "decisions.yaml"
OWN = HERE / "edges.yaml"


def reported(*paths, as_json=False):
    """The exit code and what was written."""
    out = io.StringIO()
    return run_files(paths, out, as_json=as_json), out.getvalue()


@pytest.fixture
def wrong(tmp_path):
    """The golden file with two wrong expectations."""
    path = tmp_path / "wrong.yaml"
    text = GOLDEN.read_text()
    text = text.replace("reason: no_consent", "reason: consent_refused", 1)
    path.write_text(text.replace('valid_until: "2027-03-09T23:00:00Z"', 'valid_until: "2027-03-10T23:00:00Z"', 1))
    return path


def test_the_golden_cases_pass():
    """All 161 cases of the contract are answered as expected, and the last line says so."""
    assert reported(GOLDEN) == (0, "161 passed, 0 failed\n")


def test_our_own_cases_pass_beside_them():
    """What the contract's cases leave out is answered as expected too, in one run with them."""
    count = len(read_file(OWN).cases)
    assert reported(GOLDEN, OWN) == (0, f"{161 + count} passed, 0 failed\n")


def test_no_two_cases_of_a_file_share_a_name():
    """A name tells one case from the others."""
    for path in (GOLDEN, OWN):
        names = [case.name for case in read_file(path).cases]
        assert len(set(names)) == len(names)


def test_every_reason_is_reached_by_a_golden_case():
    """Each reason but the one for facts that cannot be read is what some case gets."""
    files = [read_file(path) for path in (GOLDEN, OWN)]
    reached = {decide(file, case).reason for file in files for case in file.cases}
    assert reached == set(Reason) - {Reason.EVIDENCE_UNAVAILABLE}


def test_a_failing_case_is_shown_with_expected_and_got(wrong):
    """Where it stands, its name, and each key side by side; the exit code is 1."""
    code, text = reported(wrong)
    lines = text.splitlines()
    assert code == 1
    assert lines[0] == f"FAILED {wrong}:64: no consent at all"
    assert lines[1].split() == ["expected", "got", "(rule", "11)"]
    assert lines[2].split() == ["decision", "false", "false"]
    assert lines[3].split() == ["reason", "consent_refused", "no_consent", "<-", "differs"]
    assert ["valid_until", "2027-03-10T23:00:00Z", "2027-03-09T23:00:00Z", "<-", "differs"] in [
        line.split() for line in lines
    ]
    assert lines[-1] == "159 passed, 2 failed"


def test_what_must_be_absent_is_written_as_a_dash(tmp_path):
    """`null` expects that the decision carries none."""
    path = tmp_path / "absent.yaml"
    path.write_text(GOLDEN.read_text().replace("article: L32-3 IV}", "article: null}", 1))
    code, text = reported(path)
    assert (code, "L32-3 IV  <- differs" in text, "article      -" in text) == (1, True, True)


def test_failures_come_as_one_json_document_when_asked(wrong):
    """Counts and failures, with the values as the file writes them."""
    code, text = reported(wrong, as_json=True)
    document = json.loads(text)
    assert (code, document["passed"], document["failed"]) == (1, 159, 2)
    first, second = document["failures"]
    assert first == {
        "file": str(wrong),
        "line": 64,
        "name": "no consent at all",
        "expected": {"decision": False, "reason": "consent_refused", "article": "L32-3 IV"},
        "got": {"decision": False, "reason": "no_consent", "article": "L32-3 IV"},
        "rule": "11",
    }
    assert second["got"]["valid_until"] == "2027-03-09T23:00:00Z"
    assert json.loads(reported(GOLDEN, as_json=True)[1]) == {"passed": 161, "failed": 0, "failures": []}


def test_one_unreadable_file_stops_the_run(tmp_path, capsys):
    """It is named with line and key on one line of stderr; no other file is reported on; the exit code is 2."""
    path = tmp_path / "broken.yaml"
    path.write_text(GOLDEN.read_text().replace("purpose: statistics", "purpose: counting", 1))
    assert reported(GOLDEN, path) == (2, "")
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{path}:8: processings[1].purpose: unknown word 'counting'")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_no_file_proves_nothing(capsys):
    """A run of no files is refused like a file of no cases."""
    assert reported() == (2, "")
    assert "no file" in capsys.readouterr().err


def test_a_run_names_only_the_keys_that_a_case_expects(wrong):
    """Keys that a case leaves out are neither compared nor shown."""
    failures = run(read_file(wrong))
    assert [sorted(failure.actual) == sorted(failure.expected) for failure in failures] == [True, True]


LINES = GOLDEN.read_text().splitlines(keepends=True)


@settings(max_examples=examples(25, deep=400))
@given(st.integers(0, 50), st.integers(0, 200), st.text(st.sampled_from("{}[]:,'\"&*!|>%@ \t\n#-0a"), max_size=4))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, line, column, damage):
    """Whatever is typed into a file, it is read, or refused with its place; nothing else is raised."""
    damaged = LINES[line][:column] + damage + LINES[line][column:]
    path = tmp_path_factory.mktemp("damaged") / "cases.yaml"
    path.write_text("".join([*LINES[:line], damaged, *LINES[line + 1 : 51]]))
    refused = None
    try:
        cases = read_file(path).cases
    except UnreadableFileError as error:
        cases, refused = (), error
    assert cases or (refused is not None and refused.line is not None)
