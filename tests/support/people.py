"""Names that are unique to a test, for tests that share an application."""

from itertools import count

_numbers = count(1)


def people(*names: str) -> list[str]:
    """These names, made unique among the tests of this process."""
    number = next(_numbers)
    return [f"{name}-{number}" for name in names]
