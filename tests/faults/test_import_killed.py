"""An import goes on where it stopped if the command or the service is killed: no row is recorded twice or lost."""

import csv
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.service import ROOT, environment, eventually
from tests.faults.words import ADS
from tests.support.api import BOOTSTRAP
from tests.support.consents import SIGNED, notice_of, own_form, proof
from tests.support.forked import start_command

ROWS = 2_000
EVIDENCE = proof(notice_of("ads-mail"), SIGNED)
PATIENT = {"SCEAU_DATABASE_TIMEOUT": "PT1M"}
"""Five hundred rows may take a loaded machine some seconds; cut short, they are sent again, later and later."""
UNTIL = "--until=2026-11-01T00:00:00Z"


def _file(path, name):
    members = ("source_id", "subject.id", "processing", "decision", "at", *(f"evidence.{each}" for each in EVIDENCE))
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(members)
        for number in range(ROWS):
            who = f"{name}{number}@example.fr"
            evidence = [str(value).lower() for value in own_form(EVIDENCE, who).values()]
            lines.writerow([f"{name}-{number}", who, "ads-mail", "granted", "2026-06-01T00:00:00Z", *evidence])
    return path


def _import(service, file, results):
    words = ["import", str(file), "--name", file.stem, "--results", str(results), UNTIL]
    settings = environment(SCEAU_URL=f"http://127.0.0.1:{service.port}", SCEAU_KEY=BOOTSTRAP)
    with Path(os.devnull).open("r+b") as nothing:
        return start_command(words, settings, ROOT, [nothing, nothing, nothing])


def _recorded(server, name):
    with server.administrator() as connection:
        row = connection.execute("SELECT rows FROM import_source WHERE name = %s", [name]).fetchone()
        return row[0] if row else 0


def _events(server):
    with server.administrator() as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT subject_ref) FROM consent_event WHERE imported")
        return counted.fetchone()


@pytest.mark.parametrize("dies", ["command", pytest.param("service", marks=pytest.mark.deep)])
def test_an_import_that_is_killed_goes_on_where_it_stopped(server, serve, tmp_path, dies):
    """After two kills (-9) of the command or of the service during an import, each row is recorded once."""
    before = _events(server)
    file = _file(tmp_path / f"{dies}.csv", dies)
    service = serve(**PATIENT)
    assert service.call("POST", "/v1/processings", ADS).status_code in {201, 409}
    killed = 0
    for _ in range(2):
        command = _import(service, file, tmp_path / "results.ndjson")
        begun = _recorded(server, dies)
        eventually(lambda: _recorded(server, dies) > begun or command.poll() is not None)  # noqa: B023 - at once
        threading.Event().wait(0.05)  # in the middle of a request, as likely as not
        killed += command.poll() is None
        if dies == "service":
            service.end()
        with suppress(ProcessLookupError):  # on a fast day it had ended
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        if dies == "service":
            service = serve(**PATIENT)
    assert killed > 0
    assert _import(service, file, tmp_path / "results.ndjson").wait() == 0
    assert _recorded(server, dies) == ROWS
    after = _events(server)
    assert (after[0] - before[0], after[1] - before[1]) == (ROWS, ROWS)
    assert len((tmp_path / "results.ndjson").read_text().splitlines()) == ROWS
