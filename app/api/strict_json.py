"""Read JSON the way I-JSON (RFC 7493) wants it: unique member names, no lone surrogates, finite numbers, not too deep.

Python's `json` keeps the last of two members of one name, silently: two readers of one request could then see two
different questions.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32


class BadJsonError(Exception):
    """The body is not JSON that this service reads; the message says why, and never quotes it."""


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON document (UTF-8).

    Raises:
        BadJsonError: it is not JSON, or not I-JSON, or nested deeper than `MAX_DEPTH`.

    """
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=unique_members, **number_hooks())
    except UnicodeDecodeError:
        raise BadJsonError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BadJsonError(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    _check(value, 0)
    return value


def number_hooks() -> dict[str, Any]:
    """How `json` is to read numbers: finite ones of a sane length, nothing else."""
    return {"parse_constant": _no_constant, "parse_float": _float, "parse_int": _integer}


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members.

    Raises:
        BadJsonError: two of them have one name.

    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadJsonError("An object has two members of one name.")
    return members


def _no_constant(_: str) -> NoReturn:
    raise BadJsonError("NaN and Infinity are not JSON.")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJsonError("A number is out of range.")
    return number


def _integer(text: str) -> int:
    if len(text) > 20:  # noqa: PLR2004 - beyond 64 bits
        raise BadJsonError("A number is out of range.")
    return int(text)


def _check(value: Any, depth: int) -> None:  # noqa: ANN401 - any JSON value
    if depth > MAX_DEPTH:
        raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _check(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadJsonError("A string holds a NUL character.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadJsonError("A string holds a lone surrogate.")
