"""What goes wrong with the primary, how it is undone, and what was seen of the failover."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tests.e2e.failover.cluster import Cluster, until
from tests.e2e.failover.network import PEERS
from tests.e2e.failover.node import Node

_RECEIVER: Final = "walreceiver"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the primary: `begin` it, and have the machine `end` it once another node has taken over."""

    name: str
    begin: Callable[[Node], None]
    end: Callable[[Node], None]


def _split(primary: Node) -> None:
    primary.machine.cut(PEERS)


FAULTS: Final = {
    each.name: each
    for each in (
        Fault("kill", Node.kill, Node.start),
        Fault("freeze", Node.freeze, Node.thaw),
        Fault("partition", Node.partition, Node.heal),
        # Services still reach the old primary, which no standby follows any more and which cannot reach etcd.
        Fault("split", _split, Node.heal),
    )
}
LAG: Final = "lag"
"""Not a fault of its own: one standby stops receiving, and then the primary is killed."""


@dataclass(slots=True)
class Promotion:
    """Which node took over from which, after a fault that began and was undone at these instants (CLOCK_MONOTONIC)."""

    kind: str
    old: str
    new: str
    began: float
    promoted: float
    undone: float = 0.0
    whole: float = 0.0
    lagging: str | None = None
    lagged_bytes: int = 0


def fail_over(cluster: Cluster, kind: str, *, lagging_for: float = 3.0) -> Promotion:
    """Break the primary and wait until another node has its place."""
    primary = cluster.wait_until_whole()
    others = [node for node in cluster.nodes if node is not primary]
    behind, lagged = others[: kind == LAG], 0
    if behind:
        stop_receiving(behind)
        time.sleep(lagging_for)
        lagged = lag(primary, behind[0])
    fault = FAULTS["kill" if kind == LAG else kind]
    began = time.monotonic()
    fault.begin(primary)
    let_go_on(behind)
    new = until(lambda: cluster.primary(others))
    lagging = behind[0].name if behind else None
    promoted = time.monotonic()
    return Promotion(kind, primary.name, new.name, began, promoted, lagging=lagging, lagged_bytes=lagged)


def undo(cluster: Cluster, promotion: Promotion) -> None:
    """Undo the fault, and wait until the old primary follows the new one."""
    old = next(node for node in cluster.nodes if node.name == promotion.old)
    promotion.undone = time.monotonic()
    FAULTS["kill" if promotion.kind == LAG else promotion.kind].end(old)
    cluster.wait_until_whole()
    promotion.whole = time.monotonic()


def stop_receiving(standbys: list[Node]) -> None:
    """Have standbys take nothing from their primary any more, without its noticing at once."""
    for node in standbys:
        for pid in _receivers(node):
            os.kill(pid, signal.SIGSTOP)


def let_go_on(standbys: list[Node]) -> None:
    """End what was stopped before it reads what its socket still holds: that is lost, as on a long way it would be."""
    for node in standbys:
        for pid in _receivers(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                os.kill(pid, signal.SIGCONT)


def lag(primary: Node, standby: Node) -> int:
    """Bytes of the log that a standby has not received."""
    ((written,),) = primary.sql("SELECT pg_current_wal_lsn()")
    ((bytes_behind,),) = standby.sql(f"SELECT pg_wal_lsn_diff('{written}', pg_last_wal_receive_lsn())")
    return int(bytes_behind)


def _receivers(node: Node) -> list[int]:
    return until(lambda: node.processes_named(_RECEIVER))
