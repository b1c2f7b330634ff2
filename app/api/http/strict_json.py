"""Read JSON the way I-JSON (RFC 7493) wants it: unique member names, no lone surrogates, finite numbers, not too deep.

A reader that keeps the last of two members of one name, silently, would see another question than the next reader does.
"""

import re
from typing import Any, Final

import jiter

_ESCAPED_NUL: Final = rb"\u0000"
_PLACE: Final = re.compile(r"at line (\d+) column (\d+)$")


class BadJsonError(Exception):
    """The body is not JSON that this service reads; the message says why, and never quotes it."""


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON document (UTF-8), nested at most 200 levels deep.

    Raises:
        BadJsonError: it is not JSON, or not I-JSON, or a string in it holds a NUL character.

    """
    try:
        value = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise BadJsonError(_told(str(error))) from None
    # JSON holds no NUL as it is, and PostgreSQL stores none: only an escape can bring one in, and few bodies have it.
    if _ESCAPED_NUL in body and _holds_nul(value):
        raise BadJsonError("A string holds a NUL character.")
    return value


def _holds_nul(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if type(value) is str:
        return "\0" in value
    if type(value) is dict:
        return any("\0" in name or _holds_nul(member) for name, member in value.items())
    return type(value) is list and any(map(_holds_nul, value))


def _told(message: str) -> str:
    """What jiter says, without what it quotes from the body."""
    if message.startswith("Detected duplicate key"):
        return "An object has two members of one name."
    if message.startswith("recursion limit"):
        return "The body is nested too deep."
    place = _PLACE.search(message)
    where = f": line {place[1]}, column {place[2]}" if place is not None else ""
    return f"The body is not JSON in UTF-8{where}."
