"""`sceau import` against COPY of the same rows into the same tables, with the keys and checks that they have."""

import csv
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg

from app.db.embedded.cluster import APP_ROLE, DATABASE
from bench.processes import ROOT
from bench.questions import EVIDENCE, PROCESSING
from bench.results import Row, compared
from bench.world import KEY, World
from bench.wrk import BenchError

_SIGNED = {**EVIDENCE, "method": "paper", "positive_act": "signed", "document_sha256": "cd" * 32}
_AT = (datetime.now(UTC) - timedelta(days=100)).replace(microsecond=0).isoformat()
_UNTIL = (datetime.now(UTC) + timedelta(days=200)).replace(microsecond=0).isoformat()
_OF_EVENT = (
    "subject_ref, seq, id, kind, processing, version, collected_at, recorded_at, imported, expires_at, counting,"
    " text_known, recorded_by, evidence"
)
_TABLES = (
    "subject (subject_ref, created_at)",
    "subject_locator (locator, subject_ref, name, made_by, began_at)",
    "subject_vault (subject_ref, name, type, sealed_for, master_key_id, wrapped_key, sealed_id, stored_at)",
    f"consent_event ({_OF_EVENT})",
    "consent (subject_ref, id, processing, version, decision, collected_at, expires_at)",
    "import_row (row_hash, content_hash, subject_ref)",
)


def imports(world: World) -> list[Row]:
    """Rows a second, each round about people of whom nothing was known."""
    server = world.sceau("import")
    count = 2_000 if world.plan.quick else 20_000
    ours, copied, again = [], [], []
    for turn in range(world.plan.rounds):
        file = world.scratch / f"older-{turn}.csv"
        _write(file, turn, count)
        ours.append(count / _import(server.port, file, f"{count} recorded"))
        again.append(count / _import(server.port, file, f"{count} unchanged"))
        copied.append(count / _copy(world.postgres.url(role=APP_ROLE, database=DATABASE), count))
    world.stop(server.name)
    rows = f"{count:,} rows"
    return [
        compared(f"`sceau import` of {rows}, against COPY into the same tables", ours, copied, 0.15, other="COPY"),
        compared("the same rows again, which changes nothing, against the first time", again, ours, 1, other="first"),
    ]


def _write(file: Path, turn: int, count: int) -> None:
    with file.open("w", newline="") as opened:
        lines = csv.writer(opened)
        said = {f"evidence.{name}": str(value).lower() for name, value in _SIGNED.items()}
        lines.writerow(["source_id", "subject.id", "processing", "decision", "at", *said])
        for number in range(count):
            who = f"imported{turn}-{number}@example.fr"
            own = {**said, "evidence.document_sha256": sha256(who.encode()).hexdigest()}
            lines.writerow([f"{turn}-{number}", who, PROCESSING, "granted", _AT, *own.values()])


def _import(port: int, file: Path, wanted: str) -> float:
    """Seconds that the command takes, its start included."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    began = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from app.cli import main; main()",
            "import",
            str(file),
            "--name",
            "bench",
            "--until",
            _AT,
        ],
        env={**kept, "SCEAU_URL": f"http://127.0.0.1:{port}", "SCEAU_KEY": KEY},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if wanted not in done.stdout:
        raise BenchError(f"the import did not go as it should: {done.stdout or done.stderr}")
    return time.perf_counter() - began


def _copy(url: str, count: int) -> float:
    """Seconds of the COPY statements and their commit; the rows are made before."""
    lines = [list(each) for each in zip(*(_row() for _ in range(count)), strict=True)]
    began = time.perf_counter()
    with psycopg.connect(url) as connection:
        for table, rows in zip(_TABLES, lines, strict=True):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("".join(rows))
    return time.perf_counter() - began


def _row() -> Iterator[str]:
    ref, locator, identifier, name = secrets.token_hex(32), secrets.token_hex(32), uuid4(), uuid4()
    yield f"\\\\x{ref}\t{_AT}\n"
    yield f"\\\\x{locator}\t\\\\x{ref}\t{name}\tbench\t{_AT}\n"
    sealed = f"1\t\\\\x{secrets.token_hex(60)}\t\\\\x{secrets.token_hex(50)}"
    yield f"\\\\x{ref}\t{name}\tuser\t\\\\x{locator}\t{sealed}\t{_AT}\n"
    rest = f"{_AT}\t{_AT}\tt\t{_UNTIL}\tstart_of_day\tt\t{uuid4()}\t{json.dumps(_SIGNED)}\n"
    yield f"\\\\x{ref}\t1\t{identifier}\tgranted\t{PROCESSING}\t1\t{rest}"
    yield f"\\\\x{ref}\t{identifier}\t{PROCESSING}\t1\tgranted\t{_AT}\t{_UNTIL}\n"
    yield f"\\\\x{secrets.token_hex(32)}\t\\\\x{secrets.token_hex(32)}\t\\\\x{ref}\n"
