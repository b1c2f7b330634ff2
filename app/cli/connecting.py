"""Finds the database that a command works on, and opens the session that it works in."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

if TYPE_CHECKING:
    from app.db.database import Database
    from app.db.session import WriteSession
    from app.operations.service.deployment import Deployment
    from app.settings import Settings

_Result = TypeVar("_Result")

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Use this directory's own PostgreSQL and keys, unless SCEAU_DATABASE_URL is set. Without it: .sceau here.",
        show_default=False,
    ),
]
_DATA: Final = ".sceau"
_OF_ONES_OWN: Final = ("SCEAU_DATABASE_OWNER_URL", "SCEAU_PSEUDONYM_KEY", "SCEAU_MASTER_KEY")
"""The settings that show that the operator has a separate database."""


@contextmanager
def deployment(data: Path | None, *, join: bool = True, make: bool = False) -> Iterator[Path | None]:
    """Work on the database that the environment names, or else on a data directory's own; yield that directory or None.

    Args:
        data: the data directory that was named.
        join: see `local_deployment`.
        make: whether a data directory without a deployment gets a new one. If not, it is refused, since a mistyped name
            would be answered from an empty database.

    Raises:
        SettingsError: there is neither, or the directory holds no deployment.

    """
    if os.environ.get("SCEAU_DATABASE_URL") or os.environ.get("SCEAU_DATABASE_URL_FILE"):
        yield None
        return
    from app.cli.data_directory import local_deployment
    from app.settings.environment import SettingsError

    named = [name for name in _OF_ONES_OWN if os.environ.get(name) or os.environ.get(f"{name}_FILE")]
    if data is None and named:
        # An operator who sets keys or an owner means a separate deployment, not the folder that a demo left.
        raise SettingsError(
            f"SCEAU_DATABASE_URL is not set, and {named[0]} is: set both (or their _FILE forms), or use --data DIR"
        )
    if data is None and not Path(_DATA).is_dir():
        raise SettingsError(
            f"SCEAU_DATABASE_URL is not set, and there is no {_DATA} here: name a deployment's folder with --data DIR"
        )
    directory = (data or Path(_DATA)).absolute()
    if not make and not (directory / "keys" / "master").is_file():
        raise SettingsError(f"{directory} holds no deployment: check --data; sceau serve --data DIR makes a new one")
    with local_deployment(directory, join=join):
        yield directory


def settings_here() -> "Settings":
    """The settings that the environment of this command names; from then on what it logs shows no secret."""
    from app.settings import Settings
    from app.telemetry.logs import say_warnings

    say_warnings()
    return Settings.load()


def deployment_here() -> "Deployment":
    """The keys and the choices of those settings."""
    from app.wiring.parts import deployment_of

    return deployment_of(settings_here())


def connected(data: Path | None, work: Callable[["Database"], Awaitable[_Result]], *, is_long: bool = False) -> _Result:
    """Do some work on the database of a command, and return its result; `is_long`: see `run`."""
    from app.telemetry.spans import EntryPoint, Origin, arriving

    with deployment(data), arriving(Origin(EntryPoint.COMMAND)):
        return run(settings_here(), work, is_long=is_long)


def run(settings: "Settings", work: Callable[["Database"], Awaitable[_Result]], *, is_long: bool = False) -> _Result:
    """Do some work on the database that the settings name, and return its result.

    `is_long`: on one connection and without a deadline, since to read years of events takes long.
    """
    from app.db.database import Database, PoolLimits
    from app.db.refusals import refusals_told
    from app.settings.required import required
    from app.wiring.parts import database_of

    url = required(settings.database_url, "database_url")

    async def opened() -> _Result:
        limits = PoolLimits(size=1, deadline=timedelta(days=1))
        database = Database(url, limits=limits) if is_long else database_of(settings)
        try:
            return await work(database)
        finally:
            await database.close()

    with refusals_told(url):
        return asyncio.run(opened())


@asynccontextmanager
async def confirmed(database: "Database") -> "AsyncIterator[WriteSession]":
    """Open a transaction; when the block has ended, no process of the service still accepts what it forbids.

    The end waits for the longest possible lease, because a command may not know with which one the service runs.
    """
    from app.journal.store import load_epoch
    from app.snapshot.feed import LONGEST_LEASE, Pace
    from app.snapshot.writer import Writer
    from app.wiring.parts import journal_of

    journal = journal_of(settings_here())
    async with database.read() as session:
        journal.saw(await load_epoch(session))
    async with Writer(database, None, longest=LONGEST_LEASE + Pace().margin, journal=journal).write() as session:
        yield session
    await journal.mark_kept(database)
