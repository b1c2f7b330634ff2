"""Which server answered, and whether it is the one that may be believed (docs/freshness.md, "More than one server").

A primary that was frozen and thawed, a standby, or one half of a split cluster answers reads as if nothing had
happened. So every read that a permit may rest on carries the identity of its server, and counts only if that is the one
whose beat was answered last.
"""

from collections.abc import Callable
from typing import Final

IDENTITY: Final = (
    "CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat_ws(' ', (SELECT system_identifier FROM pg_control_system()), "
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), extract(epoch FROM pg_postmaster_start_time()), "
    "coalesce(pg_relation_filepath(to_regclass('deployment_epoch')), '')) END"
)
"""SQL: the cluster, its timeline, the start of this server, and which database it is; NULL on a standby.

A database that takes another's place under the same server is told by the file of a table: its path has the numbers of
the database and of the table. 15 µs; any role may ask it.
"""

PROOF: Final = "SELECT pg_logical_emit_message(true, 'sceau', '')"
"""SQL that writes to the log of the server and changes nothing.

A transaction that holds it commits only where commits can: behind a synchronous standby, on the present primary alone.
"""


Accepts = Callable[[str | None], bool]
"""Whether a server of that identity is wanted."""


def is_no_standby(identity: str | None) -> bool:
    """Accept any server that is not a standby."""
    return identity is not None


def is_older(identity: str, known: str) -> bool:
    """Whether a server stands on an earlier timeline of the same cluster than one known before: it was replaced."""
    cluster, timeline = identity.split(" ")[:2]
    known_cluster, known_timeline = known.split(" ")[:2]
    return cluster == known_cluster and int(timeline, 16) < int(known_timeline, 16)


HAS_STANDBY: Final = (
    "current_setting('synchronous_standby_names') <> '' "
    "AND current_setting('synchronous_commit') NOT IN ('off', 'local')"
)
"""SQL: whether a COMMIT of this session waits for a standby. That one is there is shown by the COMMIT that returns.

A pooler may have dropped what a connection asks for (`synchronous_commit = on`).
"""


class NotThePrimaryError(Exception):
    """The server that answered is a standby, or not the one that is believed now."""


class NoStandbyError(NotThePrimaryError):
    """No commit waits for a standby on the server that answered, and the deployment wants one."""
