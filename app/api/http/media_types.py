"""Which of the media types that can be sent a client would rather have.

Quality values and precedence as in RFC 9110, section 12.5.1. What is offered first is chosen on a draw, and where the
client takes none (the section lets a server send what it has).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_LONGEST: Final = 1_024
_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_HINTS: Final = ("charset=", "profile=")
"""Parameters that a type is offered with all the same; `profile` is a hint of JSON-LD."""


def preferred(accept: str, offered: tuple[str, ...]) -> str:
    """The type that is worth most to the client.

    Args:
        accept: the value of its Accept field, several joined by commas; empty when there is none.
        offered: what can be sent, without parameters, the usual one first.

    """
    return _preferred(accept, offered) if len(accept) <= _LONGEST else offered[0]


@lru_cache(maxsize=256)
def _preferred(accept: str, offered: tuple[str, ...]) -> str:
    ranges = dict(_ranges(accept))
    return max(offered, key=lambda each: _quality(ranges, each))


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range with its weight. One with parameters of its own is no type that is offered."""
    for each in accept.split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        own = [parameter for parameter in parameters if parameter and not parameter.lower().startswith("q=")]
        weights = [parameter for parameter in parameters if parameter.lower().startswith("q=")]
        if any(not parameter.lower().startswith(_HINTS) for parameter in own):
            continue
        weight = _WEIGHT.fullmatch(weights[0]) if weights else None
        if weights and weight is None:
            continue  # no weight at all: the range says nothing
        yield name.lower(), float(weight[1]) if weight is not None else 1.0


def _quality(ranges: dict[str, float], offered: str) -> float:
    """The weight of the most specific range that covers a type; 0 where none does."""
    from_exact_to_any = (offered, f"{offered.partition('/')[0]}/*", "*/*")
    return next((ranges[each] for each in from_exact_to_any if each in ranges), 0.0)
