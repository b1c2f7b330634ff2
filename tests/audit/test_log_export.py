"""`sceau log export`: every decision of a period, as lines of JSON and as Parquet, without names."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from pyarrow import parquet

from tests.support.api import running
from tests.support.commands import run_command
from tests.support.decision_rows import logged_rows

COLUMNS = {
    *("id", "at", "caller", "subject_ref", "correspondence_ref", "processing", "elements", "channel", "territory"),
    *("automated", "private", "participants", "decision", "reason", "rule", "law_version", "consent", "valid_until"),
    *("version", "versions", "changes", "party_mode", "known", "policy", "rules", "build"),
}


@pytest.fixture
def filled(database):
    """Three decisions about two people."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        consent = api.decide("marked-subject", "ads")
        for name in ("marked-subject", "marked-subject", "bob"):
            api.evaluate(name, "ads", elements=["content"])
    return consent


def _export(database, file, *how):
    now = datetime.now(UTC)
    between = ["--since", f"{now - timedelta(hours=1):%FT%T}", "--until", f"{now + timedelta(minutes=1):%FT%T}"]
    return run_command(database, "log", "export", file, *between, *how)


def test_a_period_is_exported_in_either_form(database, filled, tmp_path):
    """Both have every column of every decision, with the same values."""
    lines, table = tmp_path / "log.ndjson", tmp_path / "log.parquet"
    assert _export(database, lines) == (0, "3 decisions exported.\n", "")
    assert _export(database, table, "--parquet") == (0, "3 decisions exported.\n", "")
    exported = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {frozenset(each) for each in exported} == {frozenset(COLUMNS)}
    assert sorted(each["id"] for each in exported) == sorted(str(each.id) for each in logged_rows(database))
    assert sorted(each["decision"] for each in exported) == [False, True, True]
    assert {each["consent"] for each in exported if each["decision"]} == {filled["id"]}
    rows = parquet.read_table(table).to_pylist()
    instants = ("at", "valid_until")
    for row in rows:
        row |= {name: row[name] and row[name].isoformat().replace("+00:00", "Z") for name in instants}
    assert rows == exported
    assert "marked-subject" not in lines.read_text()


def test_another_period_has_none(database, filled, tmp_path):
    """Nothing of a time without decisions; a period that ends before it begins is refused."""
    file = tmp_path / "log.ndjson"
    day = ("--since", "2020-01-01", "--until", "2020-01-02")
    assert run_command(database, "log", "export", file, *day)[:2] == (0, "0 decisions exported.\n")
    assert run_command(database, "log", "export", file, "--since", "2020-01-02", "--until", "2020-01-01")[0] == 2


def test_without_what_writes_parquet_it_is_said(database, filled, tmp_path, monkeypatch):
    """One line names what to install, and no file is left."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, refused, _ = _export(database, tmp_path / "log.parquet", "--parquet")
    assert (status, "install sceau[parquet]" in refused) == (1, True)
    assert list(tmp_path.iterdir()) == []
