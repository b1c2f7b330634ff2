"""Names of a test's own, where tests share an application."""

from itertools import count

_numbers = count(1)


def people(*names: str) -> list[str]:
    """These names as no other test of this process has them."""
    number = next(_numbers)
    return [f"{name}-{number}" for name in names]
