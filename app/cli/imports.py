"""`sceau consents import`: send the rows of an older system's files to a running service, and report each result.

It talks to the service over HTTP, as any caller: one request at a time, so that it takes at most one connection of the
database, and the service goes on answering. Run again, it goes on where it stopped: what was recorded is unchanged.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from app.cli.import_files import FileRow, ImportFileError, Reading, members
from app.cli.output import fail, telling_of
from app.cli.progress import progress
from app.cli.remote import HERE, KeyFileOption, UrlOption, problem_of, remote

if TYPE_CHECKING:
    import httpx2

_TOGETHER: Final = 500
_LARGEST: Final = 400_000
"""The most bytes of rows in one request, which is below what the service accepts."""
_TRIES: Final = 8
_SHOWN: Final = 20


class ImportStoppedError(Exception):
    """The import cannot go on now; the message says why, and what to do."""


@dataclass(slots=True)
class _Sender:
    """Sends rows, counts and notes their results, and keeps to its share of the service's time.

    `counts`: by result. `unproven`: grants without a whole proof.
    """

    client: "httpx2.Client"
    order: dict[str, Any]
    share: float
    results: TextIO | None
    counts: Counter[str] = field(default_factory=Counter)
    unproven: int = 0

    def send(self, rows: Sequence[FileRow]) -> None:
        """Send rows in one request, and note the result of each.

        Raises:
            ImportStoppedError: the service refuses the whole of it, or cannot be reached for minutes.

        """
        begun = time.monotonic()
        for row, answer in zip(rows, self._answers(rows), strict=True):
            self.note(row, answer)
        took = time.monotonic() - begun
        time.sleep(took * (1 - self.share) / self.share)

    def note(self, row: FileRow, answer: dict[str, Any]) -> None:
        """Count the result of a row, and write it down."""
        result = answer["result"]
        self.counts[result] += 1
        self.unproven += answer.get("proof") == "unknown"
        if self.results is not None:
            line = {"file": str(row.file), "line": row.line, **answer}
            self.results.write(json.dumps(line, ensure_ascii=False) + "\n")
        elif result == "refused" and self.counts[result] <= _SHOWN:
            problem = answer.get("problem") or {}
            fields = "; ".join(f"{each['field']}: {each['message']}" for each in problem.get("errors") or ())
            typer.echo(f"{row.file}:{row.line}: {fields or problem.get('detail') or 'refused'}", err=True)

    def _answers(self, rows: Sequence[FileRow]) -> list[dict[str, Any]]:
        """Send rows until the service answers them; it gets rows that it cannot record together (503) in halves.

        For each row the service reads everything that is recorded of the person: hundreds of rows may take too long.
        A single row is sent again after a pause, so that an outage is waited for.
        """
        import httpx2

        cause = ""
        for attempt in range(_TRIES):
            try:
                answer = self.client.post("/v1/imports", json={**self.order, "rows": [row.members for row in rows]})
            except httpx2.TransportError as error:
                cause = type(error).__name__
            else:
                if answer.status_code == httpx2.codes.OK:
                    answers: list[dict[str, Any]] = answer.json()["rows"]
                    return answers
                cause = problem_of(answer)
                if answer.status_code not in {429, 502, 503, 504}:
                    raise ImportStoppedError(cause)
                if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE and len(rows) > 1:
                    middle = len(rows) // 2
                    return [*self._answers(rows[:middle]), *self._answers(rows[middle:])]
            time.sleep(min(2**attempt / 2, 20.0))
        raise ImportStoppedError(f"the service does not answer ({cause}): run the same command again when it does")


def import_files(  # noqa: PLR0917 - a command's options
    files: Annotated[list[Path], typer.Argument(help="Files of rows: .csv, .ndjson or .jsonl, also with .gz.")],
    name: Annotated[str, typer.Option("--name", help="What the import is called: with it a row is recorded once.")],
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="MEMBER=COLUMN", help="Which column holds a member; repeat.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="MEMBER=VALUE", help="What every row says; repeat.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Which column holds no member; repeat.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="What parts the columns of a CSV file.")] = ",",
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Until when the older system decided; for grants. RFC 3339.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every row, and record nothing.")] = False,  # noqa: FBT002
    notify: Annotated[bool, typer.Option("--notify", help="Tell receivers of each, as of a live decision.")] = False,  # noqa: FBT002
    results: Annotated[Path | None, typer.Option(help="Write what became of each row there, as NDJSON.")] = None,
    share: Annotated[float, typer.Option(min=0.05, max=1.0, help="Of the time, how much to keep it busy.")] = 1.0,
) -> None:
    """Import what an older system recorded. Run it again to go on: what was recorded is left unchanged.

    The key needs the scope consents:import.
    """
    try:
        reading = Reading(_pairs(map_, "--map"), _pairs(set_, "--set"), _parting(delimiter), ignore or ())
        total, grants = _count(reading, files)
        order = {"import": name, "dry_run": dry_run, "notify": notify, "grants_expected": grants}
        order |= {"until": until} if until is not None else {}
        with ExitStack() as stack:
            sender = _Sender(stack.enter_context(remote(url, key_file)), order, share, None)
            if results is not None:
                stack.enter_context(telling_of(results))
                sender.results = stack.enter_context(results.open("w", encoding="utf-8"))
            _send_all(sender, reading, files, total)
    except ImportFileError as error:
        fail(str(error), 2)
    except ImportStoppedError as error:
        fail(str(error))
    counts = sender.counts
    did = "would be recorded" if dry_run else "recorded"
    typer.echo(f"{counts['recorded']} {did}, {counts['unchanged']} unchanged, {counts['refused']} refused.")
    if sender.unproven:
        typer.echo(f"{sender.unproven} grants have no whole proof: they never permit (docs/import.md).")
    raise typer.Exit(1 if counts["refused"] else 0)


def _send_all(sender: _Sender, reading: Reading, files: Sequence[Path], total: int) -> None:
    with closing(sqlite3.connect("")) as seen, progress() as bar:  # a temporary database: there may be many rows
        seen.execute("CREATE TABLE known (id BLOB PRIMARY KEY) WITHOUT ROWID")
        sender.send([])  # the service refuses an import that may not be sent before the first row
        for together in _requests(row for file in files for row in reading.rows(file)):
            fresh = []
            for row in together:
                if _is_new(seen, row):
                    fresh.append(row)
                else:
                    sender.note(row, {"source_id": row.members["source_id"], **_REPEATED})
            sender.send(fresh)
            done = sender.counts.total()
            bar.tell(done / total, f"{done:,} of {total:,} rows")


_REPEATED: Final = {
    "result": "refused",
    "problem": {"detail": "This source_id stands in an earlier line of these files."},
}


def _is_new(seen: sqlite3.Connection, row: FileRow) -> bool:
    """Whether this is the first row with its name in the older system."""
    name = row.members.get("source_id")
    if not isinstance(name, str):
        return True  # the service says what is wrong with it
    digest = sha256(name.encode("utf-8", "surrogatepass")).digest()
    return seen.execute("INSERT OR IGNORE INTO known VALUES (?)", [digest]).rowcount == 1


def _requests(rows: Iterator[FileRow]) -> Iterator[list[FileRow]]:
    """Group rows into requests of `_TOGETHER` rows, or of fewer if the rows are large."""
    while together := list(islice(rows, _TOGETHER)):
        size = sum(len(json.dumps(row.members)) for row in together)
        parts = 1 + size // _LARGEST
        length = -(-len(together) // parts)
        yield from (together[start : start + length] for start in range(0, len(together), length))


def _count(reading: Reading, files: Sequence[Path]) -> tuple[int, int]:
    """How many rows there are, and how many grants; an unreadable file is reported here, before anything is sent."""
    total = grants = 0
    for file in files:
        for row in reading.rows(file):
            total += 1
            grants += row.members.get("decision") == "granted"
    return total, grants


def _parting(delimiter: str) -> str:
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise ImportStoppedError("--delimiter is one character, and no line end or quotation mark")
    return delimiter


def _pairs(written: Sequence[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for pair in written or ():
        member, parted, value = pair.partition("=")
        if not parted or member not in members():
            raise ImportStoppedError(f"{option} {pair}: it names no member; there are {', '.join(sorted(members()))}")
        if member in pairs:
            raise ImportStoppedError(f"{option} names {member} twice")
        pairs[member] = value
    return pairs
