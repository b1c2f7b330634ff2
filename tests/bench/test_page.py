"""The page that a run writes: misses first, each row with its run, and only between its marks."""

import pytest

from bench.page import BEGINS, ENDS, PAGE, replaced, told
from bench.rows.missed import numbered
from bench.wrk import Subjects


def row(name, *, met, figure="1 ×", detail=""):
    """One row as it stands in the JSON."""
    return {"name": name, "figure": figure, "budget": "", "met": met, "detail": detail}


def run(*rows, command="./dev bench"):
    """One run as it stands in the JSON."""
    machine = dict.fromkeys(("cores", "processor", "memory", "python", "uvicorn", "postgresql", "sceau"), "x")
    loads = {"at the start": 1.0, "warm": 2.5}
    return {"command": command, "at": "now", "machine": machine, "load_average": loads, "facts": {"consents": 5}} | {
        "rows": list(rows)
    }


def test_misses_come_first_then_what_was_not_measured():
    """What has no budget is left out."""
    rows = [row("none", met=None), row("good", met=True), row("left", met=None, figure="not measured")]
    text = told([run(*rows, row("bad", met=False))])
    assert [line.split("|")[1].strip() for line in text.splitlines()[4:]] == ["bad", "left", "good"]


def test_a_row_that_two_runs_measured_is_the_later_ones():
    """And says so."""
    text = told([run(row("one", met=False, detail="old")), run(row("one", met=False, detail="new"), command="again")])
    assert "`again`" in text
    assert text.splitlines()[-1] == "|one|1 ×|**missed**|new|2|"


def test_a_range_of_one_value_and_all_but_the_first_detail_are_left_out():
    """Of one run, rows do not say which it was; where a budget is met, no range is told."""
    text = told([run(row("one", met=False, figure="7 MB (7–7)", detail="9/s against 8/s (a constant); load 2"))])
    assert text.splitlines()[-1] == "|one|7 MB|**missed**|9/s against 8/s|"
    for met, figure in {False: "7 MB (6–8)", True: "7 MB"}.items():
        assert f"|{figure}|" in told([run(row("one", met=met, figure="7 MB (6–8)"))])


@pytest.mark.parametrize("places", ["--directory /data/ten --json=/out/run.json", "--json '/my out/run.json'"])
def test_where_a_run_kept_its_data_is_left_out(places):
    """A path means something on one machine alone."""
    text = told([run(command=f"./dev bench --full {places} --brief")])
    assert text.startswith("1. `./dev bench --full --brief`,")


def test_only_what_stands_between_the_marks_is_replaced():
    """The rest of the page is written by hand; a page without marks is an error."""
    page = f"before {BEGINS} old {ENDS} after"
    assert replaced(page, "new") == f"before {BEGINS}\nnew\n{ENDS} after"
    with pytest.raises(ValueError, match="lacks"):
        replaced("no marks", "new")


def test_the_page_has_its_marks():
    """So that a run can write it."""
    assert replaced(PAGE.read_text(), "new")


def test_scattered_subjects_all_have_their_turn():
    """The step from one to the next meets each number once before any comes again, as wrk.lua counts them."""
    who = Subjects(1_000, 9_000, scattered=True)
    assert {who.first + taken * who.step % who.count for taken in range(who.count)} == set(range(1_000, 10_000))


@pytest.mark.parametrize(("consents", "first", "count"), [(10_000, 1_000, 9_000), (40_000, 10_000, 30_000)])
def test_subjects_asked_about_have_numbers_of_one_length(consents, first, count):
    """So that every question is as long as the next."""
    assert numbered(consents) == Subjects(first, count)
