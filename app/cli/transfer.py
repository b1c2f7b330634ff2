"""`sceau recovery export` and `restore`: write a deployment's register and ledger as JSON lines, and read them back."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from app.cli.connecting import DataOption, connected, deployment, deployment_here, settings_here
from app.cli.output import open_to_read, refuse_unreadable, written_whole
from app.cli.progress import progress
from app.cli.proofs import append_now, keys_given

if TYPE_CHECKING:
    from app.db.database import Database
    from app.db.session import WriteSession
    from app.operations.proof.exports import ExportEnd
    from app.proof.verifier.notes import VerifierKey

_EVERY: Final = 5_000
_LONGEST_LINE: Final = 1 << 26
"""How many characters a line has at most. The longest rows are those of runs of retention."""


def export(
    file: Annotated[Path, typer.Argument(help="Where to write; - for standard output. With .gz behind: gzipped.")],
    data: DataOption = None,
) -> None:
    """Write register, ledger, log, trail, texts and callers as one snapshot, signed by the log's key.

    What was recorded is entered in the log first. Callers' keys are not in it, and ids of subjects stay sealed.
    """
    from app.operations.proof.exports import sign_export

    async def write(database: "Database") -> int:
        from app.db.transfer import export_lines

        async with database.read() as session:
            async with aclosing(export_lines(session)) as lines:  # a COPY left open would hold the connection
                rows, digest = await _write(lines, sink)
            note = await sign_export(session, deployment_here(), rows, digest)
        sink.write(json.dumps({"end": note}, ensure_ascii=False) + "\n")
        return rows

    with deployment(data), written_whole(file) as sink:
        append_now(None)
        rows = connected(None, write, is_long=True)
    typer.echo(f"{rows} rows exported.", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="An export, as `sceau recovery export` wrote it.")],
    key: Annotated[list[str], typer.Option("--key", help="A verifier key of the log, known from elsewhere.")],
    data: DataOption = None,
) -> None:
    """Put an export into an empty database of the same keys, whole or not at all, while no service runs on it.

    It is refused unless the log's key has signed it, every row is what the log entered, and the projection is what the
    events say. The log goes on from its last head. `sceau proof key` prints its key.

    With SCEAU_REGISTER_APPROVAL=two the service answers nothing that needs consent from it until two persons have
    accepted the restore: one sends POST /v1/proposals, another approves it (POST /v1/rulings).
    """
    refuse_unreadable(file)
    trusted = keys_given(key)
    with deployment(data, make=True):
        rows = connected(None, lambda database: _restore(database, file, trusted), is_long=True)
    typer.echo(f"{rows} rows restored.", err=True)


async def _write(lines: AsyncIterator[str], sink: IO[str]) -> tuple[int, str]:
    """Write the lines; return how many rows they are, and the SHA-256 of all lines in hexadecimal."""
    digest, rows, total = sha256(), -1, 0
    with progress() as bar:
        async for line in lines:
            if rows < 0:
                total = sum(json.loads(line)["tables"].values())
            rows += 1
            digest.update(f"{line}\n".encode())
            sink.write(f"{line}\n")
            if rows % _EVERY == 0:
                bar.tell(rows / max(total, 1), f"{rows:,} of {total:,} rows")
    return rows, digest.hexdigest()


async def _restore(database: "Database", file: Path, trusted: "list[VerifierKey]") -> int:
    from app.core.register import RegisterApproval
    from app.db.transfer import RestoreRefusedError
    from app.journal.store import load_epoch, mark
    from app.operations.consents.projections import count_differing
    from app.operations.proof.exports import check_export
    from app.operations.service.check_deployment import check_deployment
    from app.settings.required import register_approval
    from app.wiring.parts import deployment_of

    settings = settings_here()
    ours = deployment_of(settings)
    async with database.write() as session:
        end = await _put_all(file, session)
        # These checks come before the commit, so that keys by which no person in it could be found are refused.
        await check_deployment(session, ours)
        await check_export(session, ours, end, trusted)
        if differing := await count_differing(session):
            raise RestoreRefusedError(f"the export's rows of consent are not what its events say: {differing} differ")
        if register_approval(settings) is RegisterApproval.TWO:
            await mark(session, await load_epoch(session))
    return end.rows


async def _put_all(file: Path, session: "WriteSession") -> "ExportEnd":
    """Insert every row of an export; return what its end states, and what that is to be compared with."""
    import zlib

    import msgspec

    from app.db.transfer import ExportHeading, ExportLine, RestoreRefusedError, Restoring
    from app.operations.proof.exports import ExportEnd

    try:
        with open_to_read(file) as lines, progress() as bar:
            first = _line(lines)
            heading = msgspec.json.decode(first, type=ExportHeading)
            if heading.sceau != "export":
                raise RestoreRefusedError(f"{file}: it is no export")
            work = Restoring(session, heading)
            await work.check_empty()
            total, digest = sum(heading.tables.values()), sha256(first.encode())
            for number, line in enumerate(iter(lambda: _line(lines), "")):
                parsed = msgspec.json.decode(line, type=ExportLine)
                if parsed.end is not None:
                    if lines.read(1):
                        raise RestoreRefusedError(f"{file}: it goes on after its end")
                    await work.finish()
                    return ExportEnd(parsed.end, number, digest.hexdigest())
                digest.update(line.encode())
                await work.put(parsed.table, bytes(parsed.row).decode())
                if number % _EVERY == 0:
                    bar.tell(number / max(total, 1), f"{number:,} of {total:,} rows")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise RestoreRefusedError(f"{file}: it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    raise RestoreRefusedError(f"{file}: its end is missing")


def _line(lines: IO[str]) -> str:
    """The next line; a file of some megabytes can unpack to gigabytes without one.

    Raises:
        ValueError: the line is longer than any line of an export.

    """
    line = lines.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise ValueError("a line of it is longer than any is")
    return line
