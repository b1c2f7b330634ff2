"""PostgreSQL transaction snapshots (`pg_snapshot`): which transactions a reader has seen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransactionSnapshot:
    """`xmin:xmax:xip`: everything below xmin is seen, nothing from xmax on, and nothing of xip."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "TransactionSnapshot":
        """Read PostgreSQL's text form, such as `10:20:10,14`.

        Raises:
            ValueError: it is not that.

        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def shows(self, xid: int) -> bool:
        """Whether a transaction that has committed is seen (`pg_visible_in_snapshot`)."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)
