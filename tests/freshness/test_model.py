"""The table of model checks (docs/freshness/check) against the model and what was seen. No model is checked here."""

import re
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parents[2] / "docs/freshness"
MODEL = "".join(model.read_text() for model in sorted(FOLDER.glob("*.pml")))
SEEN = (FOLDER / "results.tsv").read_text()
RUNNER = runpy.run_path(str(FOLDER / "check"))
CASES, judge = RUNNER["CASES"], RUNNER["judge"]
BOUNDS = {"NW", "FAULTS", "WCRASHES", "L", "LW", "M", "B", "NOJAN", "NOOWN", "ONE", "REACH"}


class Case(NamedTuple):
    """A case that the table does not have."""

    name: str
    macros: str
    expected: str


def names(case):
    """The macros of a case, without their values."""
    return {macro.partition("=")[0] for macro in case.macros.split()}


def read(text):
    """The macros that a model tests. A macro that it only defines does not count."""
    tested = re.findall(r"^#(?:if|ifdef|ifndef|elif)\b(.*?)(?:/\*|$)", text, re.MULTILINE)
    return {name for line in tested for name in re.findall(r"\b[A-Z][A-Z_]*\b", line)}


def flags(text):
    """What a model can be asked to reach."""
    return set(re.findall(r"REACHED\((r_\w+)\)", text))


def without_a_control(text, cases):
    """The mechanisms that a model can switch off and for which no case expects a violation."""
    proven = {name for case in cases if case.expected == "found" for name in names(case)}
    return sorted({name for name in read(text) if name.startswith("NC_")} - proven)


def not_in_the_model(text, cases):
    """The macros of cases that the model does not read."""
    return sorted({name for case in cases for name in names(case)} - read(text))


def controls_that_are_promised(cases):
    """The cases that switch a mechanism off and still expect no violation."""
    return [case.name for case in cases if case.expected == "none" and any(n.startswith("NC_") for n in names(case))]


def kinds(case):
    """What a case adds to the protocol, apart from bounds and from what it switches off."""
    return {name for name in names(case) - BOUNDS if not name.startswith("NC_")}


def without_a_promise(cases):
    """The controls without a case that promises that their model holds with everything switched on."""
    promised = [kinds(case) for case in cases if case.expected == "none"]
    return [case.name for case in cases if case.expected == "found" and kinds(case) not in promised]


def rows(seen):
    """The cases of a table of results with what was seen."""
    return dict(re.findall(r"^([^#\t\n]+)\t(none|found|not completed)\t[\d,]+\t[\d.]+$", seen, re.MULTILINE))


def test_each_mechanism_has_a_case_without_it():
    """Each mechanism that the model can switch off is off in a case that expects a violation."""
    assert without_a_control(MODEL, CASES) == []


def test_a_mechanism_without_a_case_is_seen():
    """The check finds a mechanism without a case, and a mechanism whose only case expects no violation."""
    assert without_a_control(MODEL + "#ifdef NC_NEW  /* NC_OLD */\n", CASES) == ["NC_NEW"]
    assert without_a_control("#ifdef NC_NEW\n", [Case("a", "NC_NEW", "none")]) == ["NC_NEW"]


def test_each_macro_of_a_case_is_one_of_the_model():
    """The model reads each macro of each case; a macro that it did not read would check the plain model once more."""
    assert not_in_the_model(MODEL, CASES) == []


def test_a_macro_that_the_model_does_not_read_is_seen():
    """The check finds a macro that the model mentions only in a comment."""
    assert not_in_the_model("/* ACKS */\n#ifdef ACK\n", [Case("a", "ACK ACKS", "none")]) == ["ACKS"]


def test_no_case_promises_anything_of_a_mechanism_that_is_off():
    """Each case that switches a mechanism off expects a violation."""
    assert controls_that_are_promised(CASES) == []
    assert controls_that_are_promised([Case("a", "NC_NEW", "none")]) == ["a"]


def test_each_control_has_its_counterpart():
    """For each case that expects a violation, another promises that there is none with everything switched on."""
    assert without_a_promise(CASES) == []


def test_a_control_without_counterpart_is_seen():
    """The check finds a case that expects a violation and has no counterpart."""
    assert without_a_promise([Case("a", "ACK NC_NEW", "found"), Case("b", "NW=1", "none")]) == ["a"]


def test_each_flag_is_reached_by_a_case():
    """Each step that the model marks is reached by a case."""
    reached = {macro.partition("=")[2] for case in CASES for macro in case.macros.split() if macro.startswith("REACH=")}
    assert reached == flags(MODEL)
    assert flags("REACHED(r_new) skip") - reached == {"r_new"}


def test_names_of_cases_are_unique():
    """No two cases have the same name."""
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_results_have_each_case():
    """There is one row for each case, and no result that differs from what is expected of it."""
    table = rows(SEEN)
    assert table.keys() == {case.name for case in CASES}
    assert [case.name for case in CASES if table[case.name] not in {case.expected, "not completed"}] == []


def test_the_rows_of_results_are_read():
    """The reader finds the case and the result of each row, and leaves out lines that are not rows."""
    assert rows("# case\tresult\na, b\tfound\t1,012\t0.1\nc\tnot completed\t1\t2\nd\tfound\n") == {
        "a, b": "found",
        "c": "not completed",
    }


DONE = "  1234 states, stored\nState-vector 76 byte, depth reached 9, errors: 0\n"


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        (DONE, "none"),
        ("pan:1: assertion violated 0 (at depth 14)\nWarning: Search not completed\n" + DONE, "found"),
        ("Warning: Search not completed\n" + DONE, "not completed"),
        ("error: max search depth too small\n" + DONE, "not completed: depth"),
        ("pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + DONE, "not completed: memory"),
        ("pan:1: invalid end state (at depth 4)\n" + DONE.replace("errors: 0", "errors: 1"), "another error"),
        ("", "not completed"),
    ],
)
def test_only_a_search_that_was_complete_counts(printed, verdict):
    """A search that Spin broke off does not count as a result, although Spin says "errors: 0" of it."""
    assert judge(printed, 1.0).verdict == verdict
