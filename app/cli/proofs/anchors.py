"""`sceau proof stamp` and `sceau proof cosign`: what others say of the log, asked for or handed in by an operator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.connecting import DataOption, connected
from app.cli.files import open_to_read

if TYPE_CHECKING:
    from app.db.database import Database

_MOST: Final = 65_536
"""Characters of a checkpoint that are read."""


def proof_stamp(data: DataOption = None) -> None:
    """Have the newest checkpoint time-stamped now, as the jobs process does each hour. Exit 0 stamped, 1 not."""
    from app.jobs.stamps import stamp_newest
    from app.jobs.work import Work
    from app.proof.authority import CAUSES, AuthorityError
    from app.settings import Settings
    from app.settings.environment import SettingsError
    from app.wiring.parts import deployment_of, time_authority_of

    async def stamp(database: "Database") -> str:
        settings = Settings.load()
        authority = time_authority_of(settings)
        if authority is None:
            raise SettingsError("SCEAU_TSA_URL is not set: it names the authority that is asked")
        work = Work(database, deployment_of(settings), authority=authority)
        stamped = await stamp_newest(work, at_once=True)
        return "The newest checkpoint is time-stamped." if stamped else "There is no checkpoint that is not stamped."

    try:
        typer.echo(connected(data, stamp))
    except AuthorityError as error:
        typer.echo(f"proof stamp: not time-stamped: {CAUSES[str(error)]} ({error})", err=True)
        raise typer.Exit(1) from error


def proof_cosign(
    file: Annotated[Path, typer.Argument(help="A checkpoint of this log with cosignatures of witnesses.")],
    data: DataOption = None,
) -> None:
    """Keep what witnesses of SCEAU_WITNESS_KEYS have cosigned. Exit 0 kept, 1 refused.

    It is then served with the checkpoint while that is the newest, and stands in bundles for good.
    """
    from app.operations.proof.append_entries import CosignatureRefusedError, keep_cosignatures
    from app.settings import Settings

    try:
        with open_to_read(file) as source:
            content = source.read(_MOST)
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"proof cosign: {file} cannot be read as text", err=True)
        raise typer.Exit(1) from error

    async def keep(database: "Database") -> list[str]:
        async with database.write() as session:
            return await keep_cosignatures(session, content, Settings.load().witness_keys)

    try:
        new = connected(data, keep)
    except CosignatureRefusedError as error:
        typer.echo(f"proof cosign: {file} is refused: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Kept: {', '.join(new)}." if new else "Its cosignatures were kept before.")
