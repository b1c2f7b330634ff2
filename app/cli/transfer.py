"""`sceau export` and `sceau restore`: a deployment's register and ledger as lines of JSON, and into an empty one."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.connecting import DataOption, deployment
from app.cli.output import open_to_read, written_whole

if TYPE_CHECKING:
    from app.db.transfer import Restoring
    from app.settings import Settings

_EVERY: Final = 5_000


def export(
    file: Annotated[Path, typer.Argument(help="Where to write; - for standard output. With .gz behind: gzipped.")],
    data: DataOption = None,
) -> None:
    """Write register, ledger, texts and callers, without keys, as one snapshot. Ids of subjects stay sealed."""
    import asyncio

    from app.db.transfer import export_lines
    from app.settings import Settings
    from app.settings.required import required

    async def write(settings: "Settings", sink: IO[str]) -> int:
        return await _write(export_lines(required(settings.database_url, "database_url")), sink)

    with deployment(data), written_whole(file) as sink:
        rows = asyncio.run(write(Settings.load(), sink))
    typer.echo(f"{rows} rows exported.", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="An export, as sceau export wrote it.")], data: DataOption = None
) -> None:
    """Put an export into an empty database of the same keys, whole or not at all, while no service runs on it.

    With SCEAU_REGISTER_APPROVAL=two the service answers nothing that needs consent from it until two persons have
    accepted the restore: one sends POST /v1/restores, another approves it.
    """
    import asyncio

    from app.settings import Settings

    with deployment(data, make=True):
        rows = asyncio.run(_restore(file, Settings.load()))
    typer.echo(f"{rows} rows restored.", err=True)


async def _write(lines: AsyncIterator[str], sink: IO[str]) -> int:
    """Write the lines and, last, how many rows they are and their hash."""
    digest, rows, total = sha256(), -1, 0
    with _progress() as bar:
        task = bar.add_task("", total=None)
        async for line in lines:
            if rows < 0:
                total = sum(json.loads(line)["tables"].values())
            rows += 1
            digest.update(f"{line}\n".encode())
            sink.write(f"{line}\n")
            if rows % _EVERY == 0:
                bar.update(task, completed=rows, total=total)
    sink.write(json.dumps({"end": True, "rows": rows, "sha256": digest.hexdigest()}) + "\n")
    return rows


async def _restore(file: Path, settings: "Settings") -> int:
    from app.core.register import RegisterApproval
    from app.db.database import Database, PoolLimits
    from app.db.transfer import Restoring
    from app.journal.store import load_epoch, mark
    from app.operations.service.check_deployment import check_deployment
    from app.settings.required import register_approval, required
    from app.wiring.parts import deployment_of

    url = required(settings.database_url, "database_url")
    database = Database(url, limits=PoolLimits(size=1, deadline=timedelta(days=1)))
    try:
        async with database.write() as session:
            rows = await _put_all(file, lambda heading: Restoring(session, heading))
            # Before the commit: keys by which nobody in it would be found are refused.
            await check_deployment(session, deployment_of(settings))
            if register_approval(settings) is RegisterApproval.TWO:
                await mark(session, await load_epoch(session))
    finally:
        await database.close()
    return rows


async def _put_all(file: Path, begin: "Callable[[Mapping[str, Any]], Restoring]") -> int:
    """Put every row of an export, and compare them with what its last line says."""
    from app.db.transfer import RestoreRefusedError

    try:
        with open_to_read(file) as lines, _progress() as bar:
            first = lines.readline()
            heading = _read(first)
            if heading.get("sceau") != "export":
                raise RestoreRefusedError(f"{file}: it is no export")
            work = begin(heading)
            await work.check_empty()
            task, digest = bar.add_task("", total=sum(heading["tables"].values())), sha256(first.encode())
            for number, line in enumerate(lines):
                said = _read(line)
                if "end" in said:
                    if (said.get("rows"), said.get("sha256")) != (number, digest.hexdigest()):
                        raise RestoreRefusedError(f"{file}: its rows are not those that were exported")
                    await work.finish()
                    return number
                digest.update(line.encode())
                await work.put(said["table"], json.dumps(said["row"]))
                if number % _EVERY == 0:
                    bar.update(task, completed=number)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise RestoreRefusedError(f"{file}: it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    raise RestoreRefusedError(f"{file}: its end is missing")


def _read(line: str) -> dict[str, Any]:
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("a line of it is no object")  # noqa: TRY004 - as all that is wrong with a line
    return said


def _progress() -> Any:  # noqa: ANN401 - rich is imported when it is needed
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
