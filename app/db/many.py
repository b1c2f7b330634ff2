"""Hand many rows to one statement as one parameter: JSON is written in C, an array of a thousand elements is not.

In SQL: `json_to_recordset(CAST(:rows AS json)) AS given (ref text, at timestamptz, …)`, and `decode(ref, 'hex')` for
what is binary; `decode(each, 'hex') FROM string_to_table(:refs, ',') AS each` for references alone.
"""

import json
from collections.abc import Iterable, Mapping


def as_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as a JSON array of objects; bytes become hexadecimal digits, all else that JSON does not know its text."""
    return json.dumps(list(rows), default=_text, separators=(",", ":"))


def as_refs(refs: Iterable[bytes]) -> str:
    """References as hexadecimal digits with commas between."""
    return ",".join(ref.hex() for ref in refs)


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
