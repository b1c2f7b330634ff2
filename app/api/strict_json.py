"""Read JSON the way I-JSON (RFC 7493) wants it: unique member names, no lone surrogates, finite numbers, not too deep.

Python's `json` keeps the last of two members of one name, silently: two readers of one request could then see two
different questions. What is read is bounded before it is read: a megabyte of commas would keep a worker for a third of
a second.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 32
"""How many objects and arrays may stand in one another."""
MAX_COMMAS: Final = 50_000
"""How many commas a body may hold, and so about how many values; a comma in a string counts too."""
_LONGEST_INTEGER: Final = 20
_ESCAPED: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_FORBIDDEN: Final = re.compile("[\\0\ud800-\udfff]")


class BadJsonError(Exception):
    """The body is not JSON that this service reads; the message says why, and never quotes it."""


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON document (UTF-8).

    Raises:
        BadJsonError: it is not JSON, or not I-JSON, nested deeper than `MAX_DEPTH`, or of too many values.

    """
    if has_too_many_values(body):
        raise BadJsonError(f"The body holds more than {MAX_COMMAS} values.")
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=unique_members, **number_hooks())
    except UnicodeDecodeError:
        raise BadJsonError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BadJsonError(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    _check(value, strings=_ESCAPED.search(body) is not None)
    return value


def has_too_many_values(body: bytes) -> bool:
    """Whether a body holds more values than any request needs: told by its commas, before it is read."""
    return body.count(b",") > MAX_COMMAS


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
    if len(text) > _LONGEST_INTEGER:  # beyond 64 bits
        raise BadJsonError("A number is out of range.")
    return int(text)


def _check(value: Any, *, strings: bool) -> None:  # noqa: ANN401 - any JSON value
    """Look at a document level by level; at its strings only where an escape may have put something into one.

    Raw, JSON holds no control character, and UTF-8 no surrogate.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if strings:
            _check_texts(level)
        level = [
            child
            for each in level
            if type(each) is dict or type(each) is list
            for child in (each.values() if type(each) is dict else each)
        ]
        if not level:
            return
    raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_texts(level: list[Any]) -> None:
    for each in level:
        for text in (each,) if type(each) is str else each if type(each) is dict else ():
            found = _FORBIDDEN.search(text)
            if found is not None:
                what = "a NUL character" if found[0] == "\0" else "a lone surrogate"
                raise BadJsonError(f"A string holds {what}.")
