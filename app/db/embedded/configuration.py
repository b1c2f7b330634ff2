"""PostgreSQL's settings for the embedded server, as command line options.

Must not write configuration files: what a start is given holds for that start only.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from app.db.embedded.errors import SettingRefused

SOCKET_NAME = ".s.PGSQL.5432"

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "100",
        "shared_buffers": "64MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "min_wal_size": "32MB",
        "max_wal_size": "256MB",
    }
)

# The guarantees of the supervisor rest on these: no TCP, a private socket at a known place, a mark on every process.
_DECIDED: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": ".",
        "unix_socket_permissions": "0700",
        "update_process_title": "on",
    }
)
_REFUSED = frozenset({*_DECIDED, "cluster_name", "data_directory", "config_file", "hba_file", "external_pid_file"})


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise SettingRefused for a malformed name, a NUL byte, or a setting that the supervisor decides."""
    for name, value in settings.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?", name) or "\0" in value:
            raise SettingRefused(f"{name!r} is not a PostgreSQL setting", "write it as in postgresql.conf")
        if name.lower() in _REFUSED:
            raise SettingRefused(f"the embedded server decides {name} itself", "leave it out of the settings")


def server_options(settings: Mapping[str, str], mark: str) -> list[str]:
    """`-c name=value` for every setting; `mark` shows in the title of each process of the server."""
    given = {name.lower(): value for name, value in settings.items()}
    merged = {**DEFAULTS, **given, **_DECIDED, "cluster_name": mark}
    return [part for name, value in merged.items() for part in ("-c", f"{name}={value}")]


def is_durable(settings: Mapping[str, str]) -> bool:
    """False when the settings give up surviving a power cut (`fsync=off`)."""
    given = {name.lower(): value.lower() for name, value in settings.items()}
    return given.get("fsync", "on") not in {"off", "false", "no", "0"}
