"""Forms that pages send: small, of one kind, each field once; what is read here is not yet believed."""

from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request
from starlette.exceptions import HTTPException

from app.core.errors import FormNotOursError

LONGEST_FORM: Final = 4_096
"""Bytes of a body, unless a page says otherwise."""
_MOST_FIELDS: Final = 500
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(
    request: Request,
    fields: AbstractSet[str],
    *,
    optional: AbstractSet[str] = frozenset(),
    others: bool = False,
    longest: int = LONGEST_FORM,
) -> dict[str, str]:
    """The fields of a form: exactly these, each once (URL Living Standard, application/x-www-form-urlencoded).

    Those of `optional` may be there or not, as a choice that nobody made; with `others`, so may any.

    Raises:
        HTTPException: 413, too long.
        FormNotOursError: anything else that no page of ours sends.

    """
    body = await request.body()
    if len(body) > longest:
        raise HTTPException(413)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM_TYPE:
        raise FormNotOursError
    try:
        most = _MOST_FIELDS if others else len(fields) + len(optional)
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:  # not ASCII, not UTF-8, too many fields
        raise FormNotOursError from None
    if (
        not fields <= set(found)
        or not (others or set(found) <= fields | optional)
        or any(len(values) != 1 for values in found.values())
    ):
        raise FormNotOursError
    return {name: values[0] for name, values in found.items()}
