"""An import killed ten times, done twice, exported and restored: the same rows, and the same decisions.

Twenty thousand rows; E2E_ROWS says how many else.
"""

import csv
import os
import random
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.service import COMMAND, ROOT, Server, Service, environment
from tests.faults.words import ADS
from tests.support.api import BOOTSTRAP, question
from tests.support.consents import SIGNED, notice_of, own_form, proof

ROWS = int(os.environ.get("E2E_ROWS", "20000"))
QUESTIONS = 10_000
KILLS = 10
EVIDENCE = proof(notice_of("ads-mail"), SIGNED)
MEMBERS = ("source_id", "subject.id", "processing", "decision", "at", *(f"evidence.{name}" for name in EVIDENCE))
FLAT = 400 * 1024
"""Kilobytes that neither the command nor a worker comes to, however many rows there are."""


def _rows(number):
    """Of every twenty people one refuses, one withdraws a day later, and one has no proof."""
    who = f"person{number}@example.fr"
    evidence = [str(value).lower() for value in own_form(EVIDENCE, who).values()]
    day = f"2026-{1 + number % 9:02d}-{1 + number % 28:02d}T0{number % 10}:00:00Z"
    kind = number % 20
    if kind == 1:
        return [[f"row-{number}", who, "ads-mail", "refused", day, *[""] * len(EVIDENCE)]]
    if kind == 2:
        return [[f"row-{number}", who, "ads-mail", "granted", day, *[""] * len(EVIDENCE)]]
    rows = [[f"row-{number}", who, "ads-mail", "granted", day, *evidence]]
    if kind == 3:
        later = day.replace("T0", "T1")
        rows.append([f"row-{number}-w", who, "ads-mail", "withdrawn", later, *[""] * len(EVIDENCE)])
    return rows


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An older system's file of so many rows."""
    path = tmp_path_factory.mktemp("older") / "older.csv"
    with path.open("w", newline="") as opened:
        lines = csv.writer(opened)
        lines.writerow(MEMBERS)
        written = number = 0
        while written < ROWS:
            some = _rows(number)[: ROWS - written]
            lines.writerows(some)
            written, number = written + len(some), number + 1
    return path


@contextmanager
def _deployment(place: Path, name: str):
    directory = place / name
    directory.mkdir()
    server = Server(directory)
    try:
        yield server
    finally:
        server.embedded.stop()


def _serve(server, place, number):
    settings = {**server.settings, "SCEAU_JOBS": "false", "SCEAU_CACHE": "leased"}
    return Service(place / f"service{number}.log", settings, workers=1).wait_until_it_listens()


def _import(service, file):
    return subprocess.Popen(
        [*COMMAND, "import", str(file), "--name", "older", "--until=2026-11-01T00:00:00Z"],
        env=environment(SCEAU_URL=f"http://127.0.0.1:{service.port}", SCEAU_KEY=BOOTSTRAP),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _peak(pid):
    """The most memory that a process ever had, in kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def _recorded(server):
    with server.administrator() as connection:
        row = connection.execute("SELECT rows FROM import_source WHERE name = 'older'").fetchone()
        return row[0] if row else 0


def _counts(server):
    with server.administrator() as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("subject", "subject_locator", "subject_vault", "consent_event", "consent", "import_row")
        }


def _killed_ten_times(server, place, file):
    """Import until it was killed ten times, the command and the service in turn; then to its end."""
    service = _serve(server, place, 0)
    assert service.call("POST", "/v1/processings", ADS).status_code == 201
    for number in range(KILLS):
        command, goal = _import(service, file), (number + 1) * ROWS // (KILLS + 2)
        eventually_long(lambda: _recorded(server) >= goal, command)  # noqa: B023 - at once
        if number % 2:
            service.end()
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
        if number % 2:
            service = _serve(server, place, number + 1)
    return service


def eventually_long(condition, command):
    """Wait for as long as the command runs: a million rows take minutes."""
    while command.poll() is None and not condition():
        with suppress(subprocess.TimeoutExpired):
            command.wait(0.1)
    assert condition(), command.communicate()[0]


def _to_the_end(service, file):
    command = _import(service, file)
    peak = 0
    while command.poll() is None:
        with suppress(FileNotFoundError, StopIteration):
            peak = max(peak, _peak(command.pid))
        with suppress(subprocess.TimeoutExpired):
            command.wait(0.5)
    return command.communicate()[0].splitlines()[0], peak


def _run(server, *words):
    """Run a command to its end; it may not need more memory for more rows."""
    with subprocess.Popen(
        [*COMMAND, *words], env=environment(**server.settings), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        output = command.stdout.read()
        _, status, used = os.wait4(command.pid, 0)
        command.returncode = os.waitstatus_to_exitcode(status)
    assert command.returncode == 0
    assert used.ru_maxrss < FLAT
    return output.strip()


def _answers(service, key):
    """What is answered to ten thousand questions, a hundred in a request."""
    chosen = random.Random(7)
    people = [chosen.randrange(ROWS + ROWS // 20) for _ in range(QUESTIONS)]
    answers = []
    for start in range(0, QUESTIONS, 100):
        questions = [question(f"person{number}@example.fr", "ads-mail") for number in people[start : start + 100]]
        answer = service.call("POST", "/access/v1/evaluations", {"evaluations": questions}, key=key)
        assert answer.status_code == 200, answer.text
        for each in answer.json()["evaluations"]:
            context = {name: value for name, value in each["context"].items() if name != "id"}
            answers.append((each["decision"], str(sorted(context.items()))))
    return answers


def test_an_import_killed_ten_times_is_whole_and_moves_to_another_deployment(file, tmp_path):
    """Each row once; a second time changes nothing; restored elsewhere, ten thousand questions get the same answers."""
    with _deployment(tmp_path, "one") as one:
        service = _killed_ten_times(one, tmp_path, file)
        _, peak = _to_the_end(service, file)
        assert _recorded(one) == ROWS
        counts = _counts(one)
        assert (counts["consent_event"], counts["import_row"]) == (ROWS, ROWS)
        assert counts["subject"] == counts["subject_locator"] == counts["subject_vault"]
        report, again = _to_the_end(service, file)
        assert report == f"0 recorded, {ROWS} unchanged, 0 refused."
        assert _counts(one) == counts
        assert max(peak, again, *map(_peak, _family(service.process.pid))) < FLAT
        before = _answers(service, BOOTSTRAP)
        assert {decision for decision, _ in before} == {True, False}
        export = tmp_path / "export.ndjson.gz"
        _run(one, "export", str(export))
        verifier = _run(one, "proof", "key").splitlines()[0]
        service.end()
        with one.administrator() as connection:
            caller = str(connection.execute("SELECT id FROM caller").fetchone()[0])
    with _deployment(tmp_path, "two") as two:
        _run(two, "restore", str(export), "--key", verifier)
        assert _counts(two) == counts
        key = _run(two, "keys", "rotate", caller)
        restored = _serve(two, tmp_path, "restored")
        assert _answers(restored, key) == before
        restored.end()


def _family(pid):
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]
