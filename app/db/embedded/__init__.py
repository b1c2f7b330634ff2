"""A PostgreSQL server for one machine, started and stopped with this process.

For development, the demonstration and the tests. It must not be offered as a way to run in production, know the
schema of the application, or be imported by anything but the composition root, the command line and the tests.
"""

from app.db.embedded.binaries import Account, find_binaries
from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.errors import (
    BinariesNotFound,
    BinariesUnusable,
    DirectoryInUse,
    DirectoryRefused,
    DiskFull,
    EmbeddedServerError,
    NotStartable,
    StartFailed,
    VersionMismatch,
)
from app.db.embedded.server import EmbeddedServer

__all__ = [
    "APP_ROLE",
    "DATABASE",
    "OWNER_ROLE",
    "Account",
    "BinariesNotFound",
    "BinariesUnusable",
    "DirectoryInUse",
    "DirectoryRefused",
    "DiskFull",
    "EmbeddedServer",
    "EmbeddedServerError",
    "NotStartable",
    "StartFailed",
    "VersionMismatch",
    "find_binaries",
]
