"""Which of two media types a client would rather have: JSON, or the one word that answers a single question.

Quality values and precedence as in RFC 9110, section 12.5.1. JSON is what is offered first: it is chosen on a draw,
and where the client takes neither (the section lets a server send what it has).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_LONGEST: Final = 1_024
_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_JSON: Final = ("application/json", "application/*", "*/*")
_TEXT: Final = ("text/plain", "text/*", "*/*")


def prefers_text(accept: str) -> bool:
    """Whether `text/plain` is worth more to the client than JSON.

    Args:
        accept: the value of its Accept field, several joined by commas; empty when there is none.

    """
    return len(accept) <= _LONGEST and _prefers_text(accept)


@lru_cache(maxsize=256)
def _prefers_text(accept: str) -> bool:
    ranges = dict(_ranges(accept))
    return _quality(ranges, _TEXT) > _quality(ranges, _JSON)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range with its weight. One with parameters of its own is no type that is offered."""
    for each in accept.split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        own = [parameter for parameter in parameters if parameter and not parameter.lower().startswith("q=")]
        weights = [parameter for parameter in parameters if parameter.lower().startswith("q=")]
        if any(not parameter.lower().startswith("charset=") for parameter in own):
            continue
        weight = _WEIGHT.fullmatch(weights[0]) if weights else None
        if weights and weight is None:
            continue  # no weight at all: the range says nothing
        yield name.lower(), float(weight[1]) if weight is not None else 1.0


def _quality(ranges: dict[str, float], from_exact_to_any: tuple[str, ...]) -> float:
    """The weight of the most specific range that covers a type; 0 where none does."""
    return next((ranges[each] for each in from_exact_to_any if each in ranges), 0.0)
