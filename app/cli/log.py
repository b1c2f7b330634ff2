"""`sceau log`: the decision log as a file, the events as they happen, and what the owner of the database limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connecting import DataOption, connected
from app.cli.output import Since, Until, refuse_reversed, utc, written_whole
from app.cli.progress import progress
from app.cli.remote import watch
from app.cli.retention import limits
from app.cli.words import group
from app.core.errors import RefusalError

if TYPE_CHECKING:
    from app.db.database import Database

_Row = Mapping[str, Any]
_Put = Callable[[Sequence[_Row]], object]
log = group("Export the decision log, watch events, set how long the log is kept at least.")
log.command()(watch)
log.add_typer(limits, name="limits")


@log.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write; - for standard output.")],
    since: Since,
    until: Until,
    parquet: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--parquet/--ndjson", help="Parquet (needs sceau[parquet]), or a line of JSON each.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Write the logged decisions of a period, as of one moment: references to people, and no names."""
    from app.audit.log_reading import Period, decisions
    from app.audit.segments import Wanted, row_of

    refuse_reversed(since, until)

    async def write(database: "Database") -> int:
        number = 0
        kind = _parquet if parquet else _lines
        async with database.read() as session:
            period = await Period.of(session, utc(since), utc(until))
            with written_whole(file, binary=parquet) as sink, kind(sink) as put, progress() as bar:
                async for _, batch in decisions(session, Wanted(utc(since), utc(until))):
                    put([row_of(each, bytes.hex) for each in batch])
                    number += len(batch)
                    if batch:
                        bar.tell(period.share_after(batch[-1].at), f"{number:,} decisions")
        return number

    number = connected(data, write, is_long=True)
    typer.echo(f"{number} decisions exported.", err=True)


@contextmanager
def _lines(sink: IO[str]) -> Iterator[_Put]:
    from app.audit.segments import line_of

    yield lambda rows: sink.writelines(line_of(row).decode() for row in rows)


@contextmanager
def _parquet(sink: IO[bytes]) -> Iterator[_Put]:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise RefusalError("Parquet needs the package pyarrow: install sceau[parquet]") from None
    from msgspec.structs import fields

    from app.audit.segments import OWN, LogFacts, Shape

    instant, number, flag = pa.timestamp("us", tz="UTC"), pa.int32(), pa.bool_()
    kinds = {
        **dict.fromkeys(("at", "valid_until"), instant),
        **dict.fromkeys(("participants", "version", "versions", "changes", "known"), number),
        **dict.fromkeys(("decision", "automated", "private"), flag),
        "elements": pa.list_(pa.string()),
    }
    names = [member.name for member in (*fields(Shape), *fields(LogFacts))]
    columns = [*OWN, *(name for name in names if name not in {"shape", "permitted", "relied"})]
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    with ParquetWriter(sink, schema, compression="zstd") as writer:
        yield lambda rows: writer.write_batch(pa.RecordBatch.from_pylist(list(rows), schema))
