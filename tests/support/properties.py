"""How much is tried in the suite, and how much under `./dev test --deep`: examples of a property, rows of a table."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

USUAL: Final = 25
"""Examples of a property that says no number of its own."""
DEEP: Final = 1000
"""The same under `./dev test --deep`."""
TRIED: Final = int(os.environ.get("SCEAU_TEST_EXAMPLES", USUAL))
"""The same in this run."""


def examples(usual: int, *, deep: int) -> int:
    """How many examples of a costly property in this run: in the suite, or under `--deep`."""
    return deep if TRIED >= DEEP else usual


def load_profile() -> None:
    """Let every property that runs from here on have these settings, unless it has its own."""
    settings.register_profile(
        "sceau",
        deadline=None,  # a loaded machine takes its time: no test expects one
        max_examples=TRIED,
        derandomize="CI" in os.environ,
        database=None,
        # A property of permits leaves out three of four worlds, and still gets its number of examples.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    settings.load_profile("sceau")


def first_each_time(table: Mapping[str, Sequence[object]], number: int) -> "list[ParameterSet]":
    """The rows of a table as a test's parameters: so many run each time, the others with what is deep."""
    return [
        pytest.param(*row, id=name, marks=() if place < number else pytest.mark.deep)
        for place, (name, row) in enumerate(table.items())
    ]
