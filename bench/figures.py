"""The arithmetic of the benchmark: spreads over rounds, ratios of interleaved rounds, percentiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the greatest of some numbers."""

    least: float
    middle: float
    greatest: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """The spread of at least one number.

        Raises:
            ValueError: there is none.

        """
        if not numbers:
            raise ValueError("no numbers")
        return cls(min(numbers), median(numbers), max(numbers))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, ours over theirs: only what was measured one after the other is compared.

    Raises:
        ValueError: the rounds do not pair up, or one of theirs is zero.

    """
    if len(ours) != len(theirs):
        raise ValueError("rounds do not pair up")
    if not all(theirs):
        raise ValueError("a round that answered nothing has no ratio")
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def percentile(numbers: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least number that at least this share of them does not exceed.

    Args:
        numbers: at least one, in any order.
        share: above 0, at most 1.

    Raises:
        ValueError: no numbers, or no such share.

    """
    if not numbers or not 0 < share <= 1:
        raise ValueError("a percentile wants numbers, and a share above 0 and at most 1")
    # The tiny step back keeps 0.99 * 100 = 99.00000000000001 from being rank 100.
    rank = math.ceil(share * len(numbers) - 1e-9)
    return sorted(numbers)[max(rank, 1) - 1]
