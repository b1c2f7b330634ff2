"""`sceau import`: how columns are mapped, what is refused before anything is sent, and what is printed."""

import csv
import gzip
import json

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import app as sceau
from app.cli.import_files import Reading, members
from app.core.errors import RefusalError
from app.db.database import DatabaseUnavailableError
from app.operations.consents.import_rows import import_rows
from tests.faults.service import eventually, free_port
from tests.support.api import BOOTSTRAP, subject
from tests.support.consents import SIGNED, notice_of, proof
from tests.support.imports import row

COLUMNS = "number;address;answer;date;given_at"
MAPPED = (
    "--delimiter=;",
    "--map=source_id=number",
    "--map=subject.id=address",
    "--map=decision=answer",
    "--map=at=date",
    "--set=processing=ads",
    "--ignore=given_at",
)


@pytest.fixture(scope="module")
def url(shared):
    """The address of a service in this process, of which each test uses names of its own."""
    shared.register("ads")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(shared.client.app, port=port, lifespan="off", log_level="warning"))
    portal = shared.client.portal
    started = portal.start_task_soon(server.serve)
    eventually(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    started.result()


def _run(url, *args, key=BOOTSTRAP):
    """The exit status, what the command prints, without what the service of this process logs, and its complaints."""
    environment = {"SCEAU_URL": url, "SCEAU_KEY": key, "SCEAU_KEY_FILE": None}
    result = CliRunner().invoke(sceau, ["import", *map(str, args), "--until=2026-11-01T00:00:00Z"], env=environment)
    printed = [line for line in result.stdout.splitlines() if " answered " not in line]
    # As the console script prints it.
    refused = str(result.exception) if isinstance(result.exception, RefusalError) else None
    return result.exit_code, "\n".join(printed), refused or result.stderr


def test_columns_are_mapped_and_the_rest_is_set(shared, url, tmp_path):
    """A file with other columns is imported by `--map` and `--set`, without its empty cells and ignored columns."""
    options = [f"--set=evidence.{name}={str(value).lower()}" for name, value in proof(notice_of("ads"), SIGNED).items()]
    file = tmp_path / "older.csv"
    file.write_text(
        f"\ufeff{COLUMNS}\n1;alice;granted;2026-06-01T00:00:00Z;desk 4\n2;bob;refused;2026-06-01T00:00:00Z;\n",
        encoding="utf-8",
    )
    dry = _run(url, file, "--name=crm", "--dry-run", *MAPPED, *options)
    assert dry == (0, "2 would be recorded, 0 unchanged, 0 refused.", "")
    assert shared.reason("alice", "ads") == "no_consent"
    assert _run(url, file, "--name=crm", *MAPPED, *options) == (0, "2 recorded, 0 unchanged, 0 refused.", "")
    assert [shared.reason(name, "ads") for name in ("alice", "bob")] == ["consent_in_force", "consent_refused"]


def _cells(of, prefix=""):
    """The members of a row by their dotted names, each as a cell holds it."""
    for name, value in of.items():
        if isinstance(value, dict):
            yield from _cells(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "|".join(value) if isinstance(value, list) else str(value)


def test_every_member_of_a_row_has_its_column(tmp_path):
    """A row with each member that the API takes is read from CSV as it would stand in NDJSON."""
    young = {"age_band": "under_15", "given_by": "parent"}
    by_parent = {**young, "parent": subject("ada"), "parent_checked_how": "declaration"}
    more = {"capacity": by_parent, "version": 1, "territory": "FR", "joint_form": True}
    whole = {**row(1, "ida", elements=["content", "attachments"]), **more}
    cells = dict(_cells(whole))
    assert cells.keys() == members().keys()
    file = tmp_path / "whole.csv"
    with file.open("w", encoding="utf-8") as lines:
        csv.writer(lines).writerows([cells.keys(), cells.values()])
    assert [each.members for each in Reading().rows(file)] == [whole]


TEXTS = ("source_id", "decision", "at", "processing")
OTHERS = ("address", "date")


@given(
    cells=st.dictionaries(st.sampled_from(TEXTS + OTHERS), st.sampled_from(["", "a", "b", "c"]), min_size=1),
    columns=st.dictionaries(st.sampled_from(TEXTS), st.sampled_from(TEXTS + OTHERS)),
    constants=st.dictionaries(st.sampled_from(TEXTS), st.just("set")),
)
def test_csv_and_ndjson_read_alike(tmp_path_factory, cells, columns, constants):
    """A mapped member has its value from there or none, one of an empty cell or null is what is set, in both forms."""
    columns = {member: name for member, name in columns.items() if name in cells}
    ignored = [name for name in OTHERS if name not in columns.values()]
    read, place = Reading(columns, constants, ignored=ignored), tmp_path_factory.mktemp("alike")
    with (place / "row.csv").open("w", encoding="utf-8") as lines:
        csv.writer(lines).writerows([cells, cells.values()])
    told = {name: cell or None for name, cell in cells.items() if name not in ignored}
    (place / "row.ndjson").write_text(json.dumps(told))

    def said(member):
        name = columns.get(member) or ("" if member in columns.values() else member)
        return cells.get(name) or constants.get(member)

    expected = {member: said(member) for member in TEXTS if said(member)} | {"subject": {"type": "user"}}
    assert [each.members for name in ("row.csv", "row.ndjson") for each in read.rows(place / name)] == [expected] * 2


def test_rows_of_ndjson_each_told_in_a_file(url, tmp_path):
    """Each row of gzipped NDJSON has its result by line; a repeated id is refused; a second run changes none."""
    rows = [
        row(1, "anna"),
        row(2, "ben", processing="nowhere"),
        {**row(1, "carol"), "source_id": "anna-1"},
        {"source_id": "anna-4"},
    ]
    file = tmp_path / "older.ndjson.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    results = tmp_path / "results.ndjson"
    result = _run(url, file, "--name=older", f"--results={results}")
    assert result == (1, "1 recorded, 0 unchanged, 3 refused.", "")
    lines = sorted(map(json.loads, results.read_text().splitlines()), key=lambda each: each["line"])
    assert [each["line"] for each in lines] == [1, 2, 3, 4]
    assert [each["result"] for each in lines] == ["recorded", *["refused"] * 3]
    assert lines[0]["state"] == "in_force"
    assert lines[2]["problem"]["detail"] == "This source_id stands in an earlier line of these files."
    _, again, complained = _run(url, file, "--name=older")
    assert again == "0 recorded, 1 unchanged, 3 refused."
    assert f"{file}:2: processing: No such processing is registered.\n" in complained


def test_grants_without_proof_are_counted(url, tmp_path):
    """The command prints how many grants lack proof and will never permit."""
    file = tmp_path / "older.csv"
    file.write_text(f"{COLUMNS}\n1;zoe;granted;2026-06-01T00:00:00Z;\n")
    _, output, _ = _run(url, file, "--name=unproved", *MAPPED)
    assert "1 grants have no whole proof: they never permit" in output


def test_rows_that_take_too_long_together_are_sent_in_halves(url, tmp_path, monkeypatch):
    """A service that cannot record more than three rows in time records ten, each once and in the file's order."""
    sent = []

    async def import_few(session, deployment, caller, order, rows):
        sent.append(len(rows))
        if len(rows) > 3:
            raise DatabaseUnavailableError
        return await import_rows(session, deployment, caller, order, rows)

    monkeypatch.setattr("app.api.consents.imports.import_rows", import_few)
    rows = [row(number, "hal", decision="refused") for number in range(10)]
    file, results = tmp_path / "many.ndjson", tmp_path / "results.ndjson"
    file.write_text("\n".join(map(json.dumps, rows)))
    assert _run(url, file, "--name=many", f"--results={results}") == (0, "10 recorded, 0 unchanged, 0 refused.", "")
    assert [json.loads(line)["source_id"] for line in results.read_text().splitlines()] == [
        each["source_id"] for each in rows
    ]
    assert sent == [0, 10, 5, 2, 3, 5, 2, 3]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a,b\n1,2\n", "rows.txt", "its name ends with none of .csv"),
        ("at,version\n1\n", "rows.csv", "rows.csv:2: it has not as many cells as the header"),
        ('{"a": 1}\nnot json\n', "rows.ndjson", "rows.ndjson:2: it is no JSON"),
        ('{"a": 1, "a": 2}\n', "rows.ndjson", "rows.ndjson:1: it is no JSON, or a name stands in it twice"),
        ('{"subject": {"id": "a"}, "subject.id": "b"}\n', "rows.ndjson", "rows.ndjson:1: it is no JSON, or a name"),
        ('{"version": 1e400}\n', "rows.ndjson", "rows.ndjson:1: it is no JSON"),
        ("at, at\n1,2\n", "rows.csv", "rows.csv:1: the column 'at' stands there twice"),
        ("at,Decision\n1,2\n", "rows.csv", "rows.csv:1: the column 'Decision' is no member: give --map or --ignore"),
        ("1,ada@example.fr\n", "rows.csv", "rows.csv:1: none of its columns is named as a member is"),
        ("[1]\n", "rows.jsonl", "rows.jsonl:1: it is no object"),
        ("caf\xe9,b\n", "rows.csv", "it is not UTF-8"),
        ("x", "rows.csv.gz", "rows.csv.gz"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path, content, name, message):
    """A file that cannot be read is refused before any request is sent."""
    file = tmp_path / name
    file.write_bytes(content.encode("latin-1"))
    status, _, complained = _run("http://127.0.0.1:9", file, "--name=crm")
    assert status == 2
    assert message in complained


def test_what_stops_an_import_is_said_in_a_line(url, tmp_path):
    """A wrong or missing key, a bad name, an unknown member or a missing column stops the import with one line."""
    file = tmp_path / "older.csv"
    file.write_text("source_id\n1\n")
    for arguments, key, message in (
        (["--name=crm"], "sceau_" + "x" * 43, "401: "),
        (["--name=C R M"], BOOTSTRAP, "422: "),
        (["--name=crm", "--set=colour=blue"], BOOTSTRAP, "--set colour=blue: it names no member"),
        (["--name=crm", "--map=at=date"], BOOTSTRAP, "older.csv:1: it has no column 'date' for at"),
        (
            ["--name=crm", "--map=at=source_id", "--ignore=source_id"],
            BOOTSTRAP,
            "ignores the column 'source_id' for at",
        ),
        (["--name=crm", "--set=at=1", "--set=at=2"], BOOTSTRAP, "--set names at twice"),
        (["--name=crm", "--delimiter=;;"], BOOTSTRAP, "--delimiter is one character"),
        (["--name=crm"], "", "no key: give --key-file, or set SCEAU_KEY"),
    ):
        status, output, complained = _run(url, file, *arguments, key=key)
        assert (status in {1, 2}, output) == (True, ""), arguments
        assert message in complained, arguments
